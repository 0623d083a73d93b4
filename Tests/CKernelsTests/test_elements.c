// Every instruction set's halves, bytes and bits against sums in double precision and in whole
// numbers of 64 bits, and the conversions against what the bits of halves mean.

#include "check.h"
#include "cordwood_elements.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DIMENSIONS = 1100, ROWS = 11, KINDS = 6 };

static const char *const names[KINDS] = {"f32", "f16", "bf16", "i8", "u8", "bits"};

static float half_value(cordwood_element element, uint16_t half) {
    float value;
    (element == CORDWOOD_F16 ? cordwood_f16_decode : cordwood_bf16_decode)(&half, 1, &value);
    return value;
}

/// Component i of a row, or of a query where that has the same elements.
static double component(cordwood_element element, const void *row, size_t i) {
    const uint8_t *bytes = row;
    uint16_t half;
    uint64_t word;
    float value;
    switch (element) {
    case CORDWOOD_F32:
        memcpy(&value, bytes + 4 * i, sizeof value);
        return value;
    case CORDWOOD_F16:
    case CORDWOOD_BF16:
        memcpy(&half, bytes + 2 * i, sizeof half);
        return half_value(element, half);
    case CORDWOOD_I8:
        return (int8_t)bytes[i];
    case CORDWOOD_U8:
        return bytes[i];
    case CORDWOOD_BITS:
        memcpy(&word, bytes + i / 64 * 8, sizeof word);
        return word >> i % 64 & 1;
    }
    return NAN;
}

static bool has_float_query(cordwood_element element) { return element <= CORDWOOD_BF16; }

static double exact(const cordwood_element_query *query, const void *row, double *magnitude) {
    double sum = 0;
    *magnitude = fabs(query->base);
    for (size_t i = 0; i < query->dimensions; i++) {
        cordwood_element of_query = has_float_query(query->element) ? CORDWOOD_F32 : query->element;
        double a = component(of_query, query->query, i), b = component(query->element, row, i);
        double term = query->metric == CORDWOOD_L2 ? (a - b) * (a - b) : a * b;
        sum += term;
        *magnitude += fabs(term);
    }
    return query->metric == CORDWOOD_L2 ? sum : query->base - sum;
}

static void distances_of(const cordwood_element_kernels *kernels,
                         const cordwood_element_query *query, const void *const *rows, size_t count,
                         float *distances) {
    if (query->element == CORDWOOD_F32) {
        cordwood_element_distances(query, rows, count, distances);
    } else {
        kernels->distances(query, rows, count, distances);
    }
}

static void scan_of(const cordwood_element_kernels *kernels, const cordwood_element_query *query,
                    const cordwood_element_rows *rows, cordwood_topk *topk) {
    if (query->element == CORDWOOD_F32) {
        cordwood_element_scan(query, rows, topk);
    } else {
        kernels->scan(query, rows, topk);
    }
}

/// Distances are within the bound of n roundings, or of one where sums are whole numbers; the
/// scan's are the same bits.
static void one_shape(const cordwood_element_kernels *kernels, const cordwood_element_query *query,
                      const uint8_t *base, size_t stride, size_t count) {
    const void *rows[ROWS];
    uint64_t ids[ROWS];
    float distances[ROWS + 1];
    distances[count] = 12345;
    for (size_t row = 0; row < count; row++) {
        rows[row] = base + row * stride;
        ids[row] = 1000 - row;
    }
    distances_of(kernels, query, rows, count, distances);
    CHECK(distances[count] == 12345, "wrote beyond %zu distances", count);
    for (size_t row = 0; row < count; row++) {
        double magnitude, expected = exact(query, rows[row], &magnitude);
        bool is_whole = !has_float_query(query->element);
        double roundings = is_whole ? 0 : (double)query->dimensions + 4;
        bool is_right = is_whole
                            ? distances[row] == (float)expected
                            : fabs(distances[row] - expected) <= magnitude * roundings * 0x1p-24;
        CHECK(is_right, "%s, metric %d, %zu dimensions, row %zu of %zu: %g for %g",
              names[query->element], query->metric, query->dimensions, row, count, distances[row],
              expected);
    }
    cordwood_neighbor room[ROWS];
    cordwood_topk topk;
    cordwood_topk_init(&topk, room, ROWS);
    cordwood_element_rows scanned = {base, stride, count, ids};
    scan_of(kernels, query, &scanned, &topk);
    CHECK(topk.count == count, "kept %u of %zu", topk.count, count);
    for (uint32_t i = 0; i < topk.count; i++) {
        size_t row = 1000 - room[i].id;
        CHECK(row < count && memcmp(&room[i].distance, &distances[row], sizeof(float)) == 0,
              "%s, metric %d, %zu dimensions: scan and distances differ", names[query->element],
              query->metric, query->dimensions);
    }
}

