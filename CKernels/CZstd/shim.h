#pragma once
#include <zstd.h>
#include <zstd_errors.h>

/// What ZSTD_getFrameContentSize answers for a size that the frame does not state and for bytes
/// that are no frame: macros with casts, which Swift does not import.
static const unsigned long long cordwood_zstd_size_unknown = ZSTD_CONTENTSIZE_UNKNOWN;
static const unsigned long long cordwood_zstd_size_error = ZSTD_CONTENTSIZE_ERROR;
