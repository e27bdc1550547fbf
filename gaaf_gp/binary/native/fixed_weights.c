/* The gradient of the latent weights in whole numbers: gradients as 11-bit integers, four products of +-1 from a table.
 *
 * Four images go together. At each pixel of the output their four gradients have sixteen sums +-a+-b+-c+-d, which are
 * written down for sixteen output channels side by side; the signs of these images at the pixel and channel that a tap
 * sees say which of them counts. A border of zeros takes a seventeenth, which is zero. Each output channel has a scale of
 * its own for at most PLACES pixels of four images, and whole numbers add up without further error. Needs AVX2.
 */
#include <stdlib.h>
#include <string.h>

#include "fixed.h"

#ifdef __AVX2__

enum {
    PLACES = 64,               /* most places of one scale; a place is a pixel of the output in four images */
    CROWDED = 256,             /* channels whose numbers leave room for half as many in the nearest cache */
    TABLE = (SUMS + 1) * LINE, /* bytes of the sums of one place */
    TOGETHER = 4,              /* channels that share one reading of where their signs are */
    STEP = 8,                  /* numbers are the bytes that they are apart in a table, divided by four */
    NOTHING = STEP * SUMS,     /* the number of the sum that is zero */
};

typedef struct {
    int64_t area, taps, padded_width, plane; /* of four padded images: bytes */
    int64_t channels, blocks;                /* a multiple of LANES; of LANES output channels */
    int64_t fours, turn;                     /* of one turn: fours of images, and places at a time */
} layout;

typedef struct {
    uint8_t *numbers; /* (four, padded pixel, channel) */
    uint8_t *tables;  /* (place, TABLE) */
    int64_t *corners; /* (four, pixel of the output): its first tap, bytes from `numbers` */
} scratch;

static layout layout_of(const shape *s) {
    layout t;
    t.area = s->out_height * s->out_width;
    t.taps = s->kernel_height * s->kernel_width;
    t.padded_width = s->width + 2 * s->pad_width;
    t.channels = parts(s->channels, LANES) * LANES;
    t.plane = (s->height + 2 * s->pad_height) * t.padded_width * t.channels;
    t.blocks = parts(s->out_channels, LANES);
    const int64_t most = s->channels < CROWDED ? PLACES : PLACES / 2;
    t.fours = least(parts(most, t.area), parts(s->images + 1, FOUR)); /* at least one */
    const int64_t places = t.fours * t.area, turns = parts(places, most);
    t.turn = parts(parts(places, turns), EIGHT) * EIGHT; /* about the same for all */
    return t;
}

/* ---- the signs of four images ------------------------------------------------------------------------------------ */

/* Sixteen channels of one pixel: STEP times the number that its signs in four images make. */
static inline __m128i numbers_of(const uint16_t signs[FOUR]) {
    const __m128i which = _mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
    const __m128i spread = _mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
    __m128i numbers = _mm_setzero_si128();
#pragma GCC unroll 4
    for (int k = 0; k < FOUR; k++) {
        const __m128i bits = _mm_and_si128(_mm_shuffle_epi8(_mm_cvtsi32_si128(signs[k]), spread), which);
        const __m128i there = _mm_cmpeq_epi8(bits, which);
        numbers = _mm_or_si128(numbers, _mm_and_si128(there, _mm_set1_epi8((char)(STEP << k))));
    }
    return numbers;
}

