/* The forward convolution by looking up: bytes are shuffled where kernels.c counts bits.
 *
 * The signs of four channels are a number from 0 to 15, and how many of them differ from four weights is one of sixteen
 * small numbers: one shuffle looks it up for 32 output pixels. Each group of four channels has a plane, a byte a pixel,
 * with a border. A row's right border is the next row's left one and an image's lower border the next one's upper, so that
 * all pixels of some images follow each other, and what a tap sees of them is the plane itself from another place on. A
 * stride splits a plane into phases. Needs AVX2.
 */
#include <stdlib.h>
#include <string.h>

#include "common.h"

#ifdef __AVX2__
#include <immintrin.h>

enum {
    FOUR = 4,       /* channels of a group */
    VECTOR = 32,    /* positions of one vector */
    VECTORS = 2,    /* that share one reading of a table */
    CHUNK = VECTOR * VECTORS,
    TOGETHER = 4,   /* output channels that share one reading of the signs, two and two in one byte */
    PANEL = 8,      /* output channels that are written together */
    MOST = 63,      /* steps whose sums of at most four fit into a byte */
    POSITIONS = 2048, /* of the images of one turn, if one image has not more */
    SLACK = CHUNK + 64,
};

typedef struct {
    int64_t taps, groups, steps, outputs;          /* steps: a multiple of three; outputs: of PANEL */
    int64_t down, across, width, rows, words;      /* phases; positions of one row, rows of one image; words of a pixel */
    int64_t images, positions, pitch, plane_bytes; /* of a turn, of a plane, of all planes */
} layout;

/* An output pixel: its place in a chunk, among the pixels of a turn, and which row of `base` it has. */
typedef struct {
    int32_t at, pixel, base;
} entry;

typedef struct {
    layout t;
    int64_t *offsets; /* (step): where its first vector starts, from the first plane on */
    uint16_t *weights; /* (TOGETHER, step, pair): sixteen times the signs of four weights of two outputs */
    uint8_t counts[16 * 256];
    float *base;      /* (kind of pixel, output): the result where no sign differs */
    int32_t *kinds;   /* (pixel): which kind */
    entry *entries;   /* of a turn */
    int64_t *first;   /* (chunk): its first entry */
} plan;

static inline __m256i load(const void *from) { return _mm256_loadu_si256((const __m256i *)from); }

static inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

static layout layout_of(const shape *s) {
    layout t;
    t.taps = s->kernel_height * s->kernel_width;
    t.groups = parts(s->channels, FOUR);
    t.steps = parts(t.taps * t.groups, 3) * 3;
    t.words = parts(s->channels, BITS);
    t.outputs = parts(s->out_channels, PANEL) * PANEL;
    t.down = least(s->stride_height, s->kernel_height);
    t.across = least(s->stride_width, s->kernel_width);
    t.width = most(parts(s->width + s->pad_width, s->stride_width), s->out_width);
    t.rows = most(parts(s->height + s->pad_height, s->stride_height), s->out_height);
    const int64_t area = t.width * t.rows;
    t.images = 1;
    for (int64_t i = 2; i <= s->images && i * area <= POSITIONS; i++) /* the least chunks an image */
        if (parts(i * area, CHUNK) * t.images <= parts(t.images * area, CHUNK) * i) t.images = i;
    t.positions = t.images * area;
    const int64_t reach = s->kernel_height / s->stride_height * t.width + s->kernel_width / s->stride_width;
    t.pitch = parts(t.positions + reach + SLACK, 128) * 128 + 64; /* not a multiple of 4096 */
    t.plane_bytes = (t.down * t.across * t.groups + 1) * t.pitch;
    return t;
}

/* ---- what is the same for all images ---------------------------------------------------------------------------- */

/* For every four signs of two weights, how many of four signs differ from the first, and from the second times sixteen. */
static void write_counts(uint8_t *counts) {
    for (int i = 0; i < 16 * 256; i++) {
        const int one = (i >> 4 & 15) ^ (i & 15), other = (i >> 8) ^ (i & 15);
        counts[i] = (uint8_t)(__builtin_popcount((unsigned)one) + 16 * __builtin_popcount((unsigned)other));
    }
}

