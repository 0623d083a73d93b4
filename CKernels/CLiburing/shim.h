/// What Swift cannot import by itself: liburing's macros and flag constants, and system calls that
/// are variadic or have no wrapper in glibc 2.36. One call per I/O operation, no decisions.
#pragma once

// First: it settles which features libc's headers show. liburing.h asks for others, and the types
// of this module (fd_set for one) would then differ from those of Swift's Glibc module.
#include <sys/types.h>

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == 8, "file positions have 64 bits");

/// The setup flags to try, best first; the last set is one that every kernel with CQSIZE accepts.
/// Not DEFER_TASKRUN: it would bring every link of a chain back to the submitting thread before the
/// next one starts (a ring loop in C, 64 KiB: 82 % against 91 % of a plain write + fdatasync loop).
static inline unsigned cordwood_uring_setup_flags(unsigned attempt) {
    switch (attempt) {
    case 0:
        return IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
               IORING_SETUP_COOP_TASKRUN;
    case 1:
        return IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN;
    default:
        return IORING_SETUP_CQSIZE;
    }
}

static const unsigned cordwood_uring_setup_attempts = 3;

/// The first set of flags for a ring that different threads submit to, one at a time.
static const unsigned cordwood_uring_first_setup_for_threads = 1;

/// 1 when the kernel knows every operation that a ring loop submits.
static inline int cordwood_uring_has_operations(struct io_uring *ring) {
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    if (!probe)
        return 0;
    int supported = io_uring_opcode_supported(probe, IORING_OP_READ) &&
                    io_uring_opcode_supported(probe, IORING_OP_WRITEV) &&
                    io_uring_opcode_supported(probe, IORING_OP_FSYNC);
    io_uring_free_probe(probe);
    return supported;
}

static inline void cordwood_uring_finish_sqe(struct io_uring_sqe *sqe, __u64 tag, bool linked) {
    if (linked)
        sqe->flags |= IOSQE_IO_LINK;
    io_uring_sqe_set_data64(sqe, tag);
}

static inline void cordwood_uring_prepare_writev(struct io_uring_sqe *sqe, int descriptor,
                                                 const struct iovec *vectors, unsigned count,
                                                 __u64 position, __u64 tag, bool linked) {
    io_uring_prep_writev(sqe, descriptor, vectors, count, position);
    cordwood_uring_finish_sqe(sqe, tag, linked);
}

static inline void cordwood_uring_prepare_read(struct io_uring_sqe *sqe, int descriptor,
                                               void *buffer, unsigned count, __u64 position,
                                               __u64 tag, bool linked) {
    io_uring_prep_read(sqe, descriptor, buffer, count, position);
    cordwood_uring_finish_sqe(sqe, tag, linked);
}

static inline void cordwood_uring_prepare_datasync(struct io_uring_sqe *sqe, int descriptor,
                                                   __u64 tag, bool linked) {
    io_uring_prep_fsync(sqe, descriptor, IORING_FSYNC_DATASYNC);
    cordwood_uring_finish_sqe(sqe, tag, linked);
}

/// openat2(2), confined below `directory` and refusing every symbolic link. -1 and errno on
/// failure; ENOSYS before Linux 5.6.
static inline int cordwood_openat2(int directory, const char *path, int flags, unsigned mode) {
    struct open_how how;
    memset(&how, 0, sizeof how);
    how.flags = (__u64)(unsigned)flags;
    how.mode = (flags & O_CREAT) ? mode : 0;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

static inline int cordwood_openat(int directory, const char *path, int flags, unsigned mode) {
    return openat(directory, path, flags, mode);
}

/// fallocate(2) in its plain mode: reserves `count` bytes from `position`, extending the file.
static inline int cordwood_fallocate(int descriptor, off_t position, off_t count) {
    return (int)syscall(SYS_fallocate, descriptor, 0, position, count);
}

/// Opens the file behind a descriptor a second time, for writes past the page cache. -1 and errno
/// on failure: ENOENT without /proc, EINVAL where the file system has no such writes.
static inline int cordwood_reopen_direct(int descriptor) {
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return open(path, O_WRONLY | __O_DIRECT | O_CLOEXEC);
}

/// The same for reads: what is read comes from the medium and leaves no copy in memory.
static inline int cordwood_reopen_direct_for_reading(int descriptor) {
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return open(path, O_RDONLY | __O_DIRECT | O_CLOEXEC);
}

/// Begins the writeback of a range and does not wait for it. -1 and errno on failure.
static inline int cordwood_begin_writeback(int descriptor, off_t position, off_t count) {
    return (int)syscall(SYS_sync_file_range, descriptor, position, count, 2u /* WRITE */);
}

/// After a sync that succeeded: the error number of an ext4 journal that has failed, else 0.
///
/// ext4 can answer fdatasync and fsync with success when its journal is aborted: it waits for the
/// transaction that the file needs only while that one runs or commits, and one that failed does
/// neither. Starting a change of metadata does tell. Removing an attribute that is not there starts
/// one and changes nothing (0.7 us); whatever else it answers says nothing of the journal.
static inline int cordwood_journal_failure(int descriptor) {
    struct statfs system;
    if (fstatfs(descriptor, &system) != 0 || system.f_type != 0xEF53 /* ext4 */)
        return 0;
    if (fremovexattr(descriptor, "user.cordwood.none") == 0)
        return 0;
    return errno == EROFS || errno == EIO ? errno : 0;
}

/// fsync(2) of a directory, and what it does not tell: see cordwood_journal_failure.
static inline int cordwood_sync_directory(int descriptor) {
    if (fsync(descriptor) != 0)
        return -1;
    errno = cordwood_journal_failure(descriptor);
    return errno == 0 ? 0 : -1;
}

/// Clears O_NONBLOCK, which io_uring would otherwise take as "fail with EAGAIN, never wait".
static inline int cordwood_clear_nonblocking(int descriptor) {
    int flags = fcntl(descriptor, F_GETFL);
    return flags < 0 ? -1 : fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK);
}

/// An eventfd that counts wake-ups. -1 and errno on failure.
static inline int cordwood_eventfd(void) { return eventfd(0, EFD_CLOEXEC); }

/// Adds one wake-up. -1 and errno on failure.
static inline int cordwood_eventfd_wake(int descriptor) { return eventfd_write(descriptor, 1); }

/// Tells the processor that a thread spins, so that its sibling gets more of the core.
static inline void cordwood_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/// Names the calling thread: 15 bytes and a zero at most, the rest is cut.
static inline void cordwood_name_thread(const char *name) { prctl(PR_SET_NAME, name); }

/// The system's words for an error number, valid until the thread asks again. Never null.
static inline const char *cordwood_error_words(int number) { return strerror(number); }
