/* The binary convolution of sign(f(x)) with the signs of latent weights, forward and backward, in float32 on a CPU.
 *
 * Forward multiplies bits: an exclusive or and a population count stand for 64 products of +-1, and the sums are exact
 * integers. Backward multiplies real gradients by +-1: ordinary matrix products, blocked for the registers. Tensors
 * are dense and "channels last", (N, H, W, C) in memory. Every function takes its number of threads; for one number of
 * threads the order of all sums is fixed.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

typedef float vec __attribute__((vector_size(32), aligned(4)));
enum {
    LANES = 8,
    ROWS = 6,          /* a tile of sums is ROWS x COLUMNS: twelve vector registers */
    COLUMNS = 2 * LANES,
    GROUP = 4,         /* output pixels that share one reading of the weights' bits */
    STRETCH = 64,      /* pixels whose indices are looked up while they are close */
    TILES = 2,         /* tiles of the input's gradient that share one reading of the weights */
    LEAST_PIXELS = 96, /* pixels of one matrix product of the weights' gradient: as many images as that takes */
};

/* ---- the sign of f -------------------------------------------------------------------------------------------- */

static inline uint16_t bfloat16_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16; /* to nearest, ties to even */
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : rounded);
}

/* An entry of the table, at the bits of the bfloat16 nearest to an x: the slope there, a bfloat16, and the sign in the
 * highest bit. slope[i] = that of x[i]; bits = the signs: for each pixel parts(channels, 64) words. */
void sign_by_table(const float *x, const uint32_t *table, int64_t pixels, int64_t channels, uint16_t *slope, word *bits,
                   int64_t threads) {
    const int64_t words = parts(channels, BITS);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t part = 0; part < threads; part++) {
        const int64_t last = pixels * (part + 1) / threads;
        for (int64_t first = pixels * part / threads; first < last; first += STRETCH) {
            const int64_t end = least(first + STRETCH, last);
            for (int64_t i = first * channels; i < end * channels; i++) slope[i] = bfloat16_bits(x[i]);
            for (int64_t pixel = first; pixel < end; pixel++)
                for (int64_t w = 0; w < words; w++) {
                    const int64_t count = least(BITS, channels - w * BITS);
                    uint16_t *own = slope + pixel * channels + w * BITS;
                    uint8_t flags[BITS];
                    memset(flags + (count - 1) / 8 * 8, 0, 8);
                    for (int64_t c = 0; c < count; c++) {
                        const uint32_t found = table[own[c]];
                        own[c] = (uint16_t)found;
                        flags[c] = (uint8_t)(found >> 31);
                    }
                    bits[pixel * words + w] = collect_word(flags, count);
                }
        }
    }
}

/* ---- forward: patches of bits ---------------------------------------------------------------------------------- */

typedef struct {
    int64_t taps, pixel_words, taps_per_word, words; /* words of one patch */
} packing;

static packing packing_of(const shape *s) {
    packing p;
    p.taps = s->kernel_height * s->kernel_width;
    p.pixel_words = parts(s->channels, BITS);
    p.taps_per_word = p.pixel_words > 1 ? 1 : BITS / s->channels;
    p.words = p.pixel_words > 1 ? p.taps * p.pixel_words : parts(p.taps, p.taps_per_word);
    return p;
}

/* packed[o] = the patch of the signs of weight[o]; weight is (O, C, KH, KW) with any strides. */
static void pack_weights(const float *weight, const int64_t *strides, const shape *s, word *packed) {
    const packing p = packing_of(s);
    memset(packed, 0, (size_t)(s->out_channels * p.words) * sizeof *packed);
    for (int64_t o = 0; o < s->out_channels; o++)
        for (int64_t tap = 0; tap < p.taps; tap++) {
            const float *from = weight + o * strides[0] + tap / s->kernel_width * strides[2] +
                                tap % s->kernel_width * strides[3];
            word *patch = packed + o * p.words;
            for (int64_t c = 0; c < s->channels; c++) {
                const word sign = from[c * strides[1]] >= 0;
                if (p.pixel_words > 1) patch[tap * p.pixel_words + c / BITS] |= sign << (c % BITS);
                else patch[tap / p.taps_per_word] |= sign << (tap % p.taps_per_word * s->channels + c);
            }
        }
}

