/// Offering the nodes of a step to the pool with AVX-512: the same pool as `offer.h` makes. To be
/// included where the functions are compiled for it.
///
/// Bound by the processor, and by nothing that it could not foresee: what is too far is packed away
/// sixteen at a time, the others find their order and their places without a branch, and the pool
/// is moved apart in place, eight candidates at a time. That is 50 to 70 instructions for each that
/// gets in, of which the place is half.
#pragma once

#include "pool.h"

#include <immintrin.h>

enum { POOL_LANES = 8, POOL_VECTORS = MERGED_AT_ONCE / POOL_LANES, WORD_BITS = 64 };

_Static_assert(sizeof(cordwood_candidate) == sizeof(uint64_t), "a candidate fills a lane");

/// As `place_of`; once there are no more than sixteen left, all are compared at once.
INLINE uint32_t place_among(const cordwood_candidate *pool, uint32_t count, float distance) {
    uint32_t place = 0, left = count;
    while (left > 2 * POOL_LANES) {
        uint32_t half = left / 2;
        uint32_t is_behind = pool[place + half - 1].distance <= distance;
        __asm__("" : "+r"(is_behind));
        place += half & -is_behind;
        left -= half;
    }
    // Where there is none, there is what is not a number, and no farther than nothing.
    const __m512i none = _mm512_set1_epi32(-1);
    const uint32_t present = (1u << left) - 1;
    const cordwood_candidate *at = pool + place;
    __m512i low = _mm512_mask_loadu_epi64(none, (__mmask8)present, at);
    __m512i high =
        _mm512_mask_loadu_epi64(none, (__mmask8)(present >> POOL_LANES), at + POOL_LANES);
    // Distances are in the even lanes, nodes in the odd ones.
    const __m512 wanted = _mm512_set1_ps(distance);
    uint32_t nearer =
        (uint32_t)_mm512_mask_cmp_ps_mask(0x5555, _mm512_castsi512_ps(low), wanted, _CMP_LE_OQ) |
        (uint32_t)_mm512_mask_cmp_ps_mask(0x5555, _mm512_castsi512_ps(high), wanted, _CMP_LE_OQ)
            << 2 * POOL_LANES;
    return place + (uint32_t)__builtin_popcount(nearer);
}

/// Some candidates on their way into a pool.
typedef struct {
    /// In order, nearest first and of equals the earlier.
    uint64_t sorted[MERGED_AT_ONCE];
    /// Where each belongs in the pool, in the order in which they came, and behind them a place
    /// that there is not.
    __m512i places[POOL_VECTORS];
    uint32_t count;
} newcomers;

/// Whole numbers in the order of distances, none of which is nothing, and of equals in the order of
/// their lanes, which are counted from `first` on.
INLINE __m512i keys_of(__m256 distances, uint32_t first) {
    // There are two zeros, of which one is left.
    __m256i bits = _mm256_castps_si256(_mm256_add_ps(distances, _mm256_setzero_ps()));
    bits = _mm256_xor_si256(bits, _mm256_srli_epi32(_mm256_srai_epi32(bits, 31), 1));
    const __m512i lanes = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
    return _mm512_or_si512(_mm512_slli_epi64(_mm512_cvtepi32_epi64(bits), 32),
                           _mm512_add_epi64(lanes, _mm512_set1_epi64(first)));
}

/// Sorts up to MERGED_AT_ONCE candidates by counting for each those before it, and looks up their
/// places in a pool of `had`. Returns the first of these.
INLINE uint32_t prepare_newcomers(const cordwood_candidate *pool, uint32_t had,
                                  const float *distances, const uint32_t *nodes, uint32_t count,
                                  newcomers *added) {
    int64_t keys[MERGED_AT_ONCE];
    uint32_t places[MERGED_AT_ONCE];
    uint64_t ranks[MERGED_AT_ONCE];
    const __m512i one = _mm512_set1_epi64(1);
    uint32_t first = had;
    added->count = count;
    for (uint32_t i = 0; i < count; i++) {
        places[i] = place_among(pool, had, distances[i]);
        first = places[i] < first ? places[i] : first;
    }
    for (uint32_t i = 0; i < count; i += POOL_LANES) {
        _mm512_storeu_si512(keys + i, keys_of(_mm256_loadu_ps(distances + i), i));
    }
    for (uint32_t i = 0; i < count; i += POOL_LANES) {
        const __m512i eight = _mm512_loadu_si512(keys + i);
        __m512i rank = _mm512_setzero_si512();
        for (uint32_t k = 0; k < count; k++) {
            __mmask8 behind = _mm512_cmpgt_epi64_mask(eight, _mm512_set1_epi64(keys[k]));
            rank = _mm512_mask_add_epi64(rank, behind, rank, one);
        }
        _mm512_storeu_si512(ranks + i, rank);
        __mmask8 present =
            count - i < POOL_LANES ? (__mmask8)((1u << (count - i)) - 1) : (__mmask8)0xff;
        __m512i place = _mm512_cvtepu32_epi64(_mm256_loadu_si256((const __m256i *)(places + i)));
        added->places[i / POOL_LANES] =
            _mm512_mask_add_epi64(_mm512_set1_epi64(-1), present, place, rank);
    }
    for (uint32_t i = 0; i < count; i++) {
        cordwood_candidate candidate = {distances[i], nodes[i]};
        memcpy(&added->sorted[ranks[i]], &candidate, sizeof candidate);
    }
    return first;
}

