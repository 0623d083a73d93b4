#define _GNU_SOURCE

#include "benchmark_system.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { open_directories = 16 };

uint64_t benchmark_file_system(const char *path) {
    struct statfs status;
    return statfs(path, &status) == 0 ? (uint64_t)status.f_type : 0;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place) {
    (void)status, (void)kind, (void)place;
    return remove(path);
}

int benchmark_remove_tree(const char *path) {
    return nftw(path, remove_entry, open_directories, FTW_DEPTH | FTW_PHYS);
}

static int drop_entry(const char *path, const struct stat *status, int kind, struct FTW *place) {
    (void)status, (void)place;
    if (kind != FTW_F) {
        return 0;
    }
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return -1;
    }
    // Dirty pages cannot be forgotten.
    int result = fsync(descriptor);
    if (result == 0) {
        result = posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED) == 0 ? 0 : -1;
    }
    close(descriptor);
    return result;
}

int benchmark_drop_page_cache(const char *path) {
    return nftw(path, drop_entry, open_directories, FTW_PHYS);
}

int benchmark_sync_file_system(const char *path) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return -1;
    }
    int result = syncfs(descriptor);
    close(descriptor);
    return result;
}
