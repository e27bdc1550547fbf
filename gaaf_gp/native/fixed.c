/* Backward in whole numbers: gradients as 11-bit integers, four products of +-1 at a time read from a table.
 *
 * Four gradients a, b, c, d have sixteen sums +-a+-b+-c+-d. They are written down once, as sixteen low and sixteen high
 * bytes; the signs of a channel are then a number from 0 to 15, and one shuffle of bytes looks the sums of 32 channels
 * up. Each image (for the weights: each block of pixels of each channel) has a scale of its own, so the rounding is that
 * of a bfloat16, and whole numbers add up without further error. Needs AVX2.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

#ifdef __AVX2__
#include <immintrin.h>

enum {
    LARGEST = 1023, /* of a gradient: FLUSH steps of 4 such sums stay within 16 bits */
    FLUSH = 8,
    CHANNELS = 16,  /* channels of one vector; its two halves hold different gradients */
    PER_STEP = 8,   /* gradients of one step, four in each half */
    TABLE = 64,     /* bytes of the table of one step: 32 low, 32 high */
    BLOCK = 256,    /* pixels that the weights' gradient adds up before it leaves whole numbers */
    JOINT = 4,      /* output channels that share one reading of the signs */
    WIDE = 8,       /* output channels whose tables are written together */
};

int fixed_point(void) { return 1; }

static inline __m256i load(const void *from) { return _mm256_loadu_si256((const __m256i *)from); }

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
    if (count >= 8) return _mm256_loadu_ps(from);
    float padded[8] = {0};
    memcpy(padded, from, (size_t)count * sizeof *from);
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

/* The sums of eight gradients of 16 bits, with which they are multiplied by any signs. */
static inline void write_table(__m128i gradients, uint8_t *table) {
    const __m256i signs[4] = {
        _mm256_setr_epi16(-1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1),
        _mm256_setr_epi16(-1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1),
        _mm256_setr_epi16(-1, -1, -1, -1, 1, 1, 1, 1, -1, -1, -1, -1, 1, 1, 1, 1),
        _mm256_setr_epi16(-1, -1, -1, -1, -1, -1, -1, -1, 1, 1, 1, 1, 1, 1, 1, 1),
    };
    const __m256i both = _mm256_broadcastsi128_si256(gradients), byte = _mm256_set1_epi16(0xff);
    __m256i half[2];
#pragma GCC unroll 2
    for (int h = 0; h < 2; h++) {
        __m256i sum = _mm256_setzero_si256();
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) {
            const __m256i which = _mm256_set1_epi16((short)(((8 * h + 2 * k + 1) << 8) | (8 * h + 2 * k)));
            sum = _mm256_add_epi16(sum, _mm256_sign_epi16(_mm256_shuffle_epi8(both, which), signs[k]));
        }
        half[h] = sum;
    }
    const __m256i low = _mm256_packus_epi16(_mm256_and_si256(half[0], byte), _mm256_and_si256(half[1], byte));
    const __m256i high = _mm256_packus_epi16(_mm256_srli_epi16(half[0], 8), _mm256_srli_epi16(half[1], 8));
    _mm256_storeu_si256((__m256i *)table, _mm256_permute4x64_epi64(low, 0xd8));
    _mm256_storeu_si256((__m256i *)(table + 32), _mm256_permute4x64_epi64(high, 0xd8));
}

/* sums[0], sums[1]: channels 0 to 7 and 8 to 15 of both halves, 16 bits each. */
static inline __attribute__((always_inline)) void look_up(__m256i low, __m256i high, __m256i signs, __m256i sums[2]) {
    const __m256i l = _mm256_shuffle_epi8(low, signs), h = _mm256_shuffle_epi8(high, signs);
    sums[0] = _mm256_add_epi16(sums[0], _mm256_unpacklo_epi8(l, h));
    sums[1] = _mm256_add_epi16(sums[1], _mm256_unpackhi_epi8(l, h));
}

/* Adds 16-bit sums to the 32-bit sums of sixteen channels, both halves together, and clears them. */
static inline __attribute__((always_inline)) void flush(__m256i sums[2], __m256i wide[2]) {
    for (int k = 0; k < 2; k++) {
        wide[k] = _mm256_add_epi32(wide[k], _mm256_cvtepi16_epi32(_mm256_castsi256_si128(sums[k])));
        wide[k] = _mm256_add_epi32(wide[k], _mm256_cvtepi16_epi32(_mm256_extracti128_si256(sums[k], 1)));
        sums[k] = _mm256_setzero_si256();
    }
}