/// How many of the newcomers have a place before `end`.
INLINE uint32_t count_before(const newcomers *added, uint32_t end) {
    uint32_t count = 0;
    for (uint32_t i = 0; i * POOL_LANES < added->count; i++) {
        count += (uint32_t)__builtin_popcount(
            _mm512_cmplt_epu64_mask(added->places[i], _mm512_set1_epi64(end)));
    }
    return count;
}

/// A bit for each place of the pool from `start` on that a newcomer takes.
INLINE uint64_t taken_places(const newcomers *added, uint32_t start) {
    __m512i bits = _mm512_setzero_si512();
    for (uint32_t i = 0; i * POOL_LANES < added->count; i++) {
        // Shifts by 64 and more, as those of places before the start are, leave nothing.
        __m512i shifts = _mm512_sub_epi64(added->places[i], _mm512_set1_epi64(start));
        bits = _mm512_or_si512(bits, _mm512_sllv_epi64(_mm512_set1_epi64(1), shifts));
    }
    return (uint64_t)_mm512_reduce_or_epi64(bits);
}

/// Puts up to MERGED_AT_ONCE candidates where they belong; room for eight more is behind them in
/// both arrays. Returns the first place that changed.
///
/// From the back, each eight places of the pool take from the pool and from the newcomers what
/// comes next of either: what is read is always in front of what was written.
INLINE uint32_t merge_near(cordwood_candidate *pool, uint32_t *count, uint32_t capacity,
                           const float *distances, const uint32_t *nodes, uint32_t added_count) {
    newcomers added;
    const uint32_t had = *count;
    const uint32_t first = prepare_newcomers(pool, had, distances, nodes, added_count, &added);
    const uint32_t total = had + added_count < capacity ? had + added_count : capacity;
    *count = total;
    uint32_t left = count_before(&added, total);
    for (uint32_t end = total; end > first;) {
        const uint32_t word = (end - 1) / WORD_BITS * WORD_BITS;
        const uint64_t taken = taken_places(&added, word);
        while (end > word && end > first) {
            const uint32_t start = (end - 1) / POOL_LANES * POOL_LANES;
            const uint32_t present = (1u << (end - start)) - 1;
            const uint32_t here = (uint32_t)(taken >> start % WORD_BITS) & present;
            left -= (uint32_t)__builtin_popcount(here);
            __m512i eight =
                _mm512_maskz_expandloadu_epi64((__mmask8)(present & ~here), pool + (start - left));
            eight = _mm512_mask_expandloadu_epi64(eight, (__mmask8)here, added.sorted + left);
            _mm512_mask_storeu_epi64(pool + start, (__mmask8)present, eight);
            end = start;
        }
    }
    return first;
}

/// Puts those of some nodes that are near enough into the pool, of equals the earlier first;
/// returns the first place that changed, or more than there are.
INLINE uint32_t offer(cordwood_candidate *pool, uint32_t *count, uint32_t ef,
                      const float *distances, const uint32_t *nodes, uint32_t found) {
    enum { STEP = 16 };
    // Rooms for a step more than fills them.
    float near_distances[MERGED_AT_ONCE + STEP];
    uint32_t near_nodes[MERGED_AT_ONCE + STEP];
    uint32_t first = ef, near_count = 0;
    float worst = *count == ef ? pool[ef - 1].distance : __builtin_inff();
    for (uint32_t i = 0; i < found; i += STEP) {
        __mmask16 present = found - i < STEP ? (__mmask16)((1u << (found - i)) - 1) : 0xffff;
        __m512 values = _mm512_maskz_loadu_ps(present, distances + i);
        __m512i names = _mm512_maskz_loadu_epi32(present, nodes + i);
        // What is not a number is nearer than nothing.
        __mmask16 near =
            _mm512_mask_cmp_ps_mask(present, values, _mm512_set1_ps(worst), _CMP_LT_OQ);
        _mm512_storeu_ps(near_distances + near_count, _mm512_maskz_compress_ps(near, values));
        _mm512_storeu_si512(near_nodes + near_count, _mm512_maskz_compress_epi32(near, names));
        near_count += (uint32_t)__builtin_popcount(near);
        if (near_count > MERGED_AT_ONCE - STEP || (i + STEP >= found && near_count > 0)) {
            uint32_t place = merge_near(pool, count, ef, near_distances, near_nodes, near_count);
            first = place < first ? place : first;
            worst = *count == ef ? pool[ef - 1].distance : worst;
            near_count = 0;
        }
    }
    return first;
}