static void place_steps(const shape *s, plan *p) {
    const layout *t = &p->t;
    for (int64_t tap = 0; tap < t->taps; tap++) {
        const int64_t y = tap / s->kernel_width, x = tap % s->kernel_width;
        const int64_t phase = y % s->stride_height * t->across + x % s->stride_width;
        for (int64_t g = 0; g < t->groups; g++)
            p->offsets[tap * t->groups + g] =
                (phase * t->groups + g) * t->pitch + y / s->stride_height * t->width + x / s->stride_width;
    }
    for (int64_t i = t->taps * t->groups; i < t->steps; i++) p->offsets[i] = t->down * t->across * t->groups * t->pitch;
}

/* totals (tap, output) of the signs. */
static void pack_weights(const shape *s, const float *weight, const int64_t *strides, plan *p, int32_t *totals) {
    const layout *t = &p->t;
    for (int64_t o = 0; o < s->out_channels; o++)
        for (int64_t tap = 0; tap < t->taps; tap++) {
            const float *from =
                weight + o * strides[0] + tap / s->kernel_width * strides[2] + tap % s->kernel_width * strides[3];
            uint16_t *to = p->weights + (o / TOGETHER * t->steps + tap * t->groups) * 2 + o % TOGETHER / 2;
            int64_t positive = 0;
            for (int64_t c = 0; c < s->channels; c += BITS) {
                const int64_t count = least(BITS, s->channels - c);
                const word signs = weight_signs(from + c * strides[1], strides[1], count);
                for (int64_t i = 0; i < count; i += FOUR, to += 2)
                    *to |= (uint16_t)((signs >> i & 15) << (4 + o % 2 * FOUR));
                positive += __builtin_popcountll(signs);
            }
            totals[tap * t->outputs + o] = (int32_t)(2 * positive - s->channels);
        }
}

/* The first number before `i` from which a tap sees the border as it does from `i`, else `i`. */
static int64_t alike(int64_t i, int64_t stride, int64_t pad, int64_t taps, int64_t size) {
    for (int64_t other = 0; other < i; other++) {
        int64_t same = 0;
        for (; same < taps; same++) {
            const int64_t a = i * stride + same - pad, b = other * stride + same - pad;
            if ((a >= 0 && a < size) != (b >= 0 && b < size)) break;
        }
        if (same == taps) return other;
    }
    return i;
}

/* The result of all products with +1, less those with a border of zeros, whose signs are taken for -1. */
static void write_base(const shape *s, const layout *t, const int32_t *totals, int64_t row, int64_t column, float *base) {
    for (int64_t o = 0; o < t->outputs; o++) base[o] = (float)(t->taps * s->channels);
    if (s->pad_sign) return;
    for (int64_t tap = 0; tap < t->taps; tap++) {
        const int64_t y = row * s->stride_height - s->pad_height + tap / s->kernel_width;
        const int64_t x = column * s->stride_width - s->pad_width + tap % s->kernel_width;
        if (y >= 0 && y < s->height && x >= 0 && x < s->width) continue;
        for (int64_t o = 0; o < t->outputs; o++) base[o] += (float)totals[tap * t->outputs + o];
    }
}

static void find_kinds(const shape *s, plan *p, const int32_t *totals) {
    int32_t count = 0;
    for (int64_t y = 0; y < s->out_height; y++) {
        const int64_t row = s->pad_sign ? 0 : alike(y, s->stride_height, s->pad_height, s->kernel_height, s->height);
        for (int64_t x = 0; x < s->out_width; x++) {
            const int64_t column = s->pad_sign ? 0 : alike(x, s->stride_width, s->pad_width, s->kernel_width, s->width);
            int32_t *kind = p->kinds + y * s->out_width + x;
            if (row == y && column == x) {
                write_base(s, &p->t, totals, y, x, p->base + count * p->t.outputs);
                *kind = count++;
            } else *kind = p->kinds[row * s->out_width + column];
        }
    }
}