/* The patch of one output pixel; `corner` is its first tap in an image of padded_width columns. */
static inline void collect(const shape *s, const packing *p, const word *corner, int64_t padded_width, word *patch) {
    if (p->pixel_words > 1) {
        for (int64_t y = 0; y < s->kernel_height; y++)
            memcpy(patch + y * s->kernel_width * p->pixel_words, corner + y * padded_width * p->pixel_words,
                   (size_t)(s->kernel_width * p->pixel_words) * sizeof *patch);
        return;
    }
    int64_t shift = 0, left = p->taps_per_word;
    word collected = 0;
    for (int64_t y = 0; y < s->kernel_height; y++)
        for (int64_t x = 0; x < s->kernel_width; x++) {
            if (left == 0) *patch++ = collected, collected = 0, shift = 0, left = p->taps_per_word;
            collected |= corner[y * padded_width + x] << shift;
            shift += s->channels;
            left--;
        }
    *patch = collected;
}

/* What depends on the place in an image only: where its patch starts, how many products it has, which they are. */
typedef struct {
    int64_t area, padded_width, padded_words;
    int64_t *corner, *products;
    word *mask, *frame; /* (place, word); a padded image without its inside */
} places;

static int make_places(const shape *s, const packing *p, places *t) {
    const int64_t padded_height = s->height + 2 * s->pad_height;
    t->area = s->out_height * s->out_width;
    t->padded_width = s->width + 2 * s->pad_width;
    t->padded_words = padded_height * t->padded_width * p->pixel_words;
    t->corner = malloc((size_t)(2 * t->area + GROUP) * sizeof *t->corner);
    t->mask = calloc((size_t)((t->area + GROUP) * p->words + 2 * t->padded_words), sizeof *t->mask);
    if (!t->corner || !t->mask) return 1;
    t->products = t->corner + t->area;
    t->frame = t->mask + (t->area + GROUP) * p->words; /* a last group may look beyond the last place */
    word *counted = t->frame + t->padded_words; /* ones where a product counts */
    for (int64_t y = 0; y < padded_height; y++)
        for (int64_t x = 0; x < t->padded_width; x++) {
            const int inside = y >= s->pad_height && y < s->pad_height + s->height && x >= s->pad_width &&
                               x < s->pad_width + s->width;
            const int64_t at = (y * t->padded_width + x) * p->pixel_words;
            for (int64_t c = 0; c < s->channels; c++) {
                if (!inside && s->pad_sign > 0) t->frame[at + c / BITS] |= (word)1 << (c % BITS);
                if (inside || s->pad_sign) counted[at + c / BITS] |= (word)1 << (c % BITS);
            }
        }
    for (int64_t i = 0; i < t->area; i++) {
        t->corner[i] = (i / s->out_width * s->stride_height * t->padded_width +
                        i % s->out_width * s->stride_width) * p->pixel_words;
        collect(s, p, counted + t->corner[i], t->padded_width, t->mask + i * p->words);
        t->products[i] = 0;
        for (int64_t w = 0; w < p->words; w++) t->products[i] += __builtin_popcountll(t->mask[i * p->words + w]);
    }
    return 0;
}

static inline __attribute__((always_inline)) void multiply(const word *patches, const word *masks, const int64_t *products,
                                                           const word *weights, int64_t words, int64_t outputs,
                                                           int64_t count, float *y) {
    const word *a = patches, *b = a + words, *c = b + words, *d = c + words;
    const word *ma = masks, *mb = ma + words, *mc = mb + words, *md = mc + words;
    for (int64_t o = 0; o < outputs; o++, weights += words) {
        int na = 0, nb = 0, nc = 0, nd = 0;
        for (int64_t i = 0; i < words; i++) {
            const word w = weights[i];
            na += __builtin_popcountll((a[i] ^ w) & (masks ? ma[i] : ~(word)0));
            nb += __builtin_popcountll((b[i] ^ w) & (masks ? mb[i] : ~(word)0));
            nc += __builtin_popcountll((c[i] ^ w) & (masks ? mc[i] : ~(word)0));
            nd += __builtin_popcountll((d[i] ^ w) & (masks ? md[i] : ~(word)0));
        }
        y[o] = (float)((int)products[0] - 2 * na);
        if (count > 1) y[outputs + o] = (float)((int)products[1] - 2 * nb);
        if (count > 2) y[2 * outputs + o] = (float)((int)products[2] - 2 * nc);
        if (count > 3) y[3 * outputs + o] = (float)((int)products[3] - 2 * nd);
    }
}

