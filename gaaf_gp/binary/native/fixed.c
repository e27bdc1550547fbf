/* The gradient of the input in whole numbers: gradients as 11-bit integers, four products of +-1 at a time from a table.
 *
 * Four gradients a, b, c, d have sixteen sums +-a+-b+-c+-d. They are written down once, for sixteen images side by side;
 * four signs of a latent weight say which of them counts, for all these images. Each image has a scale of its own, so the
 * rounding is that of a bfloat16, and whole numbers add up without further error. Needs AVX2.
 */
#include <stdlib.h>
#include <string.h>

#include "fixed.h"

#ifdef __AVX2__

enum {
    BUNDLE = 16, /* fours of output channels whose tables are written together */
};

int fixed_point(void) { return 1; }

typedef struct {
    const shape *s;
    int64_t fours, channels, rows; /* the first two are even, and of EIGHT; rows: of totals that are kept */
    const float *gradient;
    const uint8_t *weights; /* (bundle, tap, channel, four): sixteen times four signs */
    ending end;
    float *result;
} task;

typedef struct {
    float scales[LANES], factors[LANES]; /* factors undo the scales */
    int64_t image, images; /* of this group */
    uint8_t *tables;       /* (four of a bundle, SUMS, LANES) */
    total *totals;         /* (row of the input modulo rows, column, channel) */
} group;

/* ---- tables ------------------------------------------------------------------------------------------------------ */

static void find_scales(const task *t, group *g) {
    const int64_t count = t->s->out_height * t->s->out_width * t->s->out_channels;
    memset(g->scales, 0, sizeof g->scales);
    for (int64_t k = 0; k < g->images; k++) {
        const float *from = t->gradient + (g->image + k) * count;
        extent all = {_mm256_setzero_ps(), _mm256_setzero_ps()};
        int64_t i = 0;
        for (; i + EIGHT <= count; i += EIGHT) measure(_mm256_loadu_ps(from + i), &all);
        measure(eight(from + i, count - i), &all);
        float sizes[EIGHT], largest = 0;
        _mm256_storeu_ps(sizes, all.largest);
        for (int j = 0; j < EIGHT; j++) largest = sizes[j] > largest ? sizes[j] : largest;
        g->scales[k] = scale_of(largest, _mm256_movemask_ps(all.odd));
        g->factors[k] = undo(g->scales[k]);
    }
}

