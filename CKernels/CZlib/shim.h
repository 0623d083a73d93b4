/// What Swift cannot import by itself: zlib's macros that set a stream up.
#pragma once
#include <zlib.h>

/// The largest window, and 16 for the gzip wrapper.
#define CORDWOOD_GZIP_WINDOW_BITS (15 + 16)

static inline int cordwood_gzip_inflate_init(z_stream *stream) {
    return inflateInit2(stream, CORDWOOD_GZIP_WINDOW_BITS);
}

static inline int cordwood_gzip_deflate_init(z_stream *stream, int level) {
    return deflateInit2(stream, level, Z_DEFLATED, CORDWOOD_GZIP_WINDOW_BITS, 8,
                        Z_DEFAULT_STRATEGY);
}