static inline void as_floats(const __m256i wide[2], float factor, float *to) {
    _mm256_storeu_ps(to, _mm256_mul_ps(_mm256_cvtepi32_ps(wide[0]), _mm256_set1_ps(factor)));
    _mm256_storeu_ps(to + 8, _mm256_mul_ps(_mm256_cvtepi32_ps(wide[1]), _mm256_set1_ps(factor)));
}

/* ---- the gradient of the input --------------------------------------------------------------------------------- */

/* signs (tap, step, block of channels, 32 bytes): four signs of a latent weight of each channel in each byte. */
static void pack_signs(const float *weight, const int64_t *strides, const shape *s, uint8_t *signs) {
    const int64_t steps = parts(s->out_channels, PER_STEP), blocks = parts(s->channels, CHANNELS);
    for (int64_t o = 0; o < s->out_channels; o++)
        for (int64_t tap = 0; tap < s->kernel_height * s->kernel_width; tap++) {
            const float *from =
                weight + o * strides[0] + tap / s->kernel_width * strides[2] + tap % s->kernel_width * strides[3];
            uint8_t *to = signs + (tap * steps + o / PER_STEP) * blocks * 32 + o % PER_STEP / 4 * CHANNELS;
            for (int64_t c = 0; c < s->channels; c++)
                to[c / CHANNELS * 32 + c % CHANNELS] |= (uint8_t)((from[c * strides[1]] >= 0) << (o % 4));
        }
}

/* tables (pixel, step) of one image; returns their scale. */
static float image_tables(const shape *s, const float *gradient, uint8_t *tables) {
    const int64_t area = s->out_height * s->out_width, steps = parts(s->out_channels, PER_STEP);
    extent all = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    const int64_t count = area * s->out_channels;
    for (int64_t i = 0; i < count; i += 8) measure(eight(gradient + i, count - i), &all);
    float sizes[8], largest = 0;
    _mm256_storeu_ps(sizes, all.largest);
    for (int k = 0; k < 8; k++) largest = sizes[k] > largest ? sizes[k] : largest;
    const float scale = scale_of(largest, _mm256_movemask_ps(all.odd));
    const __m256 times = _mm256_set1_ps(scale);
    for (int64_t pixel = 0; pixel < area; pixel++)
        for (int64_t i = 0; i < steps; i++) {
            const float *from = gradient + pixel * s->out_channels + i * PER_STEP;
            write_table(quantized(eight(from, s->out_channels - i * PER_STEP), times),
                        tables + (pixel * steps + i) * TABLE);
        }
    return scale;
}

/* Sums of `count` blocks of sixteen channels over all taps that reach one pixel. */
static inline __attribute__((always_inline)) void pixel_sums(const uint8_t *tables, const uint8_t *signs,
                                                             const meeting *met, int64_t meetings, int64_t steps,
                                                             int64_t blocks, int count, __m256i wide[][2]) {
    __m256i sums[3][2];
    int64_t pending = 0;
    for (int b = 0; b < count; b++)
        for (int k = 0; k < 2; k++) sums[b][k] = wide[b][k] = _mm256_setzero_si256();
    for (int64_t m = 0; m < meetings; m++) {
        const uint8_t *table = tables + met[m].pixel * steps * TABLE;
        const uint8_t *sign = signs + met[m].number * steps * blocks * 32;
        for (int64_t i = 0; i < steps; i++, table += TABLE, sign += blocks * 32) {
            const __m256i low = load(table), high = load(table + 32);
#pragma GCC unroll 3
            for (int b = 0; b < count; b++) look_up(low, high, load(sign + b * 32), sums[b]);
            if (++pending == FLUSH) {
                for (int b = 0; b < count; b++) flush(sums[b], wide[b]);
                pending = 0;
            }
        }
    }
    for (int b = 0; b < count; b++) flush(sums[b], wide[b]);
}

typedef struct {
    meeting *met;
    int64_t *first; /* the meetings of a pixel are first[pixel] to first[pixel + 1] */
} calendar;