static void multiply_group(const word *patches, const word *masks, const int64_t *products, int64_t full,
                           const word *weights, int64_t words, int64_t outputs, int64_t count, float *y) {
    const int whole = count == GROUP && products[0] == full && products[1] == full && products[2] == full &&
                      products[3] == full;
    /* small networks have few words, and a loop of known length is unrolled */
#define MULTIPLY(known)                                                                           \
    if (whole) multiply(patches, NULL, products, weights, known, outputs, GROUP, y);              \
    else if (count == GROUP) multiply(patches, masks, products, weights, known, outputs, GROUP, y); \
    else multiply(patches, masks, products, weights, known, outputs, count, y);
    if (words == 3) { MULTIPLY(3) }
    else if (words == 5) { MULTIPLY(5) }
    else if (words == 9) { MULTIPLY(9) }
    else { MULTIPLY(words) }
#undef MULTIPLY
}

static void convolve_image(const shape *s, const packing *p, const places *t, const word *bits, const word *weights,
                           word *padded, word *patches, float *y) {
    const int64_t row_words = s->width * p->pixel_words, full = p->taps * s->channels;
    for (int64_t row = 0; row < s->height; row++)
        memcpy(padded + ((row + s->pad_height) * t->padded_width + s->pad_width) * p->pixel_words,
               bits + row * row_words, (size_t)row_words * sizeof *padded);
    for (int64_t first = 0; first < t->area; first += GROUP) {
        const int64_t count = least(GROUP, t->area - first);
        for (int64_t k = 0; k < count; k++)
            collect(s, p, padded + t->corner[first + k], t->padded_width, patches + k * p->words);
        multiply_group(patches, t->mask + first * p->words, t->products + first, full, weights, p->words,
                       s->out_channels, count, y + first * s->out_channels);
    }
}

int convolve_words(const word *bits, const float *weight, const int64_t *strides, const shape *s, float *y,
                   int64_t threads) {
    const packing p = packing_of(s);
    places t;
    int failed = make_places(s, &p, &t);
    const int64_t plane = s->height * s->width * p.pixel_words, scratch = t.padded_words + GROUP * p.words;
    word *memory = failed ? NULL : calloc((size_t)(threads * scratch), sizeof *memory);
    word *weights = malloc((size_t)(s->out_channels * p.words) * sizeof *weights);
    if (memory && weights) {
        pack_weights(weight, strides, s, weights);
#pragma omp parallel for schedule(static) num_threads(threads)
        for (int64_t part = 0; part < threads; part++) {
            word *padded = memory + part * scratch;
            memcpy(padded, t.frame, (size_t)t.padded_words * sizeof *padded);
            for (int64_t i = s->images * part / threads; i < s->images * (part + 1) / threads; i++)
                convolve_image(s, &p, &t, bits + i * plane, weights, padded, padded + t.padded_words,
                               y + i * t.area * s->out_channels);
        }
    } else failed = 1;
    free(memory);
    free(weights);
    free(t.corner);
    free(t.mask);
    return failed;
}

/* ---- backward: tiles of real sums ------------------------------------------------------------------------------ */

typedef struct {
    vec low[ROWS], high[ROWS];
} tile;

/* ---- the gradient of the weights ------------------------------------------------------------------------------- */

typedef struct {
    int64_t padded_height, padded_width, plane, area, taps, sign_panels, gradient_panels, block;
} blocks;

static blocks blocks_of(const shape *s) {
    blocks t;
    t.padded_height = s->height + 2 * s->pad_height;
    t.padded_width = s->width + 2 * s->pad_width;
    t.plane = t.padded_height * t.padded_width;
    t.area = s->out_height * s->out_width;
    t.taps = s->kernel_height * s->kernel_width;
    t.sign_panels = parts(s->channels, ROWS);
    t.gradient_panels = parts(s->out_channels, COLUMNS);
    t.block = parts(LEAST_PIXELS, t.area);
    return t;
}