/* In both halves: rows of eight numbers of 16 bits become columns. */
static inline void turn(__m256i rows[8]) {
    __m256i a[8], b[8];
    for (int i = 0; i < 4; i++) {
        a[2 * i] = _mm256_unpacklo_epi16(rows[2 * i], rows[2 * i + 1]);
        a[2 * i + 1] = _mm256_unpackhi_epi16(rows[2 * i], rows[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++) {
            b[4 * i + 2 * k] = _mm256_unpacklo_epi32(a[4 * i + k], a[4 * i + 2 + k]);
            b[4 * i + 2 * k + 1] = _mm256_unpackhi_epi32(a[4 * i + k], a[4 * i + 2 + k]);
        }
    for (int i = 0; i < 4; i++) {
        rows[2 * i] = _mm256_unpacklo_epi64(b[i], b[4 + i]);
        rows[2 * i + 1] = _mm256_unpackhi_epi64(b[i], b[4 + i]);
    }
}

/* The tables of eight output channels from `from` on, which has `width` of them. */
static inline __attribute__((always_inline)) void write_eight(const group *g, const float *from, int64_t apart,
                                                              int64_t width, int64_t images, uint8_t *to) {
    __m256i rows[EIGHT];
#pragma GCC unroll 8
    for (int64_t k = 0; k < EIGHT; k++) {
        const int64_t other = k + EIGHT;
        const __m256 one = k < images ? eight(from + k * apart, width) : _mm256_setzero_ps();
        const __m256 two = other < images ? eight(from + other * apart, width) : _mm256_setzero_ps();
        rows[k] = _mm256_set_m128i(quantized(two, _mm256_broadcast_ss(g->scales + other)),
                                   quantized(one, _mm256_broadcast_ss(g->scales + k)));
    }
    turn(rows);
    write_sums(rows[0], rows[1], rows[2], rows[3], to);
    write_sums(rows[4], rows[5], rows[6], rows[7], to + SUMS * LINE);
}

/* The tables of the output channels from `first` on, at one pixel of the output. */
static void write_tables(const task *t, const group *g, int64_t pixel, int64_t first, int64_t count) {
    const int64_t outputs = t->s->out_channels, apart = t->s->out_height * t->s->out_width * outputs;
    const float *from = t->gradient + g->image * apart + pixel * outputs;
    uint8_t *to = g->tables;
    for (int64_t o = first; o < first + count; o += EIGHT, to += 2 * SUMS * LINE)
        if (g->images == LANES && outputs - o >= EIGHT) write_eight(g, from + o, apart, EIGHT, LANES, to);
        else write_eight(g, from + o, apart, outputs - o, g->images, to);
}

/* ---- sums -------------------------------------------------------------------------------------------------------- */

static inline __m256i found(const uint8_t *table, uint8_t signs) { return load(table + 2 * (size_t)signs); }

/* What at most EIGHT fours of output channels give. */
static inline __attribute__((always_inline)) __m256i number_of(const uint8_t *tables, const uint8_t *weights, int count) {
    __m256i number = found(tables, weights[0]);
#pragma GCC unroll 8
    for (int i = 1; i < count; i++) number = _mm256_add_epi16(number, found(tables + i * SUMS * LINE, weights[i]));
    return number;
}

/* Adds what `count` fours of output channels give to all channels of one pixel of the input. */
static inline __attribute__((always_inline)) void add_fours(const uint8_t *tables, const uint8_t *weights, int count,
                                                            int64_t channels, total *totals) {
    for (int64_t c = 0; c < channels; c++, weights += count) {
        total sum = totals[c];
        add_number(&sum, number_of(tables, weights, count < EIGHT ? count : EIGHT));
        if (count > EIGHT) add_number(&sum, number_of(tables + EIGHT * SUMS * LINE, weights + EIGHT, count - EIGHT));
        totals[c] = sum;
    }
}

/* Adds a bundle of the gradient at one pixel of the output to the pixels of the input that reached it. */
static void add_bundle(const task *t, const group *g, int64_t pixel, int64_t count, const uint8_t *weights) {
    const shape *s = t->s;
    const int64_t top = pixel / s->out_width * s->stride_height - s->pad_height;
    const int64_t left = pixel % s->out_width * s->stride_width - s->pad_width;
    for (int64_t y = top; y < top + s->kernel_height; y++)
        for (int64_t x = left; x < left + s->kernel_width; x++, weights += t->channels * count) {
            if (y < 0 || y >= s->height || x < 0 || x >= s->width) continue;
            total *to = g->totals + (y % t->rows * s->width + x) * t->channels;
            if (count == BUNDLE) add_fours(g->tables, weights, BUNDLE, t->channels, to);
            else if (count == 8) add_fours(g->tables, weights, 8, t->channels, to);
            else if (count == 4) add_fours(g->tables, weights, 4, t->channels, to);
            else add_fours(g->tables, weights, (int)count, t->channels, to);
        }
}

/* ---- results ----------------------------------------------------------------------------------------------------- */

static inline void turn_floats(__m256 rows[8]) {
    __m256 a[8], b[8];
    for (int i = 0; i < 4; i++) {
        a[2 * i] = _mm256_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
        a[2 * i + 1] = _mm256_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++) {
            b[4 * i + 2 * k] = _mm256_shuffle_ps(a[4 * i + k], a[4 * i + 2 + k], 0x44);
            b[4 * i + 2 * k + 1] = _mm256_shuffle_ps(a[4 * i + k], a[4 * i + 2 + k], 0xee);
        }
    for (int i = 0; i < 4; i++) {
        rows[i] = _mm256_permute2f128_ps(b[i], b[4 + i], 0x20);
        rows[4 + i] = _mm256_permute2f128_ps(b[i], b[4 + i], 0x31);
    }
}

/* As finish, for eight values at once. */
static inline void finish_eight(__m256 value, const ending *e, int64_t at, int64_t count, float *to) {
    if (count < EIGHT) {
        float row[EIGHT];
        _mm256_storeu_ps(row, value);
        finish(row, e, at, count, to);
        return;
    }
    if (e->slope) {
        const __m256i bits = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(e->slope + at)));
        const __m256 slope = _mm256_castsi256_ps(_mm256_slli_epi32(bits, 16));
        const __m256 some = _mm256_cmp_ps(slope, _mm256_setzero_ps(), _CMP_NEQ_UQ);
        value = _mm256_and_ps(_mm256_mul_ps(value, slope), some);
    }
    if (e->more) value = _mm256_add_ps(value, _mm256_loadu_ps(e->more + at));
    _mm256_storeu_ps(to, value);
}