static int make_calendar(const shape *s, calendar *c) {
    const int64_t plane = s->height * s->width, taps = s->kernel_height * s->kernel_width;
    c->met = malloc((size_t)(plane * taps) * sizeof *c->met);
    c->first = malloc((size_t)(plane + 1) * sizeof *c->first);
    if (!c->met || !c->first) return 1;
    c->first[0] = 0;
    for (int64_t i = 0; i < plane; i++)
        c->first[i + 1] =
            c->first[i] + meetings_of(s, i / s->width, i % s->width, c->met + c->first[i]);
    return 0;
}

static void image_input_gradient(const shape *s, const calendar *c, const uint8_t *tables, const uint8_t *signs,
                                 float factor, const ending *end, int64_t start, float *result) {
    const int64_t steps = parts(s->out_channels, PER_STEP), blocks = parts(s->channels, CHANNELS);
    for (int64_t pixel = 0; pixel < s->height * s->width; pixel++) {
        const meeting *met = c->met + c->first[pixel];
        const int64_t meetings = c->first[pixel + 1] - c->first[pixel];
        for (int64_t block = 0; block < blocks;) {
            const uint8_t *from = signs + block * 32;
            const int count = blocks - block >= 4 ? (blocks - block == 4 ? 2 : 3) : (int)(blocks - block);
            __m256i wide[3][2];
            if (count == 3) pixel_sums(tables, from, met, meetings, steps, blocks, 3, wide);
            else if (count == 2) pixel_sums(tables, from, met, meetings, steps, blocks, 2, wide);
            else pixel_sums(tables, from, met, meetings, steps, blocks, 1, wide);
            for (int b = 0; b < count; b++, block++) {
                const int64_t first = block * CHANNELS, width = least(CHANNELS, s->channels - first);
                const int64_t at = start + pixel * s->channels + first;
                float row[CHANNELS];
                as_floats(wide[b], factor, row);
                finish(row, end, at, width, result + at);
            }
        }
    }
}

/* As input_gradient, in whole numbers. */
int input_gradient_fixed(const float *gradient, const float *weight, const int64_t *strides, const uint16_t *slope,
                         const float *more, const shape *s, float *result, int64_t threads) {
    const int64_t taps = s->kernel_height * s->kernel_width, steps = parts(s->out_channels, PER_STEP);
    const int64_t sign_size = taps * steps * parts(s->channels, CHANNELS) * 32;
    const int64_t area = s->out_height * s->out_width, plane = s->height * s->width * s->channels;
    const int64_t table_size = area * steps * TABLE;
    uint8_t *signs = calloc((size_t)sign_size, 1), *tables = malloc((size_t)(threads * table_size));
    calendar c;
    const int failed = make_calendar(s, &c) || !signs || !tables;
    if (!failed) {
        pack_signs(weight, strides, s, signs);
#pragma omp parallel for schedule(static) num_threads(threads)
        for (int64_t part = 0; part < threads; part++)
            for (int64_t i = s->images * part / threads; i < s->images * (part + 1) / threads; i++) {
                uint8_t *own = tables + part * table_size;
                const float scale = image_tables(s, gradient + i * area * s->out_channels, own);
                image_input_gradient(s, &c, own, signs, undo(scale), &(ending){slope, more}, i * plane, result);
            }
    }
    free(signs);
    free(tables);
    free(c.met);
    free(c.first);
    return failed;
}

/* ---- the gradient of the weights ------------------------------------------------------------------------------- */

typedef struct {
    int64_t area, taps, padded_width, plane, pixel_bytes, blocks, images; /* images: of one turn */
} layout;

static layout layout_of(const shape *s) {
    layout t;
    t.area = s->out_height * s->out_width;
    t.taps = s->kernel_height * s->kernel_width;
    t.padded_width = s->width + 2 * s->pad_width;
    t.pixel_bytes = parts(s->channels, CHANNELS) * 2;
    t.plane = (s->height + 2 * s->pad_height) * t.padded_width * t.pixel_bytes;
    t.blocks = parts(s->channels, CHANNELS);
    t.images = parts(BLOCK, t.area);
    return t;
}

