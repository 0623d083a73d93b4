// Chooses the instruction set once, on the first call, and keeps it in one pointer. Threads that
// race choose the same one, so a relaxed store is enough.

#include "cordwood_kernels.h"
#include "elements/elements.h"
#include "f32/f32.h"
#include "graph/graph.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/// In ascending order of speed. An instruction set's own loops may need more of a processor in one
/// family than in another; the next lower one that it has serves then.
static const struct {
    const cordwood_f32_kernels *f32;
    const cordwood_graph_kernels *graph;
    const cordwood_element_kernels *elements;
} variants[] = {
    {&cordwood_f32_scalar, &cordwood_graph_scalar, &cordwood_element_scalar},
#if defined(__x86_64__)
    {&cordwood_f32_avx2, &cordwood_graph_avx2, &cordwood_element_avx2},
    {&cordwood_f32_avx512, &cordwood_graph_avx512, &cordwood_element_avx512},
#elif defined(__aarch64__)
    {&cordwood_f32_neon, &cordwood_graph_neon, &cordwood_element_neon},
#endif
};

enum { VARIANTS = sizeof variants / sizeof variants[0] };

static size_t best(void) {
    size_t index = VARIANTS - 1;
    while (!variants[index].f32->supported()) {
        index--;
    }
    return index;
}

/// The instruction set that CORDWOOD_ISA asks for, or VARIANTS and why there is none.
static size_t requested(cordwood_isa_status *status) {
    static const char *const known[] = {"scalar", "avx2", "avx512", "neon"};
    *status = CORDWOOD_ISA_OK;
    const char *name = getenv("CORDWOOD_ISA");
    if (!name) {
        return VARIANTS;
    }
    for (size_t index = 0; index < VARIANTS; index++) {
        if (strcmp(variants[index].f32->isa, name) == 0 && variants[index].f32->supported()) {
            return index;
        }
    }
    *status = CORDWOOD_ISA_UNKNOWN;
    for (size_t index = 0; index < sizeof known / sizeof known[0]; index++) {
        if (strcmp(known[index], name) == 0) {
            *status = CORDWOOD_ISA_UNSUPPORTED;
        }
    }
    return VARIANTS;
}

/// The place of the instruction set in use.
static size_t chosen(void) {
    static _Atomic(size_t) known; // and one
    size_t index = atomic_load_explicit(&known, memory_order_relaxed);
    if (index == 0) {
        cordwood_isa_status status;
        index = requested(&status);
        index = (index == VARIANTS ? best() : index) + 1;
        atomic_store_explicit(&known, index, memory_order_relaxed);
    }
    return index - 1;
}

static const cordwood_f32_kernels *f32(void) { return variants[chosen()].f32; }

static const cordwood_graph_kernels *graph(void) {
    static _Atomic(const cordwood_graph_kernels *) known;
    const cordwood_graph_kernels *kernels = atomic_load_explicit(&known, memory_order_relaxed);
    if (!kernels) {
        size_t index = chosen();
        while (!variants[index].graph->supported()) {
            index--;
        }
        kernels = variants[index].graph;
        atomic_store_explicit(&known, kernels, memory_order_relaxed);
    }
    return kernels;
}

static const cordwood_element_kernels *elements(void) {
    static _Atomic(const cordwood_element_kernels *) known;
    const cordwood_element_kernels *kernels = atomic_load_explicit(&known, memory_order_relaxed);
    if (!kernels) {
        size_t index = chosen();
        while (!variants[index].elements->supported()) {
            index--;
        }
        kernels = variants[index].elements;
        atomic_store_explicit(&known, kernels, memory_order_relaxed);
    }
    return kernels;
}

const char *cordwood_isa(void) { return f32()->isa; }

cordwood_isa_status cordwood_isa_get_status(void) {
    cordwood_isa_status status;
    requested(&status);
    return status;
}

