#include "cordwood_maps.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

// The handler runs in the middle of whatever touched the page, so what it reads is lock-free, and
// chunks are never freed.

/// The `base` of a slot that is being filled: no map begins there.
#define CLAIMED ((uintptr_t)1)
#define SLOTS 512

struct chunk {
    _Atomic(uintptr_t) base[SLOTS];
    _Atomic(size_t) count[SLOTS];
    _Atomic(struct chunk *) next;
};

static struct chunk first_chunk;
static struct sigaction previous;
static uintptr_t page_mask;
static pthread_once_t installed = PTHREAD_ONCE_INIT;

static bool is_watched(uintptr_t address) {
    for (struct chunk *chunk = &first_chunk; chunk; chunk = atomic_load(&chunk->next)) {
        for (int slot = 0; slot < SLOTS; slot++) {
            uintptr_t base = atomic_load_explicit(&chunk->base[slot], memory_order_acquire);
            if (base > CLAIMED && address >= base &&
                address - base < atomic_load(&chunk->count[slot]))
                return true;
        }
    }
    return false;
}

/// What would have happened without us.
static void hand_on(int number, siginfo_t *info, void *context) {
    if (previous.sa_flags & SA_SIGINFO) {
        previous.sa_sigaction(number, info, context);
    } else if (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN) {
        // The instruction is tried again and ends the process, as the system does it.
        signal(number, SIG_DFL);
        // A signal that somebody sent is not repeated by that.
        if (info->si_code <= 0)
            raise(number);
    } else {
        previous.sa_handler(number);
    }
}

static void handle(int number, siginfo_t *info, void *context) {
    int saved = errno;
    uintptr_t address = (uintptr_t)info->si_addr;
    // A code above 0 is the kernel's word: the address is one that was touched.
    if (info->si_code > 0 && is_watched(address)) {
        void *page = (void *)(address & page_mask);
        size_t count = (size_t)(~page_mask + 1);
        int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
        if (mmap(page, count, PROT_READ, flags, -1, 0) != MAP_FAILED) {
            errno = saved;
            return;
        }
    }
    hand_on(number, info, context);
    errno = saved;
}

static void install(void) {
    page_mask = ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &previous);
}

static bool take_slot(struct chunk *chunk, uintptr_t base, size_t count) {
    for (int slot = 0; slot < SLOTS; slot++) {
        uintptr_t none = 0;
        if (!atomic_compare_exchange_strong(&chunk->base[slot], &none, CLAIMED))
            continue;
        atomic_store(&chunk->count[slot], count);
        atomic_store_explicit(&chunk->base[slot], base, memory_order_release);
        return true;
    }
    return false;
}

bool cordwood_maps_watch(void *base, size_t count) {
    pthread_once(&installed, install);
    struct chunk *chunk = &first_chunk;
    while (!take_slot(chunk, (uintptr_t)base, count)) {
        struct chunk *next = atomic_load(&chunk->next);
        if (!next) {
            struct chunk *fresh = calloc(1, sizeof *fresh);
            if (!fresh)
                return false;
            // Where another thread was faster, `next` is its chunk.
            if (atomic_compare_exchange_strong(&chunk->next, &next, fresh))
                next = fresh;
            else
                free(fresh);
        }
        chunk = next;
    }
    return true;
}

void cordwood_maps_forget(void *base) {
    for (struct chunk *chunk = &first_chunk; chunk; chunk = atomic_load(&chunk->next)) {
        for (int slot = 0; slot < SLOTS; slot++) {
            if (atomic_load(&chunk->base[slot]) == (uintptr_t)base) {
                atomic_store_explicit(&chunk->base[slot], 0, memory_order_release);
                return;
            }
        }
    }
}
