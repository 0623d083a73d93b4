/// System calls that the Swift overlay lacks.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The magic number of the file system that `path` lies on; 0 where it cannot be told.
uint64_t benchmark_file_system(const char *path);

/// Removes a directory with all that is in it. Follows no link. Returns 0, or -1 and errno.
int benchmark_remove_tree(const char *path);

/// Syncs every file below `path` and asks the kernel to forget its cached pages, which it does
/// unless somebody has them mapped. Returns 0, or -1 and errno.
int benchmark_drop_page_cache(const char *path);

/// Writes everything that the file system of `path` holds in memory. Returns 0, or -1 and errno.
int benchmark_sync_file_system(const char *path);

#ifdef __cplusplus
}
#endif