/* The sixteen channels' bits of a block of pixels as numbers of four pixels: 32 bytes for every eight pixels. */
static void pixel_signs(const uint8_t *padded, const int64_t *corners, int64_t count, uint8_t *signs) {
    const __m256i which = _mm256_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16,
                                           32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
    const __m256i spread = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 8, 8, 8, 8, 8, 8, 8, 8, 9, 9,
                                            9, 9, 9, 9, 9, 9); /* pixels k and k + 4 */
    for (int64_t i = 0; i < count; i += PER_STEP, signs += 32) {
        uint16_t own[PER_STEP];
#pragma GCC unroll 8
        for (int k = 0; k < PER_STEP; k++) memcpy(own + k, padded + corners[i + k], 2);
        const __m256i all = _mm256_broadcastsi128_si256(_mm_setr_epi16(
            (short)own[0], (short)own[1], (short)own[2], (short)own[3], (short)own[4], (short)own[5], (short)own[6],
            (short)own[7]));
        __m256i numbers = _mm256_setzero_si256();
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) {
            const __m256i pixel = _mm256_shuffle_epi8(all, _mm256_add_epi8(spread, _mm256_set1_epi8((char)(2 * k))));
            const __m256i there = _mm256_cmpeq_epi8(_mm256_and_si256(pixel, which), which);
            numbers = _mm256_or_si256(numbers, _mm256_and_si256(there, _mm256_set1_epi8((char)(1 << k))));
        }
        _mm256_storeu_si256((__m256i *)signs, numbers);
    }
}

/* Adds the products of JOINT output channels with sixteen channels of signs to `to`, CHANNELS floats each; `border` is
 * what they lack. */
static void block_products(const uint8_t *tables, const uint8_t *signs, int64_t steps, const int32_t *border,
                           const float *factors, float *const *to) {
    __m256i wide[JOINT][2];
    for (int j = 0; j < JOINT; j++) wide[j][0] = wide[j][1] = _mm256_set1_epi32(border[j]);
    for (int64_t first = 0; first < steps; first += FLUSH) {
        const int64_t last = least(first + FLUSH, steps);
        __m256i sums[JOINT][2];
        for (int j = 0; j < JOINT; j++) sums[j][0] = sums[j][1] = _mm256_setzero_si256();
        for (int64_t i = first; i < last; i++) {
            const __m256i sign = load(signs + i * 32);
#pragma GCC unroll 4
            for (int j = 0; j < JOINT; j++) {
                const uint8_t *table = tables + (j * BLOCK / PER_STEP + i) * TABLE;
                look_up(load(table), load(table + 32), sign, sums[j]);
            }
        }
        for (int j = 0; j < JOINT; j++) flush(sums[j], wide[j]);
    }
    for (int j = 0; j < JOINT; j++) {
        float row[CHANNELS];
        as_floats(wide[j], factors[j], row);
        for (int c = 0; c < CHANNELS; c++) to[j][c] += row[c];
    }
}

typedef struct {
    uint8_t *padded, *signs, *tables;
    int64_t *corners; /* of each output pixel of a turn, its first tap: bytes from `padded` */
    int16_t *whole;   /* (pixel of a block, WIDE): its gradients as whole numbers */
    int32_t *border;  /* (tap, WIDE): the sums of those whose tap is outside of the image */
    float factors[WIDE];
} scratch;

static int make_scratch(const shape *s, const layout *t, scratch *m) {
    m->padded = calloc((size_t)(t->images * t->plane + 8), 1);
    m->signs = malloc((size_t)(t->taps * t->blocks * BLOCK / PER_STEP * 32));
    m->tables = malloc((size_t)(WIDE * BLOCK / PER_STEP * TABLE));
    m->corners = calloc((size_t)(t->images * t->area + PER_STEP), sizeof *m->corners);
    m->whole = malloc(BLOCK * WIDE * sizeof *m->whole);
    m->border = calloc((size_t)(t->taps * WIDE), sizeof *m->border);
    if (m->padded && s->pad_sign > 0) memset(m->padded, 0xff, (size_t)(t->images * t->plane));
    for (int64_t i = 0; m->corners && i < t->images * t->area; i++) {
        const int64_t place = i % t->area;
        m->corners[i] = i / t->area * t->plane + (place / s->out_width * s->stride_height * t->padded_width +
                                                  place % s->out_width * s->stride_width) * t->pixel_bytes;
    }
    return !m->padded || !m->signs || !m->tables || !m->corners || !m->whole || !m->border;
}

static void free_scratch(scratch *m) {
    free(m->padded);
    free(m->signs);
    free(m->tables);
    free(m->corners);
    free(m->whole);
    free(m->border);
}

