// Chooses the path once, on the first call, and keeps it in one pointer. Threads that race choose
// the same path, so a relaxed store is enough.

#include "cordwood_checksum.h"
#include "crc32c.h"

#include <stdatomic.h>
#include <stdlib.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

static bool always(void) { return true; }

#if defined(__x86_64__)
static bool has_sse42(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("sse4.2");
}

static bool has_pclmul(void) { return has_sse42() && __builtin_cpu_supports("pclmul"); }

static bool has_vpclmul(void) {
    return has_pclmul() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("vpclmulqdq");
}
#elif defined(__aarch64__)
static bool has_neon(void) {
    const unsigned long polynomial_multiply = 1 << 4, crc32 = 1 << 7; // Of AT_HWCAP on arm64.
    const unsigned long wanted = polynomial_multiply | crc32;
    return (getauxval(AT_HWCAP) & wanted) == wanted;
}
#endif

struct variant {
    const char *name;
    /// The value of CORDWOOD_ISA that asks for it; null where none does.
    const char *isa;
    crc32c_function function;
    bool (*supported)(void);
};

/// In ascending order of speed.
static const struct variant variants[] = {
    {"scalar", "scalar", cordwood_crc32c_scalar, always},
#if defined(__x86_64__)
    {"sse42", NULL, cordwood_crc32c_sse42, has_sse42},
    {"pclmul", "avx2", cordwood_crc32c_pclmul, has_pclmul},
    {"vpclmul", "avx512", cordwood_crc32c_vpclmul, has_vpclmul},
#elif defined(__aarch64__)
    {"neon", "neon", cordwood_crc32c_neon, has_neon},
#endif
};

enum { VARIANTS = sizeof variants / sizeof variants[0] };

static const struct variant *choose(void) {
    const char *wanted = getenv("CORDWOOD_ISA");
    for (size_t index = VARIANTS; wanted && index-- > 0;) {
        const struct variant *candidate = &variants[index];
        if (candidate->isa && strcmp(candidate->isa, wanted) == 0 && candidate->supported()) {
            return candidate;
        }
    }
    size_t best = VARIANTS - 1;
    while (!variants[best].supported()) {
        best--;
    }
    return &variants[best];
}

static _Atomic(const struct variant *) chosen;

static const struct variant *variant(void) {
    const struct variant *current = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (__builtin_expect(!current, 0)) {
        current = choose();
        atomic_store_explicit(&chosen, current, memory_order_relaxed);
    }
    return current;
}

uint32_t cordwood_crc32c(uint32_t crc, const void *bytes, size_t count) {
    return ~variant()->function(~crc, bytes, count);
}

const char *cordwood_crc32c_path(void) { return variant()->name; }

size_t cordwood_crc32c_variant_count(void) { return VARIANTS; }

const char *cordwood_crc32c_variant_name(size_t index) { return variants[index].name; }

bool cordwood_crc32c_variant_supported(size_t index) { return variants[index].supported(); }

uint32_t cordwood_crc32c_with(size_t index, uint32_t crc, const void *bytes, size_t count) {
    return ~variants[index].function(~crc, bytes, count);
}