/* The numbers of the images from `image` on, in whose place there is the border already. */
static void fill_numbers(const shape *s, const layout *t, const word *bits, int64_t images, uint8_t *numbers) {
    const int64_t words = parts(s->channels, BITS), apart = s->height * s->width * words;
    for (int64_t y = 0; y < s->height; y++) {
        uint8_t *to = numbers + ((y + s->pad_height) * t->padded_width + s->pad_width) * t->channels;
        const word *from = bits + y * s->width * words;
        for (int64_t x = 0; x < s->width; x++, from += words)
            for (int64_t c = 0; c < t->channels; c += LANES, to += LANES) {
                uint16_t signs[FOUR];
                for (int64_t k = 0; k < FOUR; k++)
                    signs[k] = (uint16_t)(from[(k < images ? k * apart : 0) + c / BITS] >> (c % BITS));
                _mm_storeu_si128((__m128i *)to, numbers_of(signs));
            }
    }
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

typedef struct {
    const float *gradient; /* of the first image of a turn, from the first of these output channels on */
    int64_t apart, outputs, images, width; /* of images and of pixels in it; of a turn; output channels */
} source;

static inline __m256 part_of(const source *from, int64_t place, int64_t area, int64_t k, int64_t half) {
    const int64_t image = place / area * FOUR + k;
    if (image >= from->images) return _mm256_setzero_ps();
    return eight(from->gradient + image * from->apart + place % area * from->outputs + half * EIGHT,
                 from->width - half * EIGHT);
}

/* The tables of the places first to last, and zeros up to a multiple of EIGHT; factors undo the scales. */
static void write_tables(const layout *t, const source *from, int64_t first, int64_t last, uint8_t *tables,
                         __m256 factors[2]) {
    __m256 scales[2];
    for (int half = 0; half < 2; half++) {
        extent all = {_mm256_setzero_ps(), _mm256_setzero_ps()};
        for (int64_t i = first; i < last; i++)
            for (int64_t k = 0; k < FOUR; k++) measure(part_of(from, i, t->area, k, half), &all);
        float large[EIGHT], scale[EIGHT], factor[EIGHT];
        const int strange = _mm256_movemask_ps(all.odd);
        _mm256_storeu_ps(large, all.largest);
        for (int i = 0; i < EIGHT; i++) {
            scale[i] = scale_of(large[i], strange >> i & 1);
            factor[i] = undo(scale[i]);
        }
        scales[half] = _mm256_loadu_ps(scale);
        factors[half] = _mm256_loadu_ps(factor);
    }
    for (int64_t i = first; i < last; i++, tables += TABLE) {
        __m256i four[FOUR];
#pragma GCC unroll 4
        for (int64_t k = 0; k < FOUR; k++)
            four[k] = _mm256_set_m128i(quantized(part_of(from, i, t->area, k, 1), scales[1]),
                                       quantized(part_of(from, i, t->area, k, 0), scales[0]));
        write_sums(four[0], four[1], four[2], four[3], tables);
    }
    for (int64_t i = last; (i - first) % EIGHT; i++, tables += TABLE) memset(tables, 0, TABLE);
}

/* ---- sums -------------------------------------------------------------------------------------------------------- */

static inline __m256i found(const uint8_t *table, uint8_t number) { return load(table + 4 * (size_t)number); }

static inline void add_to(const total *from, const __m256 factors[2], float *sums) {
    __m256i whole[2];
    whole_sums(from, whole);
    for (int half = 0; half < 2; half++) {
        const __m256 before = _mm256_loadu_ps(sums + half * EIGHT);
        _mm256_storeu_ps(sums + half * EIGHT, _mm256_fmadd_ps(_mm256_cvtepi32_ps(whole[half]), factors[half], before));
    }
}

/* Adds the products of some places, a multiple of EIGHT, for TOGETHER channels to sums (TOGETHER, LANES). */
static void add_places(const uint8_t *tables, const uint8_t *numbers, const int64_t *corners, int64_t places,
                       const __m256 factors[2], float *sums) {
    const __m256i zero = _mm256_setzero_si256();
    total a = {zero, zero}, b = a, c = a, d = a;
    for (int64_t i = 0; i < places; i += EIGHT, tables += EIGHT * TABLE, corners += EIGHT) {
        const uint8_t *at = numbers + corners[0];
        __m256i e = found(tables, at[0]), f = found(tables, at[1]), g = found(tables, at[2]), h = found(tables, at[3]);
#pragma GCC unroll 8
        for (int k = 1; k < EIGHT; k++) {
            at = numbers + corners[k];
            e = _mm256_add_epi16(e, found(tables + k * TABLE, at[0]));
            f = _mm256_add_epi16(f, found(tables + k * TABLE, at[1]));
            g = _mm256_add_epi16(g, found(tables + k * TABLE, at[2]));
            h = _mm256_add_epi16(h, found(tables + k * TABLE, at[3]));
        }
        add_number(&a, e);
        add_number(&b, f);
        add_number(&c, g);
        add_number(&d, h);
    }
    add_to(&a, factors, sums);
    add_to(&b, factors, sums + LANES);
    add_to(&c, factors, sums + 2 * LANES);
    add_to(&d, factors, sums + 3 * LANES);
}

/* sums (block, tap, channel, LANES) += the products of a turn's images. */
static void do_turn(const shape *s, const layout *t, const scratch *m, const float *gradient, int64_t images,
                    float *sums) {
    const int64_t places = parts(images, FOUR) * t->area;
    for (int64_t block = 0; block < t->blocks; block++) {
        const source from = {gradient + block * LANES, t->area * s->out_channels, s->out_channels, images,
                             s->out_channels - block * LANES};
        for (int64_t first = 0; first < places; first += t->turn) {
            const int64_t last = least(first + t->turn, places);
            __m256 factors[2];
            write_tables(t, &from, first, last, m->tables, factors);
            for (int64_t tap = 0; tap < t->taps; tap++) {
                const int64_t offset = (tap / s->kernel_width * t->padded_width + tap % s->kernel_width) * t->channels;
                float *to = sums + (block * t->taps + tap) * t->channels * LANES;
                for (int64_t c = 0; c < s->channels; c += TOGETHER)
                    add_places(m->tables, m->numbers + offset + c, m->corners + first,
                               parts(last - first, EIGHT) * EIGHT, factors, to + c * LANES);
            }
        }
    }
}

/* ---- all together ------------------------------------------------------------------------------------------------ */

static int make_scratch(const shape *s, const layout *t, scratch *m) {
    const int64_t places = t->fours * t->area;
    m->numbers = malloc((size_t)(t->fours * t->plane));
    m->tables = calloc((size_t)(t->turn * TABLE), 1); /* what is never written is the seventeenth sum */
    m->corners = calloc((size_t)(places + EIGHT), sizeof *m->corners);
    if (!m->numbers || !m->tables || !m->corners) return 1;
    memset(m->numbers, s->pad_sign > 0 ? NOTHING - STEP : s->pad_sign ? 0 : NOTHING, (size_t)(t->fours * t->plane));
    for (int64_t i = 0; i < places; i++) {
        const int64_t pixel = i % t->area;
        m->corners[i] = i / t->area * t->plane + (pixel / s->out_width * s->stride_height * t->padded_width +
                                                  pixel % s->out_width * s->stride_width) * t->channels;
    }
    return 0;
}

static int do_part(const shape *s, const layout *t, const word *bits, const float *gradient, int64_t first,
                   int64_t last, float *sums) {
    const int64_t plane = s->height * s->width * parts(s->channels, BITS);
    scratch m;
    const int failed = make_scratch(s, t, &m);
    for (int64_t image = first; image < last && !failed; image += t->fours * FOUR) {
        const int64_t images = least(t->fours * FOUR, last - image);
        for (int64_t k = 0; k < images; k += FOUR)
            fill_numbers(s, t, bits + (image + k) * plane, images - k, m.numbers + k / FOUR * t->plane);
        do_turn(s, t, &m, gradient + image * t->area * s->out_channels, images, sums);
    }
    free(m.numbers);
    free(m.tables);
    free(m.corners);
    return failed;
}

static void write_result(const shape *s, const layout *t, const float *weight, const int64_t *strides, float window,
                         const float *sums, int64_t size, int64_t threads, float *result) {
    for (int64_t o = 0; o < s->out_channels; o++)
        for (int64_t tap = 0; tap < t->taps; tap++) {
            const float *from =
                weight + o * strides[0] + tap / s->kernel_width * strides[2] + tap % s->kernel_width * strides[3];
            const float *own = sums + (o / LANES * t->taps + tap) * t->channels * LANES + o % LANES;
            float *to = result + (o * t->taps + tap) * s->channels;
            for (int64_t c = 0; c < s->channels; c++) {
                float all = 0;
                for (int64_t part = 0; part < threads; part++) all += own[part * size + c * LANES];
                to[c] = fabsf(from[c * strides[1]]) <= window ? all : 0.0f;
            }
        }
}

/* As weight_gradient, in whole numbers. */
int weight_gradient_fixed(const word *bits, const float *gradient, const float *weight, const int64_t *strides,
                          float window, const shape *s, float *result, int64_t threads) {
    const layout t = layout_of(s);
    const int64_t size = t.blocks * t.taps * t.channels * LANES;
    float *sums = calloc((size_t)(threads * size), sizeof *sums);
    int failed = !sums;
    if (!failed) {
#pragma omp parallel for schedule(static) num_threads(threads) reduction(| : failed)
        for (int64_t part = 0; part < threads; part++)
            failed |= do_part(s, &t, bits, gradient, s->images * part / threads, s->images * (part + 1) / threads,
                              sums + part * size);
        write_result(s, &t, weight, strides, window, sums, size, threads, result);
    }
    free(sums);
    return failed;
}
#endif