static void pad_images(const shape *s, const layout *t, const word *bits, int64_t images, uint8_t *padded) {
    const int64_t words = parts(s->channels, BITS);
    for (int64_t image = 0; image < images; image++)
        for (int64_t y = 0; y < s->height; y++) {
            const word *from = bits + (image * s->height + y) * s->width * words;
            uint8_t *to = padded + image * t->plane + ((y + s->pad_height) * t->padded_width + s->pad_width) * t->pixel_bytes;
            if (t->pixel_bytes == 2)
                for (int64_t x = 0; x < s->width; x++) memcpy(to + 2 * x, from + x, 2);
            else
                for (int64_t x = 0; x < s->width; x++)
                    memcpy(to + x * t->pixel_bytes, from + x * words, (size_t)t->pixel_bytes);
        }
}

static inline void transpose(__m128i rows[8]) {
    __m128i a[8], b[8];
    for (int i = 0; i < 4; i++) {
        a[2 * i] = _mm_unpacklo_epi16(rows[2 * i], rows[2 * i + 1]);
        a[2 * i + 1] = _mm_unpackhi_epi16(rows[2 * i], rows[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++) {
            b[4 * i + 2 * k] = _mm_unpacklo_epi32(a[4 * i + k], a[4 * i + 2 + k]);
            b[4 * i + 2 * k + 1] = _mm_unpackhi_epi32(a[4 * i + k], a[4 * i + 2 + k]);
        }
    for (int i = 0; i < 4; i++) {
        rows[2 * i] = _mm_unpacklo_epi64(b[i], b[4 + i]);
        rows[2 * i + 1] = _mm_unpackhi_epi64(b[i], b[4 + i]);
    }
}

/* The tables of WIDE output channels for a block of pixels; factors undo their scales. */
static void block_tables(const float *gradient, int64_t apart, int64_t pixels, int64_t count, scratch *m) {
    extent all = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    for (int64_t i = 0; i < pixels; i++) measure(eight(gradient + i * apart, count), &all);
    float scales[WIDE], large[WIDE];
    const int strange = _mm256_movemask_ps(all.odd);
    _mm256_storeu_ps(large, all.largest);
    for (int j = 0; j < WIDE; j++) {
        scales[j] = scale_of(large[j], strange >> j & 1);
        m->factors[j] = undo(scales[j]);
    }
    const __m256 times = _mm256_loadu_ps(scales);
    for (int64_t i = 0; i < pixels; i += PER_STEP) {
        __m128i rows[8];
        for (int64_t k = 0; k < 8; k++) {
            rows[k] = quantized(i + k < pixels ? eight(gradient + (i + k) * apart, count) : _mm256_setzero_ps(), times);
            _mm_storeu_si128((__m128i *)(m->whole + (i + k) * WIDE), rows[k]);
        }
        transpose(rows);
        for (int64_t j = 0; j < WIDE; j++)
            write_table(rows[j], m->tables + (j * BLOCK + i) / PER_STEP * TABLE);
    }
}

/* The bits of a border of zeros were taken for -1: what the products of a block lack, see scratch. */
static void block_border(const calendar *outside, int64_t area, int64_t first, int64_t pixels, int64_t taps,
                         scratch *m) {
    memset(m->border, 0, (size_t)(taps * WIDE) * sizeof *m->border);
    for (int64_t i = 0; i < pixels; i++) {
        const int64_t place = (first + i) % area;
        const __m256i own = _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)(m->whole + i * WIDE)));
        for (int64_t k = outside->first[place]; k < outside->first[place + 1]; k++) {
            __m256i *to = (__m256i *)(m->border + outside->met[k].number * WIDE);
            _mm256_storeu_si256(to, _mm256_add_epi32(_mm256_loadu_si256(to), own));
        }
    }
}