static void list_entries(const shape *s, plan *p) {
    const layout *t = &p->t;
    const int64_t area = s->out_height * s->out_width;
    int64_t count = 0, chunk = 0;
    for (int64_t image = 0; image < t->images; image++)
        for (int64_t i = 0; i < area; i++) {
            const int64_t at = (image * t->rows + i / s->out_width) * t->width + i % s->out_width;
            while (chunk <= at / CHUNK) p->first[chunk++] = count;
            const int64_t place = at % CHUNK / VECTOR * VECTOR + at % 2 * 16 + at % VECTOR / 2; /* see add_counter */
            p->entries[count++] = (entry){(int32_t)place, (int32_t)(image * area + i), p->kinds[i]};
        }
    while (chunk <= parts(t->positions, CHUNK)) p->first[chunk++] = count;
}

static int64_t different(int64_t count, int64_t stride, int64_t pad, int64_t taps, int64_t size) {
    int64_t found = 0;
    for (int64_t i = 0; i < count; i++) found += alike(i, stride, pad, taps, size) == i;
    return found;
}

static int make_plan(const shape *s, const float *weight, const int64_t *strides, plan *p) {
    const layout *t = &p->t;
    const int64_t area = s->out_height * s->out_width;
    const int64_t kinds = s->pad_sign ? 1
        : different(s->out_height, s->stride_height, s->pad_height, s->kernel_height, s->height) *
          different(s->out_width, s->stride_width, s->pad_width, s->kernel_width, s->width);
    p->offsets = malloc((size_t)t->steps * sizeof *p->offsets);
    p->weights = calloc((size_t)(t->outputs * t->steps / 2), sizeof *p->weights);
    p->base = malloc((size_t)(kinds * t->outputs) * sizeof *p->base);
    p->kinds = malloc((size_t)area * sizeof *p->kinds);
    p->entries = malloc((size_t)(t->images * area) * sizeof *p->entries);
    p->first = malloc((size_t)(parts(t->positions, CHUNK) + 1) * sizeof *p->first);
    int32_t *totals = calloc((size_t)(t->taps * t->outputs), sizeof *totals);
    const int failed = !p->offsets || !p->weights || !p->base || !p->kinds || !p->entries || !p->first || !totals;
    if (!failed) {
        place_steps(s, p);
        write_counts(p->counts);
        pack_weights(s, weight, strides, p, totals);
        find_kinds(s, p, totals);
        list_entries(s, p);
    }
    free(totals);
    return failed;
}

static void free_plan(plan *p) {
    free(p->offsets);
    free(p->weights);
    free(p->base);
    free(p->kinds);
    free(p->entries);
    free(p->first);
}

/* ---- planes ------------------------------------------------------------------------------------------------------ */

static inline word border_word(const shape *s, int64_t w) {
    const int64_t count = least(BITS, s->channels - w * BITS);
    return s->pad_sign > 0 ? ~(word)0 >> (BITS - count) : 0;
}

static void clear_planes(const shape *s, const layout *t, uint8_t *planes) {
    for (int64_t i = 0; i < t->down * t->across; i++)
        for (int64_t g = 0; g < t->groups; g++)
            memset(planes + (i * t->groups + g) * t->pitch, (int)(border_word(s, g / 16) >> (g % 16 * FOUR) & 15),
                   (size_t)t->pitch);
    memset(planes + t->down * t->across * t->groups * t->pitch, 0, (size_t)t->pitch);
}

