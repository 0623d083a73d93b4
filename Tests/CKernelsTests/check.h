/// Counts what passed and failed, and repeatable random numbers.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

extern long checks_passed, checks_failed;

/// Counts a check; prints the first few that fail, with what they were about.
#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (condition) {                                                                           \
            checks_passed++;                                                                       \
        } else if (checks_failed++ < 20) {                                                         \
            printf("FAILED %s:%d: %s: ", __FILE__, __LINE__, #condition);                          \
            printf(__VA_ARGS__);                                                                   \
            printf("\n");                                                                          \
        }                                                                                          \
    } while (0)

/// SplitMix64, from a fixed seed in each test.
static inline uint64_t next_random(uint64_t *state) {
    uint64_t mixed = *state += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return mixed ^ mixed >> 31;
}

/// Between -1 and 1.
static inline float next_float(uint64_t *state) {
    return (float)(int32_t)next_random(state) * 0x1p-31f;
}

void test_checksum(void);
void test_topk(void);
void test_f32(void);
void test_codes(void);
void test_elements(void);
void test_flat(void);
void test_graph(void);
void test_pool(void);
void test_ivf(void);
void test_pq(void);
void test_rabitq(void);
void test_disk(void);
void test_dispatch(void);