/// Random elements: halves of floats between -1 and 1; of bits, those behind the last are zeros.
static void fill(cordwood_element element, uint8_t *row, size_t dimensions, uint64_t *random) {
    for (size_t i = 0; i < cordwood_element_row_bytes(element, dimensions); i++) {
        row[i] = (uint8_t)next_random(random);
    }
    if (element == CORDWOOD_BITS && dimensions % 64 != 0) {
        uint64_t word;
        memcpy(&word, row + dimensions / 64 * 8, sizeof word);
        word &= ((uint64_t)1 << dimensions % 64) - 1;
        memcpy(row + dimensions / 64 * 8, &word, sizeof word);
    }
    for (size_t i = 0; i < dimensions && has_float_query(element); i++) {
        float value = next_float(random);
        uint16_t half;
        if (element == CORDWOOD_F32) {
            memcpy(row + 4 * i, &value, sizeof value);
        } else {
            (element == CORDWOOD_F16 ? cordwood_f16_encode : cordwood_bf16_encode)(&value, 1,
                                                                                   &half);
            memcpy(row + 2 * i, &half, sizeof half);
        }
    }
}

/// Vectors end where their memory does, so that a tool that checks addresses sees every read beyond
/// an end, and start at every alignment of their elements.
static void every_dimension(const cordwood_element_kernels *kernels, cordwood_element element) {
    uint64_t random = 20 + element;
    const size_t unit = element == CORDWOOD_F32 ? 4 : element <= CORDWOOD_BF16 ? 2 : 1;
    for (size_t dimensions = 1; dimensions <= DIMENSIONS; dimensions++) {
        size_t bytes = cordwood_element_row_bytes(element, dimensions);
        size_t shift = dimensions % 17 * unit, stride = bytes + dimensions % 3 * unit;
        size_t count = 1 + dimensions % ROWS;
        cordwood_element of_query = has_float_query(element) ? CORDWOOD_F32 : element;
        size_t query_shift = has_float_query(element) ? dimensions % 5 * 4 : shift;
        size_t query_bytes = cordwood_element_row_bytes(of_query, dimensions);
        uint8_t *query = malloc(query_shift + query_bytes);
        uint8_t *rows = malloc(shift + (count - 1) * stride + bytes);
        fill(of_query, query + query_shift, dimensions, &random);
        for (size_t row = 0; row < count; row++) {
            fill(element, rows + shift + row * stride, dimensions, &random);
        }
        for (int metric = CORDWOOD_L2; metric <= CORDWOOD_IP; metric++) {
            cordwood_element_query described = {element, query + query_shift, dimensions,
                                                (cordwood_metric)metric, (float)(dimensions % 2)};
            one_shape(kernels, &described, rows + shift, stride, count);
        }
        free(query);
        free(rows);
    }
}

/// The largest sums that there can be.
static void extremes(const cordwood_element_kernels *kernels) {
    enum { MOST = CORDWOOD_ELEMENT_MAXIMUM_DIMENSIONS };
    uint8_t *query = malloc(MOST), *row = malloc(MOST);
    const uint8_t ends[] = {0, 127, 128, 255};
    for (size_t a = 0; a < 4; a++) {
        for (size_t b = 0; b < 4; b++) {
            memset(query, ends[a], MOST);
            memset(row, ends[b], MOST);
            for (int element = CORDWOOD_I8; element <= CORDWOOD_BITS; element++) {
                for (int metric = CORDWOOD_L2; metric <= CORDWOOD_IP; metric++) {
                    cordwood_element_query described = {(cordwood_element)element, query,
                                                        element == CORDWOOD_BITS ? 8 * MOST : MOST,
                                                        (cordwood_metric)metric, 0};
                    one_shape(kernels, &described, row, MOST, 1);
                }
            }
        }
    }
    free(query);
    free(row);
}

/// A scan of many rows keeps what a push of every distance keeps, in several calls as in one.
static void scan_of_many(const cordwood_element_kernels *kernels, cordwood_element element) {
    enum { count = 1501, dimensions = 72, split = 702, capacity = 10 };
    const size_t stride = cordwood_element_row_bytes(element, dimensions);
    uint8_t *rows = malloc(count * stride);
    float query[dimensions], distances[count];
    const void *addresses[count];
    uint64_t ids[count], random = 3;
    for (size_t row = 0; row < count; row++) {
        fill(element, rows + row * stride, dimensions, &random);
        ids[row] = next_random(&random);
        addresses[row] = rows + row * stride;
    }
    fill(has_float_query(element) ? CORDWOOD_F32 : element, (uint8_t *)query, dimensions, &random);
    for (int metric = CORDWOOD_L2; metric <= CORDWOOD_IP; metric++) {
        cordwood_neighbor room[2][capacity];
        cordwood_topk scanned, pushed;
        cordwood_topk_init(&scanned, room[0], capacity);
        cordwood_topk_init(&pushed, room[1], capacity);
        cordwood_element_query described = {element, query, dimensions, (cordwood_metric)metric, 0};
        cordwood_element_rows first = {rows, stride, split, ids};
        cordwood_element_rows second = {rows + split * stride, stride, count - split, ids + split};
        scan_of(kernels, &described, &first, &scanned);
        scan_of(kernels, &described, &second, &scanned);
        distances_of(kernels, &described, addresses, count, distances);
        for (size_t row = 0; row < count; row++) {
            cordwood_topk_push(&pushed, distances[row], ids[row]);
        }
        cordwood_topk_sort(&scanned);
        cordwood_topk_sort(&pushed);
        CHECK(memcmp(room[0], room[1], sizeof room[0]) == 0, "%s, metric %d", names[element],
              metric);
    }
    free(rows);
}