/* sums (output channel, tap, CHANNELS * blocks) += the products of the pixels first to last of a turn's images. */
static void add_block(const shape *s, const layout *t, const calendar *outside, scratch *m, const float *gradient,
                      int64_t first, int64_t pixels, float *sums) {
    const int64_t steps = parts(pixels, PER_STEP), size = t->taps * t->blocks * CHANNELS;
    for (int64_t tap = 0; tap < t->taps; tap++)
        for (int64_t block = 0; block < t->blocks; block++) {
            const int64_t offset =
                (tap / s->kernel_width * t->padded_width + tap % s->kernel_width) * t->pixel_bytes + block * 2;
            pixel_signs(m->padded + offset, m->corners + first, steps * PER_STEP,
                        m->signs + (tap * t->blocks + block) * BLOCK / PER_STEP * 32);
        }
    for (int64_t o = 0; o < s->out_channels; o++) {
        const int64_t own = o % WIDE;
        float *to[JOINT], unused[CHANNELS] = {0};
        if (own == 0) {
            block_tables(gradient + first * s->out_channels + o, s->out_channels, pixels, s->out_channels - o, m);
            if (s->pad_sign == 0) block_border(outside, t->area, first, pixels, t->taps, m);
        }
        if (o % JOINT) continue;
        for (int64_t i = 0; i < t->taps * t->blocks; i++) {
            for (int64_t j = 0; j < JOINT; j++)
                to[j] = o + j < s->out_channels ? sums + (o + j) * size + i * CHANNELS : unused;
            block_products(m->tables + own * BLOCK / PER_STEP * TABLE, m->signs + i * BLOCK / PER_STEP * 32, steps,
                           m->border + i / t->blocks * WIDE + own, m->factors + own, to);
        }
    }
}

/* For each output pixel of an image, the taps that are outside of it. */
static int make_outside(const shape *s, const layout *t, calendar *c) {
    c->met = malloc((size_t)(t->area * t->taps) * sizeof *c->met);
    c->first = malloc((size_t)(t->area + 1) * sizeof *c->first);
    if (!c->met || !c->first) return 1;
    int64_t count = c->first[0] = 0;
    for (int64_t i = 0; i < t->area; i++) {
        for (int64_t tap = 0; tap < t->taps; tap++) {
            const int64_t y = i / s->out_width * s->stride_height - s->pad_height + tap / s->kernel_width;
            const int64_t x = i % s->out_width * s->stride_width - s->pad_width + tap % s->kernel_width;
            if (y >= 0 && y < s->height && x >= 0 && x < s->width) continue;
            c->met[count++] = (meeting){(int32_t)tap, (int32_t)i};
        }
        c->first[i + 1] = count;
    }
    return 0;
}

/* sums: (output channel, tap, CHANNELS * blocks). */
static int weight_gradient_fixed_part(const shape *s, const layout *t, const calendar *outside, const word *bits,
                                      const float *gradient, int64_t first, int64_t last, float *sums) {
    scratch m;
    int failed = make_scratch(s, t, &m);
    for (int64_t image = first; image < last && !failed; image += t->images) {
        const int64_t images = least(t->images, last - image), pixels = images * t->area;
        const float *from = gradient + image * t->area * s->out_channels;
        pad_images(s, t, bits + image * s->height * s->width * parts(s->channels, BITS), images, m.padded);
        for (int64_t at = 0; at < pixels; at += BLOCK)
            add_block(s, t, outside, &m, from, at, least(BLOCK, pixels - at), sums);
    }
    free_scratch(&m);
    return failed;
}

/* As weight_gradient, in whole numbers. */
int weight_gradient_fixed(const word *bits, const float *gradient, const float *weight, const int64_t *strides,
                          float window, const shape *s, float *result, int64_t threads) {
    const layout t = layout_of(s);
    const int64_t row = t.taps * t.blocks * CHANNELS, size = row * s->out_channels;
    float *sums = calloc((size_t)(threads * size), sizeof *sums);
    calendar outside;
    int failed = make_outside(s, &t, &outside) || !sums;
    if (!failed) {
#pragma omp parallel for schedule(static) num_threads(threads) reduction(| : failed)
        for (int64_t part = 0; part < threads; part++)
            failed |= weight_gradient_fixed_part(s, &t, &outside, bits, gradient, s->images * part / threads,
                                                 s->images * (part + 1) / threads, sums + part * size);
        for (int64_t o = 0; o < s->out_channels; o++)
            for (int64_t tap = 0; tap < t.taps; tap++) {
                const float *from =
                    weight + o * strides[0] + tap / s->kernel_width * strides[2] + tap % s->kernel_width * strides[3];
                for (int64_t c = 0; c < s->channels; c++) {
                    float total = 0;
                    for (int64_t part = 0; part < threads; part++)
                        total += sums[part * size + o * row + tap * t.blocks * CHANNELS + c];
                    result[(o * t.taps + tap) * s->channels + c] = fabsf(from[c * strides[1]]) <= window ? total : 0.0f;
                }
            }
    }
    free(sums);
    free(outside.met);
    free(outside.first);
    return failed;
}

#else

int fixed_point(void) { return 0; }

#endif