static inline __m128i two(const word *a, const word *b) {
    const __m128i woven = _mm_setr_epi8(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
    return _mm_shuffle_epi8(_mm_set_epi64x((long long)*b, (long long)*a), woven);
}

static inline void store_groups(__m128i bytes, int64_t groups, int64_t pitch, uint8_t *to) {
    const __m128i nibble = _mm_set1_epi8(15);
    const __m128i low = _mm_and_si128(bytes, nibble), high = _mm_and_si128(_mm_srli_epi16(bytes, 4), nibble);
    _mm_storel_epi64((__m128i *)to, low);
    if (groups > 1) _mm_storel_epi64((__m128i *)(to + pitch), high);
    if (groups > 2) _mm_storeh_pd((double *)(to + 2 * pitch), _mm_castsi128_pd(low));
    if (groups > 3) _mm_storeh_pd((double *)(to + 3 * pitch), _mm_castsi128_pd(high));
}

/* Eight pixels, each `apart` words from the one before, to eight bytes of each of `groups` planes, at most 16. */
static inline void store_eight(const word *from, int64_t apart, int64_t groups, int64_t pitch, uint8_t *to) {
    const __m128i a = two(from, from + apart), b = two(from + 2 * apart, from + 3 * apart);
    const __m128i c = two(from + 4 * apart, from + 5 * apart), d = two(from + 6 * apart, from + 7 * apart);
    const __m128i ab = _mm_unpacklo_epi16(a, b), cd = _mm_unpacklo_epi16(c, d);
    store_groups(_mm_unpacklo_epi32(ab, cd), groups, pitch, to);
    if (groups > 4) store_groups(_mm_unpackhi_epi32(ab, cd), groups - 4, pitch, to + 4 * pitch);
    if (groups <= 8) return;
    const __m128i more = _mm_unpackhi_epi16(a, b), rest = _mm_unpackhi_epi16(c, d);
    store_groups(_mm_unpacklo_epi32(more, rest), groups - 8, pitch, to + 8 * pitch);
    if (groups > 12) store_groups(_mm_unpackhi_epi32(more, rest), groups - 12, pitch, to + 12 * pitch);
}

/* The signs of one image in its place of the planes. `row` has room for one row and eight steps more, which hold the
 * border: what is written beyond a row's end is border too, or is written over with the next row. */
static void fill_planes(const shape *s, const layout *t, const word *bits, int64_t image, word *row, uint8_t *planes) {
    for (int64_t y = 0; y < s->height; y++) {
        const int64_t padded = y + s->pad_height, down = padded % s->stride_height;
        if (down >= t->down) continue;
        memcpy(row, bits + y * s->width * t->words, (size_t)(s->width * t->words) * sizeof *row);
        for (int64_t across = 0; across < t->across; across++) {
            const int64_t before = (s->stride_width - s->pad_width % s->stride_width + across) % s->stride_width;
            uint8_t *to = planes + (down * t->across + across) * t->groups * t->pitch +
                          (image * t->rows + padded / s->stride_height) * t->width +
                          (before + s->pad_width) / s->stride_width;
            for (int64_t x = before; x < s->width; x += 8 * s->stride_width, to += 8)
                for (int64_t w = 0; w < t->words; w++)
                    store_eight(row + x * t->words + w, s->stride_width * t->words, least(16, t->groups - 16 * w),
                                t->pitch, to + 16 * w * t->pitch);
        }
    }
}

/* ---- counts ------------------------------------------------------------------------------------------------------ */

typedef struct {
    __m256i sum, high;
} counter;

static inline __m256i counts_of(const uint8_t *counts, uint16_t weights) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(counts + weights)));
}

/* Adds three steps of two outputs. The sum is taken modulo 256; that of the higher halves of its bytes, each at most
 * twelve, is kept as well, in whose even bytes the lower halves of the odd ones come along, times sixteen. */
static inline __attribute__((always_inline)) void add_three(counter *to, __m256i a, __m256i b, __m256i c) {
    const __m256i three = _mm256_add_epi8(_mm256_add_epi8(a, b), c);
    to->sum = _mm256_add_epi8(to->sum, three);
    to->high = _mm256_add_epi8(to->high, _mm256_srli_epi16(three, 4));
}

static inline void add_to(__m256i found, uint16_t *sums) {
    _mm256_storeu_si256((__m256i *)sums, _mm256_add_epi16(_mm256_loadu_si256((const __m256i *)sums), found));
}

/* Takes a counter apart and adds it to the sums of two outputs; 16 even positions come before 16 odd ones. */
static inline void add_counter(const counter *from, uint16_t *sums) {
    const __m256i byte = _mm256_set1_epi16(255);
    const __m256i high_odd = _mm256_srli_epi16(from->high, 8);
    const __m256i low_odd =
        _mm256_and_si256(byte, _mm256_sub_epi16(_mm256_srli_epi16(from->sum, 8), _mm256_slli_epi16(high_odd, 4)));
    const __m256i high_even = _mm256_and_si256(byte, _mm256_sub_epi16(from->high, _mm256_slli_epi16(low_odd, 4)));
    const __m256i low_even = _mm256_and_si256(byte, _mm256_sub_epi16(from->sum, _mm256_slli_epi16(high_even, 4)));
    add_to(low_even, sums);
    add_to(low_odd, sums + 16);
    add_to(high_even, sums + CHUNK);
    add_to(high_odd, sums + CHUNK + 16);
}

