// Chooses the instruction set once, on the first call, and keeps it in one pointer. Threads that
// race choose the same one, so a relaxed store is enough.

#include "cordwood_kernels.h"
#include "f32/f32.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const cordwood_f32_kernels *const variants[] = {
    &cordwood_f32_scalar,
#if defined(__x86_64__)
    &cordwood_f32_avx2,
    &cordwood_f32_avx512,
#elif defined(__aarch64__)
    &cordwood_f32_neon,
#endif
};

enum { VARIANTS = sizeof variants / sizeof variants[0] };

static const cordwood_f32_kernels *best(void) {
    size_t index = VARIANTS - 1;
    while (!variants[index]->supported()) {
        index--;
    }
    return variants[index];
}

/// The instruction set that CORDWOOD_ISA asks for, or null and why there is none.
static const cordwood_f32_kernels *requested(cordwood_isa_status *status) {
    static const char *const known[] = {"scalar", "avx2", "avx512", "neon"};
    *status = CORDWOOD_ISA_OK;
    const char *name = getenv("CORDWOOD_ISA");
    if (!name) {
        return NULL;
    }
    for (size_t index = 0; index < VARIANTS; index++) {
        if (strcmp(variants[index]->isa, name) == 0 && variants[index]->supported()) {
            return variants[index];
        }
    }
    *status = CORDWOOD_ISA_UNKNOWN;
    for (size_t index = 0; index < sizeof known / sizeof known[0]; index++) {
        if (strcmp(known[index], name) == 0) {
            *status = CORDWOOD_ISA_UNSUPPORTED;
        }
    }
    return NULL;
}

static const cordwood_f32_kernels *kernels(void) {
    static _Atomic(const cordwood_f32_kernels *) chosen;
    const cordwood_f32_kernels *current = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (!current) {
        cordwood_isa_status status;
        current = requested(&status);
        if (!current) {
            current = best();
        }
        atomic_store_explicit(&chosen, current, memory_order_relaxed);
    }
    return current;
}

const char *cordwood_isa(void) { return kernels()->isa; }

cordwood_isa_status cordwood_isa_get_status(void) {
    cordwood_isa_status status;
    requested(&status);
    return status;
}

void cordwood_f32_distances(const cordwood_f32_query *query, const float *const *rows, size_t count,
                            float *distances) {
    kernels()->distances(query, rows, count, distances);
}

void cordwood_f32_scan(const cordwood_f32_query *query, const cordwood_f32_rows *rows,
                       cordwood_topk *topk) {
    kernels()->scan(query, rows, topk);
}

void cordwood_f32_tile(const cordwood_f32_tile_input *input, cordwood_topk *topks) {
    kernels()->tile(input, topks);
}

size_t cordwood_f32_batch_scratch(size_t dimensions) {
    const cordwood_f32_kernels *current = kernels();
    return current->batch_scratch ? current->batch_scratch(dimensions) : 0;
}

void cordwood_f32_batch(const cordwood_f32_tile_input *input, float *scratch,
                        cordwood_topk *topks) {
    kernels()->batch(input, scratch, topks);
}

size_t cordwood_f32_variant_count(void) { return VARIANTS; }

const cordwood_f32_kernels *cordwood_f32_variant(size_t index) { return variants[index]; }