/* signs (panel, image, padded pixel, ROWS) of a block of images, from bits by a table of all 2^ROWS patterns. */
static void unpack_signs(const shape *s, const blocks *t, const word *bits, int64_t images, const float *patterns,
                         float *signs) {
    const int64_t words = parts(s->channels, BITS);
    const int64_t inner = s->height * s->width;
    for (int64_t panel = 0; panel < t->sign_panels; panel++) {
        const int64_t first = panel * ROWS, from = first / BITS, shift = first % BITS;
        const int split = shift + ROWS > BITS && from + 1 < words;
        for (int64_t image = 0; image < images; image++)
            for (int64_t y = 0; y < s->height; y++) {
                const word *row = bits + (image * inner + y * s->width) * words + from;
                float *to = signs + ((panel * t->block + image) * t->plane + (y + s->pad_height) * t->padded_width +
                                     s->pad_width) * ROWS;
                for (int64_t x = 0; x < s->width; x++, row += words, to += ROWS) {
                    word six = *row >> shift;
                    if (split) six |= row[1] << (BITS - shift);
                    memcpy(to, patterns + (six & ((1 << ROWS) - 1)) * ROWS, ROWS * sizeof *to);
                }
            }
    }
}

/* packed (panel, image, pixel, COLUMNS) of a block of images. */
static void pack_gradient(const shape *s, const blocks *t, const float *gradient, int64_t images, float *packed) {
    const int64_t pixels = images * t->area;
    for (int64_t panel = 0; panel < t->gradient_panels; panel++) {
        const int64_t first = panel * COLUMNS, count = least(COLUMNS, s->out_channels - first);
        float *to = packed + panel * t->block * t->area * COLUMNS;
        for (int64_t i = 0; i < pixels; i++, to += COLUMNS)
            memcpy(to, gradient + i * s->out_channels + first, (size_t)count * sizeof *to);
    }
}

/* rows (pixel, ROWS) of one panel as one tap sees them, without gaps. */
static void gather_tap(const shape *s, const blocks *t, const float *panel, int64_t images, int64_t tap, float *rows) {
    const int64_t down = tap / s->kernel_width, across = tap % s->kernel_width;
    for (int64_t image = 0; image < images; image++)
        for (int64_t y = 0; y < s->out_height; y++) {
            const float *from =
                panel + (image * t->plane + (y * s->stride_height + down) * t->padded_width + across) * ROWS;
            if (s->stride_width == 1) {
                memcpy(rows, from, (size_t)(s->out_width * ROWS) * sizeof *rows);
                rows += s->out_width * ROWS;
                continue;
            }
            for (int64_t x = 0; x < s->out_width; x++, rows += ROWS)
                memcpy(rows, from + x * s->stride_width * ROWS, ROWS * sizeof *rows);
        }
}

static void add_products(const float *rows, const float *gradient, int64_t pixels, float *sums) {
    tile local;
    vec *at = (vec *)sums;
    for (int r = 0; r < ROWS; r++) local.low[r] = at[2 * r], local.high[r] = at[2 * r + 1];
    for (int64_t i = 0; i < pixels; i++, rows += ROWS, gradient += COLUMNS) {
        const vec low = *(const vec *)gradient, high = *(const vec *)(gradient + LANES);
#pragma GCC unroll 6
        for (int r = 0; r < ROWS; r++) local.low[r] += rows[r] * low, local.high[r] += rows[r] * high;
    }
    for (int r = 0; r < ROWS; r++) at[2 * r] = local.low[r], at[2 * r + 1] = local.high[r];
}