/* Adds what differs in at most MOST steps, three at a time, for two vectors of positions and two pairs of output channels,
 * to sums (output, CHUNK). A function of its own, and `asm` says that the counters stay where they are: else gcc runs out
 * of registers. */
static __attribute__((noinline)) void count_steps(const uint8_t *counts, const uint8_t *planes, const int64_t *offsets,
                                                  const uint16_t *weights, int64_t steps, uint16_t *sums) {
    const __m256i zero = _mm256_setzero_si256();
    counter a = {zero, zero}, b = a, c = a, d = a;
    for (int64_t i = 0; i < steps; i += 3, weights += 6) {
        const uint8_t *from = planes + offsets[i], *next = planes + offsets[i + 1], *last = planes + offsets[i + 2];
        const __m256i u = load(from), v = load(next), w = load(last);
        const __m256i x = load(from + VECTOR), y = load(next + VECTOR), z = load(last + VECTOR);
        __m256i e = counts_of(counts, weights[0]), f = counts_of(counts, weights[2]), g = counts_of(counts, weights[4]);
        add_three(&a, _mm256_shuffle_epi8(e, u), _mm256_shuffle_epi8(f, v), _mm256_shuffle_epi8(g, w));
        add_three(&b, _mm256_shuffle_epi8(e, x), _mm256_shuffle_epi8(f, y), _mm256_shuffle_epi8(g, z));
        e = counts_of(counts, weights[1]), f = counts_of(counts, weights[3]), g = counts_of(counts, weights[5]);
        add_three(&c, _mm256_shuffle_epi8(e, u), _mm256_shuffle_epi8(f, v), _mm256_shuffle_epi8(g, w));
        add_three(&d, _mm256_shuffle_epi8(e, x), _mm256_shuffle_epi8(f, y), _mm256_shuffle_epi8(g, z));
        __asm__("" : "+x"(a.sum), "+x"(b.sum), "+x"(c.sum), "+x"(d.sum));
        __asm__("" : "+x"(a.high), "+x"(b.high), "+x"(c.high), "+x"(d.high));
    }
    add_counter(&a, sums);
    add_counter(&b, sums + VECTOR);
    add_counter(&c, sums + 2 * CHUNK);
    add_counter(&d, sums + 2 * CHUNK + VECTOR);
}

/* turned (CHUNK, PANEL) = sums (PANEL, CHUNK). */
static void turn(const uint16_t *sums, uint16_t *turned) {
    for (int64_t i = 0; i < CHUNK; i += 16) {
        __m256i a[8], b[8];
        for (int k = 0; k < 4; k++) {
            const __m256i even = _mm256_loadu_si256((const __m256i *)(sums + 2 * k * CHUNK + i));
            const __m256i odd = _mm256_loadu_si256((const __m256i *)(sums + (2 * k + 1) * CHUNK + i));
            a[k] = _mm256_unpacklo_epi16(even, odd);
            a[4 + k] = _mm256_unpackhi_epi16(even, odd);
        }
        for (int k = 0; k < 8; k += 2) {
            b[k] = _mm256_unpacklo_epi32(a[k], a[k + 1]);
            b[k + 1] = _mm256_unpackhi_epi32(a[k], a[k + 1]);
        }
        for (int k = 0; k < 8; k++) {
            const int from = k / 4 * 4 + k / 2 % 2; /* outputs 0 to 3 of the positions k and 8 + k, then 4 to 7 */
            const __m256i row = k % 2 ? _mm256_unpackhi_epi64(b[from], b[from + 2])
                                      : _mm256_unpacklo_epi64(b[from], b[from + 2]);
            _mm_storeu_si128((__m128i *)(turned + (i + k) * PANEL), _mm256_castsi256_si128(row));
            _mm_storeu_si128((__m128i *)(turned + (i + 8 + k) * PANEL), _mm256_extracti128_si256(row, 1));
        }
    }
}

