// Chooses the instruction set once, on the first call, and keeps it in one pointer. Threads that
// race choose the same one, so a relaxed store is enough.

#include "cordwood_kernels.h"
#include "elements/elements.h"
#include "f32/f32.h"
#include "flat/flat.h"
#include "graph/graph.h"
#include "pq/pq.h"
#include "rabitq/rabitq.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/// In ascending order of speed. An instruction set's own loops may need more of a processor in one
/// family than in another; the next lower one that it has serves then.
static const struct {
    const cordwood_f32_kernels *f32;
    const cordwood_graph_kernels *graph;
    const cordwood_flat_kernels *flat;
    const cordwood_element_kernels *elements;
    const cordwood_pq_kernels *pq;
    const cordwood_rabitq_kernels *rabitq;
} variants[] = {
#define VARIANT(isa)                                                                               \
    {                                                                                              \
        &cordwood_f32_##isa, &cordwood_graph_##isa, &cordwood_flat_##isa, &cordwood_element_##isa, \
            &cordwood_pq_##isa, &cordwood_rabitq_##isa                                             \
    }
    VARIANT(scalar),
#if defined(__x86_64__)
    VARIANT(avx2),
    VARIANT(avx512),
#elif defined(__aarch64__)
    VARIANT(neon),
    {&cordwood_f32_neon_dotprod, &cordwood_graph_neon_dotprod, &cordwood_flat_neon_dotprod,
     &cordwood_element_neon, &cordwood_pq_neon, &cordwood_rabitq_neon},
#endif
#undef VARIANT
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
    static const char *const known[] = {"scalar", "avx2", "avx512", "neon", "neon-dotprod"};
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

/// The kernels of one family: those of the instruction set in use, or of the next lower one whose
/// loops the processor has.
#define FAMILY(kernels_type, name)                                                                 \
    static const kernels_type *name(void) {                                                        \
        static _Atomic(const kernels_type *) known;                                                \
        const kernels_type *kernels = atomic_load_explicit(&known, memory_order_relaxed);          \
        if (!kernels) {                                                                            \
            size_t index = chosen();                                                               \
            while (!variants[index].name->supported()) {                                           \
                index--;                                                                           \
            }                                                                                      \
            kernels = variants[index].name;                                                        \
            atomic_store_explicit(&known, kernels, memory_order_relaxed);                          \
        }                                                                                          \
        return kernels;                                                                            \
    }

FAMILY(cordwood_graph_kernels, graph)
FAMILY(cordwood_flat_kernels, flat)
FAMILY(cordwood_element_kernels, elements)
FAMILY(cordwood_pq_kernels, pq)
FAMILY(cordwood_rabitq_kernels, rabitq)

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

uint32_t cordwood_graph_search(const cordwood_graph *searched, const cordwood_graph_rows *rows,
                               const cordwood_graph_query *query, uint32_t level, uint32_t ef,
                               uint32_t beam, cordwood_graph_scratch *scratch) {
    return graph()->search(searched, rows, query, level, ef, beam, scratch);
}

uint32_t cordwood_graph_search_allowed(const cordwood_graph *searched,
                                       const cordwood_graph_rows *rows,
                                       const cordwood_graph_query *query, uint32_t ef,
                                       uint32_t beam, const cordwood_graph_filter *filter,
                                       cordwood_graph_scratch *scratch) {
    return graph()->search_allowed(searched, rows, query, ef, beam, filter, scratch);
}

void cordwood_graph_propose(const cordwood_graph_build *build, uint32_t first, uint32_t last,
                            cordwood_graph_build_scratch *scratch) {
    graph()->propose(build, first, last, scratch);
}

void cordwood_graph_accept(const cordwood_graph_build *build, uint32_t first, uint32_t last,
                           cordwood_graph_build_scratch *scratch) {
    graph()->accept(build, first, last, scratch);
}

void cordwood_flat_select(const cordwood_flat_codes *codes, uint32_t first, uint32_t count,
                          const uint64_t *allowed, const cordwood_flat_probe *probes,
                          size_t probe_count, cordwood_flat_selection *selections) {
    flat()->select(codes, first, count, allowed, probes, probe_count, selections);
}

bool cordwood_graph_merge_lists(const cordwood_graph_merge *merge, uint32_t first, uint32_t last,
                                cordwood_graph_build_scratch *scratch) {
    return graph()->merge(merge, first, last, scratch);
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

void cordwood_pq_encode(const cordwood_pq *quantizer, const float *rows, size_t stride,
                        size_t count, const float *center, uint8_t *blocks) {
    pq()->encode(quantizer, rows, stride, count, center, blocks);
}

void cordwood_pq_query_prepare(const cordwood_pq *quantizer, const float *vector, float factor,
                               float *floats, uint8_t *bytes, cordwood_pq_query *query) {
    pq()->prepare(quantizer, vector, factor, floats, bytes, query);
}

void cordwood_pq_scan(const cordwood_pq_query *query, const cordwood_pq_rows *rows,
                      cordwood_shortlist *list) {
    pq()->scan(query, rows, list);
}

void cordwood_pq_train(const cordwood_pq *quantizer, size_t group, const float *rows, size_t stride,
                       size_t count, double *sums, uint32_t *counts) {
    pq()->train(quantizer, group, rows, stride, count, sums, counts);
}

void cordwood_nearest_columns(const float *products, size_t rows, size_t columns,
                              const float *terms, uint32_t first, float *values,
                              uint32_t *numbers) {
    pq()->nearest(products, rows, columns, terms, first, values, numbers);
}

void cordwood_rotate(const cordwood_rotation *rotation, const float *vector, float *rotated) {
    rabitq()->rotate(rotation, vector, rotated);
}

void cordwood_rabitq_encode(const cordwood_rabitq *quantizer, const float *center, float *rows,
                            size_t position, size_t count, uint8_t *blocks, uint8_t *extra) {
    rabitq()->encode(quantizer, center, rows, position, count, blocks, extra);
}

void cordwood_rabitq_prepare(const cordwood_rabitq *quantizer, const float *center,
                             const float *rotated, uint8_t *room, cordwood_rabitq_query *query) {
    rabitq()->prepare(quantizer, center, rotated, room, query);
}

void cordwood_rabitq_estimates(const cordwood_rabitq *quantizer, const cordwood_rabitq_list *list,
                               const cordwood_rabitq_query *query, uint32_t bits,
                               cordwood_rabitq_estimate *estimates) {
    rabitq()->estimates(quantizer, list, query, bits, estimates);
}

void cordwood_rabitq_scan(const cordwood_rabitq *quantizer, const cordwood_rabitq_list *list,
                          cordwood_rabitq_query *query, const cordwood_f32_query *floats,
                          const uint64_t *allowed, cordwood_topk *topk) {
    rabitq()->scan(quantizer, list, query, floats, allowed, topk);
}

/// How many instruction sets have loops of their own in a family; the others are the last ones.
#define OWN_VARIANTS(name)                                                                         \
    do {                                                                                           \
        size_t count = VARIANTS;                                                                   \
        while (count > 1 && variants[count - 1].name == variants[count - 2].name) {                \
            count--;                                                                               \
        }                                                                                          \
        return count;                                                                              \
    } while (0)

size_t cordwood_f32_variant_count(void) { return VARIANTS; }

const cordwood_f32_kernels *cordwood_f32_variant(size_t index) { return variants[index].f32; }

size_t cordwood_graph_variant_count(void) { return VARIANTS; }

const cordwood_graph_kernels *cordwood_graph_variant(size_t index) { return variants[index].graph; }

size_t cordwood_flat_variant_count(void) { return VARIANTS; }

const cordwood_flat_kernels *cordwood_flat_variant(size_t index) { return variants[index].flat; }

size_t cordwood_element_variant_count(void) { OWN_VARIANTS(elements); }

const cordwood_element_kernels *cordwood_element_variant(size_t index) {
    return variants[index].elements;
}

size_t cordwood_pq_variant_count(void) { OWN_VARIANTS(pq); }

const cordwood_pq_kernels *cordwood_pq_variant(size_t index) { return variants[index].pq; }

size_t cordwood_rabitq_variant_count(void) { OWN_VARIANTS(rabitq); }

const cordwood_rabitq_kernels *cordwood_rabitq_variant(size_t index) {
    return variants[index].rabitq;
}