static int weight_gradient_part(const shape *s, const blocks *t, const word *bits, const float *gradient,
                                int64_t first, int64_t last, float *sums) {
    const int64_t plane = s->height * s->width * parts(s->channels, BITS);
    const int64_t sign_size = t->sign_panels * t->block * t->plane * ROWS;
    const int64_t gradient_size = t->gradient_panels * t->block * t->area * COLUMNS;
    float *signs = malloc((size_t)(sign_size + gradient_size + t->block * t->area * ROWS) * sizeof *signs);
    if (!signs) return 1;
    float *packed = signs + sign_size, *rows = packed + gradient_size, patterns[(1 << ROWS) * ROWS];
    for (int i = 0; i < 1 << ROWS; i++)
        for (int r = 0; r < ROWS; r++) patterns[i * ROWS + r] = i >> r & 1 ? 1.0f : -1.0f;
    for (int64_t i = 0; i < sign_size; i++) signs[i] = (float)s->pad_sign; /* the border stays, the rest is filled */
    memset(packed, 0, (size_t)gradient_size * sizeof *packed);
    for (int64_t image = first; image < last; image += t->block) {
        const int64_t images = least(t->block, last - image);
        unpack_signs(s, t, bits + image * plane, images, patterns, signs);
        pack_gradient(s, t, gradient + image * t->area * s->out_channels, images, packed);
        for (int64_t panel = 0; panel < t->sign_panels; panel++)
            for (int64_t tap = 0; tap < t->taps; tap++) {
                gather_tap(s, t, signs + panel * t->block * t->plane * ROWS, images, tap, rows);
                for (int64_t g = 0; g < t->gradient_panels; g++)
                    add_products(rows, packed + g * t->block * t->area * COLUMNS, images * t->area,
                                 sums + ((panel * t->taps + tap) * t->gradient_panels + g) * ROWS * COLUMNS);
            }
    }
    free(signs);
    return 0;
}

/* weight_gradient (O, KH, KW, C) = the sums over pixels of gradient times sign, zero where |weight| > window; weight
 * has any strides. Returns 0, or 1 without memory. */
int weight_gradient(const word *bits, const float *gradient, const float *weight, const int64_t *strides, float window,
                    const shape *s, float *result, int64_t threads) {
    const blocks t = blocks_of(s);
    const int64_t size = t.sign_panels * t.taps * t.gradient_panels * ROWS * COLUMNS;
    float *sums = calloc((size_t)(threads * size), sizeof *sums);
    int failed = sums == NULL;
    if (failed) return failed;
#pragma omp parallel for schedule(static) num_threads(threads) reduction(| : failed)
    for (int64_t part = 0; part < threads; part++)
        failed |= weight_gradient_part(s, &t, bits, gradient, s->images * part / threads,
                                       s->images * (part + 1) / threads, sums + part * size);
    for (int64_t o = 0; o < s->out_channels; o++)
        for (int64_t tap = 0; tap < t.taps; tap++) {
            const float *from =
                weight + o * strides[0] + tap / s->kernel_width * strides[2] + tap % s->kernel_width * strides[3];
            for (int64_t c = 0; c < s->channels; c++) {
                const int64_t cell = (((c / ROWS) * t.taps + tap) * t.gradient_panels + o / COLUMNS) * ROWS * COLUMNS +
                                     c % ROWS * COLUMNS + o % COLUMNS;
                float total = 0;
                for (int64_t part = 0; part < threads; part++) total += sums[part * size + cell];
                result[(o * t.taps + tap) * s->channels + c] = fabsf(from[c * strides[1]]) <= window ? total : 0.0f;
            }
        }
    free(sums);
    return failed;
}

/* ---- the gradient of the input --------------------------------------------------------------------------------- */

/* panels (input panel, tap, output channel, COLUMNS) of the signs of weight, which has any strides. */
static void unpack_weights(const float *weight, const int64_t *strides, const shape *s, float *panels) {
    const int64_t taps = s->kernel_height * s->kernel_width, count = parts(s->channels, COLUMNS) * COLUMNS;
    for (int64_t o = 0; o < s->out_channels; o++)
        for (int64_t tap = 0; tap < taps; tap++) {
            const float *from =
                weight + o * strides[0] + tap / s->kernel_width * strides[2] + tap % s->kernel_width * strides[3];
            for (int64_t c = 0; c < count; c++)
                panels[((c / COLUMNS * taps + tap) * s->out_channels + o) * COLUMNS + c % COLUMNS] =
                    c >= s->channels ? 0.0f : from[c * strides[1]] >= 0 ? 1.0f : -1.0f;
        }
}

