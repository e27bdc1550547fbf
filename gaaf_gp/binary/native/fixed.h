/* What the two whole-number gradients share: gradients as 11-bit integers, and the sums of four of them with any signs. */
#ifndef GAAF_GP_FIXED_H
#define GAAF_GP_FIXED_H
#include <float.h>
#include <math.h>

#include "common.h"

#ifdef __AVX2__
#include <immintrin.h>

enum {
    LARGEST = 1023, /* of a gradient: EIGHT sums of four stay within 16 bits */
    EIGHT = 8,
    FOUR = 4,
    LANES = 16,     /* sums of 16 bits in a vector */
    SUMS = 16,      /* of four gradients: one for all signs */
    LINE = 32,      /* bytes of a vector */
};

static inline __m256i load(const void *from) { return _mm256_loadu_si256((const __m256i *)from); }

static inline void store(void *to, __m256i value) { _mm256_storeu_si256((__m256i *)to, value); }

/* The scale that makes the largest size LARGEST; no number if a gradient was infinite or none (`odd`): then
 * the result must not look like a good one. */
static inline float scale_of(float largest, int odd) {
    return odd ? NAN : largest > 1e-30f ? LARGEST / largest : 0.0f;
}

static inline float undo(float scale) { return scale == 0.0f ? 0.0f : 1.0f / scale; }

static inline __m128i quantized(__m256 gradient, __m256 scale) {
    const __m256i whole = _mm256_cvtps_epi32(_mm256_mul_ps(gradient, scale));
    return _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
}

static inline __m256 eight(const float *from, int64_t count) {
    if (count >= EIGHT) return _mm256_loadu_ps(from);
    float padded[EIGHT] = {0};
    if (count > 0) memcpy(padded, from, (size_t)count * sizeof *from);
    return _mm256_loadu_ps(padded);
}

typedef struct {
    __m256 largest, odd; /* sizes, and all bits where one was infinite or no number */
} extent;

static inline void measure(__m256 values, extent *all) {
    const __m256 size = _mm256_and_ps(values, _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff)));
    all->largest = _mm256_max_ps(size, all->largest);
    all->odd = _mm256_or_ps(all->odd, _mm256_cmp_ps(size, _mm256_set1_ps(FLT_MAX), _CMP_NLE_UQ));
}

/* The sums of four vectors for all their signs; a set bit of a sum's number is a plus. */
static inline void write_sums(__m256i a, __m256i b, __m256i c, __m256i d, uint8_t *to) {
    const __m256i zero = _mm256_setzero_si256();
    const __m256i ab = _mm256_add_epi16(a, b), a_b = _mm256_sub_epi16(a, b);
    const __m256i cd = _mm256_add_epi16(c, d), c_d = _mm256_sub_epi16(c, d);
    const __m256i first[4] = {_mm256_sub_epi16(zero, ab), a_b, _mm256_sub_epi16(zero, a_b), ab};
    const __m256i last[4] = {_mm256_sub_epi16(zero, cd), c_d, _mm256_sub_epi16(zero, c_d), cd};
#pragma GCC unroll 16
    for (int i = 0; i < SUMS; i++) store(to + i * LINE, _mm256_add_epi16(first[i % 4], last[i / 4]));
}

/* A sum of at most 255 numbers of 16 bits: its lower 16 bits, and the sum of the numbers' higher bytes. */
typedef struct {
    __m256i low, high;
} total;

static inline __attribute__((always_inline)) void add_number(total *to, __m256i number) {
    to->low = _mm256_add_epi16(to->low, number);
    to->high = _mm256_add_epi16(to->high, _mm256_srai_epi16(number, 8));
}

/* The sums as 32 bits, those of the lanes 0 to 7 and 8 to 15. */
static inline void whole_sums(const total *from, __m256i to[2]) {
    const __m256i rest = _mm256_sub_epi16(from->low, _mm256_slli_epi16(from->high, 8));
    to[0] = _mm256_add_epi32(_mm256_cvtepu16_epi32(_mm256_castsi256_si128(rest)),
                             _mm256_slli_epi32(_mm256_cvtepi16_epi32(_mm256_castsi256_si128(from->high)), 8));
    to[1] = _mm256_add_epi32(_mm256_cvtepu16_epi32(_mm256_extracti128_si256(rest, 1)),
                             _mm256_slli_epi32(_mm256_cvtepi16_epi32(_mm256_extracti128_si256(from->high, 1)), 8));
}
#endif
#endif