/* Writes what one pixel of the input has got, and clears it. */
static void write_pixel(const task *t, const group *g, int64_t pixel, total *totals) {
    const int64_t channels = t->s->channels, apart = t->s->height * t->s->width * channels;
    for (int64_t c = 0; c < channels; c += EIGHT) {
        __m256 rows[2][EIGHT];
        for (int k = 0; k < EIGHT; k++) {
            __m256i whole[2];
            whole_sums(totals + c + k, whole);
            rows[0][k] = _mm256_cvtepi32_ps(whole[0]);
            rows[1][k] = _mm256_cvtepi32_ps(whole[1]);
        }
        turn_floats(rows[0]);
        if (g->images > EIGHT) turn_floats(rows[1]);
        for (int64_t k = 0; k < g->images; k++) {
            const int64_t at = (g->image + k) * apart + pixel * channels + c;
            const __m256 value = _mm256_mul_ps(rows[k / EIGHT][k % EIGHT], _mm256_set1_ps(g->factors[k]));
            finish_eight(value, &t->end, at, channels - c, t->result + at);
        }
    }
    memset(totals, 0, (size_t)t->channels * sizeof *totals);
}

static void do_group(const task *t, group *g) {
    const shape *s = t->s;
    const int64_t taps = s->kernel_height * s->kernel_width;
    find_scales(t, g);
    for (int64_t row = 0, y = 0; row <= s->out_height; row++) {
        /* no later row of the output was reached from above of this one */
        const int64_t done = row < s->out_height ? least(row * s->stride_height - s->pad_height, s->height) : s->height;
        for (; y < done; y++)
            for (int64_t x = 0; x < s->width; x++)
                write_pixel(t, g, y * s->width + x, g->totals + (y % t->rows * s->width + x) * t->channels);
        if (row == s->out_height) break;
        for (int64_t pixel = row * s->out_width; pixel < (row + 1) * s->out_width; pixel++)
            for (int64_t i = 0; i < t->fours; i += BUNDLE) {
                const int64_t count = least(BUNDLE, t->fours - i);
                write_tables(t, g, pixel, i * FOUR, count * FOUR);
                add_bundle(t, g, pixel, count, t->weights + i * taps * t->channels);
            }
    }
}

/* ---- all together ------------------------------------------------------------------------------------------------ */

static void pack_signs(const task *t, const float *weight, const int64_t *strides, uint8_t *weights) {
    const shape *s = t->s;
    const int64_t taps = s->kernel_height * s->kernel_width;
    for (int64_t o = 0; o < s->out_channels; o++) {
        const int64_t bundle = o / FOUR / BUNDLE * BUNDLE, count = least(BUNDLE, t->fours - bundle);
        for (int64_t tap = 0; tap < taps; tap++) {
            const float *from =
                weight + o * strides[0] + tap / s->kernel_width * strides[2] + tap % s->kernel_width * strides[3];
            uint8_t *to = weights + (bundle * taps + tap * count) * t->channels + o / FOUR % BUNDLE;
            for (int64_t c = 0; c < s->channels; c++)
                to[c * count] |= (uint8_t)((from[c * strides[1]] >= 0) << (4 + o % FOUR));
        }
    }
}

static int do_part(const task *t, int64_t first, int64_t last) {
    const size_t size = (size_t)(t->rows * t->s->width * t->channels) * sizeof(total);
    group g;
    g.tables = aligned_alloc(64, BUNDLE * SUMS * LINE);
    g.totals = aligned_alloc(64, size);
    const int failed = !g.tables || !g.totals;
    if (!failed) memset(g.totals, 0, size);
    for (int64_t i = first; i < last && !failed; i++) {
        g.image = i * LANES;
        g.images = least(LANES, t->s->images - g.image);
        do_group(t, &g);
    }
    free(g.tables);
    free(g.totals);
    return failed;
}

/* As input_gradient, in whole numbers. */
int input_gradient_fixed(const float *gradient, const float *weight, const int64_t *strides, const uint16_t *slope,
                         const float *more, const shape *s, float *result, int64_t threads) {
    const int64_t taps = s->kernel_height * s->kernel_width, groups = parts(s->images, LANES);
    const int64_t fours = parts(s->out_channels, EIGHT) * 2, channels = parts(s->channels, EIGHT) * EIGHT;
    const int64_t rows = s->kernel_height + s->stride_height; /* more than are reached before the first ones are done */
    uint8_t *weights = calloc((size_t)(taps * channels * fours), 1);
    int failed = !weights;
    if (!failed) {
        const task t = {s, fours, channels, least(rows, s->height), gradient, weights, {slope, more}, result};
        pack_signs(&t, weight, strides, weights);
#pragma omp parallel for schedule(static) num_threads(threads) reduction(| : failed)
        for (int64_t part = 0; part < threads; part++)
            failed |= do_part(&t, groups * part / threads, groups * (part + 1) / threads);
    }
    free(weights);
    return failed;
}

#else

int fixed_point(void) { return 0; }

#endif