/* Adds the products of one tap: ROWS pixels of the gradient, each `apart` from the one before, with `outputs` rows of b. */
static inline void tap_products(const float *from, int64_t apart, int64_t count, const float *zeros, const float *b,
                                int64_t outputs, tile *sums) {
    const float *a0 = from, *a1 = count > 1 ? from + apart : zeros, *a2 = count > 2 ? from + 2 * apart : zeros;
    const float *a3 = count > 3 ? from + 3 * apart : zeros, *a4 = count > 4 ? from + 4 * apart : zeros;
    const float *a5 = count > 5 ? from + 5 * apart : zeros;
    tile t = *sums;
    for (int64_t o = 0; o < outputs; o++, b += COLUMNS) {
        const vec low = *(const vec *)b, high = *(const vec *)(b + LANES);
        t.low[0] += a0[o] * low, t.high[0] += a0[o] * high;
        t.low[1] += a1[o] * low, t.high[1] += a1[o] * high;
        t.low[2] += a2[o] * low, t.high[2] += a2[o] * high;
        t.low[3] += a3[o] * low, t.high[3] += a3[o] * high;
        t.low[4] += a4[o] * low, t.high[4] += a4[o] * high;
        t.low[5] += a5[o] * low, t.high[5] += a5[o] * high;
    }
    *sums = t;
}

typedef struct {
    const shape *s;
    const float *gradient, *panels, *zeros;
    ending end;
    float *result;
} input_job;

/* Writes one tile: the channels of one panel at the same place of the `count` images from `image` on. */
static void store_tile(const input_job *job, const tile *sums, int64_t image, int64_t pixel, int64_t count,
                       int64_t first) {
    const int64_t channels = job->s->channels, apart = job->s->height * job->s->width * channels;
    const int64_t width = least(COLUMNS, channels - first);
    for (int64_t r = 0; r < count; r++) {
        const int64_t at = (image + r) * apart + pixel * channels + first;
        float row[COLUMNS];
        *(vec *)row = sums->low[r];
        *(vec *)(row + LANES) = sums->high[r];
        finish(row, &job->end, at, width, job->result + at);
    }
}

/* One row of a group of images, all channels. The tiles of a group take turns, so that a tap's weights stay close. */
static void input_row(const input_job *job, int64_t image, int64_t images, int64_t row, meeting *met) {
    const shape *s = job->s;
    const int64_t taps = s->kernel_height * s->kernel_width, outputs = s->out_channels;
    const int64_t apart = s->out_height * s->out_width * outputs;
    for (int64_t column = 0; column < s->width; column++) {
        const int64_t meetings = meetings_of(s, row, column, met);
        for (int64_t panel = 0; panel * COLUMNS < s->channels; panel++) {
            tile sums[TILES];
            memset(sums, 0, sizeof sums);
            for (int64_t m = 0; m < meetings; m++) {
                const float *b = job->panels + (panel * taps + met[m].number) * outputs * COLUMNS;
                const float *from = job->gradient + image * apart + met[m].pixel * outputs;
                for (int64_t k = 0; k * ROWS < images; k++)
                    tap_products(from + k * ROWS * apart, apart, images - k * ROWS, job->zeros, b, outputs, sums + k);
            }
            for (int64_t k = 0; k * ROWS < images; k++)
                store_tile(job, sums + k, image + k * ROWS, row * s->width + column, least(ROWS, images - k * ROWS),
                           panel * COLUMNS);
        }
    }
}

/* result (N, H, W, C) = the gradient of the signs times slope, bfloat16, plus more; both may be missing. Returns 0, or 1
 * without memory. */
int input_gradient(const float *gradient, const float *weight, const int64_t *strides, const uint16_t *slope,
                   const float *more, const shape *s, float *result, int64_t threads) {
    const int64_t taps = s->kernel_height * s->kernel_width, groups = parts(s->images, ROWS * TILES);
    const int64_t size = parts(s->channels, COLUMNS) * taps * s->out_channels * COLUMNS;
    const int64_t jobs = groups * s->height;
    float *panels = malloc((size_t)size * sizeof *panels), *zeros = calloc((size_t)s->out_channels, sizeof *zeros);
    meeting *met = malloc((size_t)(threads * taps) * sizeof *met);
    const int failed = !panels || !zeros || !met;
    if (!failed) {
        unpack_weights(weight, strides, s, panels);
        const input_job job = {s, gradient, panels, zeros, {slope, more}, result};
#pragma omp parallel for schedule(static) num_threads(threads)
        for (int64_t part = 0; part < threads; part++)
            for (int64_t i = jobs * part / threads; i < jobs * (part + 1) / threads; i++) {
                const int64_t image = i / s->height * ROWS * TILES;
                input_row(&job, image, least(ROWS * TILES, s->images - image), i % s->height, met + part * taps);
            }
    }
    free(panels);
    free(zeros);
    free(met);
    return failed;
}