void cordwood_f32_distances(const cordwood_f32_query *query, const float *const *rows, size_t count,
                            float *distances) {
    f32()->distances(query, rows, count, distances);
}

void cordwood_f32_scan(const cordwood_f32_query *query, const cordwood_f32_rows *rows,
                       cordwood_topk *topk) {
    f32()->scan(query, rows, topk);
}

void cordwood_f32_tile(const cordwood_f32_tile_input *input, cordwood_topk *topks) {
    f32()->tile(input, topks);
}

size_t cordwood_f32_batch_scratch(size_t dimensions) {
    const cordwood_f32_kernels *current = f32();
    return current->batch_scratch ? current->batch_scratch(dimensions) : 0;
}

void cordwood_f32_batch(const cordwood_f32_tile_input *input, float *scratch,
                        cordwood_topk *topks) {
    f32()->batch(input, scratch, topks);
}

void cordwood_code_query_prepare(const cordwood_quantizer *quantizer, const float *vector,
                                 int8_t *room, cordwood_code_query *query) {
    graph()->prepare(quantizer, vector, room, query);
}

void cordwood_code_distances(const cordwood_quantizer *quantizer, const cordwood_code_query *query,
                             const uint8_t *const *rows, size_t count, float *distances) {
    graph()->distances(quantizer, query, rows, count, distances);
}

void cordwood_code_select(const cordwood_quantizer *quantizer,
                          const cordwood_code_query *const *queries, const float *limits,
                          size_t query_count, const uint8_t *rows, uint32_t count,
                          cordwood_code_selection *selections) {
    graph()->select(quantizer, queries, limits, query_count, rows, count, selections);
}

uint32_t cordwood_graph_search(const cordwood_graph *searched, const cordwood_graph_rows *rows,
                               const cordwood_graph_query *query, uint32_t level, uint32_t ef,
                               uint32_t beam, cordwood_graph_scratch *scratch) {
    return graph()->search(searched, rows, query, level, ef, beam, scratch);
}

void cordwood_graph_propose(const cordwood_graph_build *build, uint32_t first, uint32_t last,
                            cordwood_graph_build_scratch *scratch) {
    graph()->propose(build, first, last, scratch);
}

void cordwood_graph_accept(const cordwood_graph_build *build, uint32_t first, uint32_t last,
                           cordwood_graph_build_scratch *scratch) {
    graph()->accept(build, first, last, scratch);
}

static cordwood_f32_query float_query(const cordwood_element_query *query) {
    return (cordwood_f32_query){query->query, query->dimensions, query->metric, query->base};
}

void cordwood_element_distances(const cordwood_element_query *query, const void *const *rows,
                                size_t count, float *distances) {
    if (query->element == CORDWOOD_F32) {
        const cordwood_f32_query floats = float_query(query);
        f32()->distances(&floats, (const float *const *)rows, count, distances);
    } else {
        elements()->distances(query, rows, count, distances);
    }
}

void cordwood_element_scan(const cordwood_element_query *query, const cordwood_element_rows *rows,
                           cordwood_topk *topk) {
    if (query->element == CORDWOOD_F32) {
        const cordwood_f32_query floats = float_query(query);
        const cordwood_f32_rows described = {rows->rows, rows->stride / sizeof(float), rows->count,
                                             rows->ids};
        f32()->scan(&floats, &described, topk);
    } else {
        elements()->scan(query, rows, topk);
    }
}

size_t cordwood_f32_variant_count(void) { return VARIANTS; }

const cordwood_f32_kernels *cordwood_f32_variant(size_t index) { return variants[index].f32; }

size_t cordwood_graph_variant_count(void) { return VARIANTS; }

const cordwood_graph_kernels *cordwood_graph_variant(size_t index) { return variants[index].graph; }

size_t cordwood_element_variant_count(void) { return VARIANTS; }

const cordwood_element_kernels *cordwood_element_variant(size_t index) {
    return variants[index].elements;
}