static void write_results(const entry *entries, int64_t count, const uint16_t *turned, const float *base,
                          int64_t base_apart, int64_t outputs, int64_t width, float *y) {
    const __m256 twice = _mm256_set1_ps(2.0f);
    for (int64_t i = 0; i < count; i++) {
        const __m128i found = _mm_loadu_si128((const __m128i *)(turned + entries[i].at * PANEL));
        const __m256 result = _mm256_fnmadd_ps(twice, _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(found)),
                                               _mm256_loadu_ps(base + entries[i].base * base_apart));
        float *to = y + entries[i].pixel * outputs;
        if (width == PANEL) _mm256_storeu_ps(to, result);
        else {
            float row[PANEL];
            _mm256_storeu_ps(row, result);
            memcpy(to, row, (size_t)width * sizeof *row);
        }
    }
}

static void convolve_turn(const shape *s, const plan *p, const uint8_t *planes, int64_t images, float *y) {
    const layout *t = &p->t;
    const int64_t pixels = images * s->out_height * s->out_width;
    for (int64_t chunk = 0; chunk * CHUNK < t->positions; chunk++) {
        const entry *entries = p->entries + p->first[chunk];
        const int64_t count = least(p->first[chunk + 1], pixels) - p->first[chunk];
        if (count <= 0) continue;
        for (int64_t panel = 0; panel < t->outputs; panel += PANEL) {
            uint16_t sums[PANEL * CHUNK], turned[CHUNK * PANEL];
            memset(sums, 0, sizeof sums);
            for (int64_t o = 0; o < PANEL; o += TOGETHER)
                for (int64_t i = 0; i < t->steps; i += MOST)
                    count_steps(p->counts, planes + chunk * CHUNK, p->offsets + i,
                                p->weights + (panel + o) / 2 * t->steps + i * 2, least(MOST, t->steps - i),
                                sums + o * CHUNK);
            turn(sums, turned);
            write_results(entries, count, turned, p->base + panel, t->outputs, s->out_channels,
                          least(PANEL, s->out_channels - panel), y + panel);
        }
    }
}

static int convolve_shuffled(const word *bits, const float *weight, const int64_t *strides, const shape *s, float *y,
                             int64_t threads) {
    plan p = {.t = layout_of(s)};
    const layout *t = &p.t;
    const int64_t row_words = (s->width + 8 * s->stride_width) * t->words, plane = s->height * s->width * t->words;
    const int64_t own = t->plane_bytes + row_words * (int64_t)sizeof(word);
    uint8_t *memory = malloc((size_t)(threads * own));
    const int failed = !memory || make_plan(s, weight, strides, &p);
    if (!failed) {
#pragma omp parallel for schedule(static) num_threads(threads)
        for (int64_t part = 0; part < threads; part++) {
            uint8_t *planes = memory + part * own;
            word *row = (word *)(planes + t->plane_bytes);
            clear_planes(s, t, planes);
            for (int64_t i = 0; i < row_words; i++) row[i] = border_word(s, i % t->words);
            const int64_t last = s->images * (part + 1) / threads;
            for (int64_t first = s->images * part / threads; first < last; first += t->images) {
                const int64_t images = least(t->images, last - first);
                for (int64_t i = 0; i < images; i++) fill_planes(s, t, bits + (first + i) * plane, i, row, planes);
                convolve_turn(s, &p, planes, images, y + first * s->out_height * s->out_width * s->out_channels);
            }
        }
    }
    free(memory);
    free_plan(&p);
    return failed;
}

/* y = the convolution of the signs in `bits` with those of weight, (O, C, KH, KW) with any strides. Returns 0, or 1 without
 * memory. */
int convolve(const word *bits, const float *weight, const int64_t *strides, const shape *s, float *y, int64_t threads) {
    const int fits = s->channels * s->kernel_height * s->kernel_width <= UINT16_MAX; /* counts of 16 bits */
    return (fits ? convolve_shuffled : convolve_words)(bits, weight, strides, s, y, threads);
}

#else

int convolve(const word *bits, const float *weight, const int64_t *strides, const shape *s, float *y, int64_t threads) {
    return convolve_words(bits, weight, strides, s, y, threads);
}

#endif