/// Every half stands for what its bits say, and every float becomes the half that is nearest.
static void halves(void) {
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        uint16_t half = (uint16_t)bits, back;
        int exponent = (int)(bits >> 10 & 31), digits = (int)(bits & 1023);
        double value = ldexp(exponent ? 1024 + digits : digits, (exponent ? exponent : 1) - 25);
        value = bits & 0x8000 ? -value : value;
        float found = half_value(CORDWOOD_F16, half);
        cordwood_f16_encode(&found, 1, &back);
        if (exponent < 31) {
            CHECK(found == value && !signbit(found) == !(bits & 0x8000), "%x: %g", bits, found);
            CHECK(back == half, "%x came back as %x", bits, back);
        } else {
            CHECK(digits ? isnan(found) && (back & 0x7fff) > 0x7c00 : isinf(found) && back == half,
                  "%x: %g, back %x", bits, found, back);
        }
        found = half_value(CORDWOOD_BF16, half);
        uint32_t float_bits;
        memcpy(&float_bits, &found, sizeof found);
        CHECK(float_bits == bits << 16, "%x: %g", bits, found);
    }
    uint64_t random = 8;
    for (int round = 0; round < 300000; round++) {
        for (int element = CORDWOOD_F16; element <= CORDWOOD_BF16; element++) {
            uint32_t bits = (uint32_t)next_random(&random);
            float value;
            uint16_t half;
            if (element == CORDWOOD_F16) {
                // Where halves are, and half way between two of them.
                bits =
                    (bits & 0x80007fff) | (96 + bits / 0x8000 % 50) << 23 | (bits >> 8 & 0x7ff000);
                bits = round % 3 ? bits : (bits & ~0x1fffu) | 0x1000;
            }
            memcpy(&value, &bits, sizeof value);
            if (!isfinite(value)) {
                continue;
            }
            bool f16 = element == CORDWOOD_F16;
            (f16 ? cordwood_f16_encode : cordwood_bf16_encode)(&value, 1, &half);
            const float largest = f16 ? 65520.0f : 0x1.ffp127f;
            if (fabsf(value) >= largest) {
                CHECK(isinf(half_value((cordwood_element)element, half)), "%a", value);
                continue;
            }
            double chosen = half_value((cordwood_element)element, half), off = fabs(chosen - value);
            for (int side = -1; side <= 1; side += 2) {
                uint16_t other = (uint16_t)(half + side);
                double beside = half_value((cordwood_element)element, other);
                if ((half ^ other) & 0x8000 || !isfinite(beside)) {
                    continue;
                }
                double farther = fabs(beside - value);
                CHECK(off < farther || (off == farther && half % 2 == 0), "%a became %a, not %a",
                      value, chosen, beside);
            }
        }
    }
}

/// What halves can hold, and what they cannot, is said.
static void what_halves_hold(void) {
    const struct {
        float vector[4];
        bool f16, bf16;
    } cases[] = {
        {{0, -0.0f, 0, 0}, true, true},          {{1, 2, 3, 4}, true, true},
        {{65504, 1, 0, 0}, true, true},          {{65519.99f, 1, 0, 0}, true, true},
        {{65520, 0, 0, 0}, false, true},         {{1, -7e4f, 0, 0}, false, true},
        {{1e-7f, 1e-7f, 1e-7f, 0}, false, true}, {{1, 1e-7f, 1e-20f, 0}, true, true},
        {{FLT_MAX, 0, 0, 0}, false, false},      {{1e-41f, 0, 0, 0}, false, false},
        {{NAN, 1, 1, 1}, false, false},          {{1, INFINITY, 0, 0}, false, false},
        {{0x1p-24f, 0, 0, 0}, true, true},       {{0x1p-25f, 0, 0, 0}, false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint16_t room[4];
        CHECK(cordwood_f16_encode(cases[i].vector, 4, room) == cases[i].f16, "case %zu", i);
        CHECK(cordwood_bf16_encode(cases[i].vector, 4, room) == cases[i].bf16, "case %zu", i);
    }
}

void test_elements(void) {
    halves();
    what_halves_hold();
    for (size_t index = 0; index < cordwood_element_variant_count(); index++) {
        const cordwood_element_kernels *kernels = cordwood_element_variant(index);
        if (!kernels->supported()) {
            printf("elements, variant %zu: not on this processor\n", index);
            continue;
        }
        for (int element = CORDWOOD_F32; element <= CORDWOOD_BITS; element++) {
            every_dimension(kernels, (cordwood_element)element);
            scan_of_many(kernels, (cordwood_element)element);
        }
        extremes(kernels);
    }
}
