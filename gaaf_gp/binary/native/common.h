/* What the kernels share: the shape of a convolution, and bits in words. Tensors are dense, (N, H, W, C) in memory. */
#ifndef GAAF_GP_COMMON_H
#define GAAF_GP_COMMON_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint64_t word;
enum { BITS = 64 };

typedef struct {
    int64_t images, height, width, channels;     /* of the input */
    int64_t out_height, out_width, out_channels; /* of the output */
    int64_t kernel_height, kernel_width, stride_height, stride_width, pad_height, pad_width;
    int64_t pad_sign; /* what padding adds to the signs: 0, +1 or -1 */
} shape;

typedef struct {
    int32_t number, pixel; /* of a tap, and of the output pixel that it meets */
} meeting;

static inline int64_t parts(int64_t whole, int64_t part) { return (whole + part - 1) / part; }

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static inline float bfloat16_value(uint16_t bits) {
    const uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

/* The lowest bits of `count` bytes, at most 64, as one word; the bytes up to the next multiple of eight are 0. The product
 * moves the bits of eight bytes side by side. */
static inline word collect_word(const uint8_t *flags, int64_t count) {
    word collected = 0;
    for (int64_t i = 0; 8 * i < count; i++) {
        word eight;
        memcpy(&eight, flags + 8 * i, 8);
        collected |= (eight * 0x0102040810204080u >> 56) << (8 * i);
    }
    return collected;
}

/* The signs of at most 64 latent weights as bits, the first one lowest. */
static inline word weight_signs(const float *weight, int64_t apart, int64_t count) {
    uint8_t flags[BITS];
    memset(flags + (count - 1) / 8 * 8, 0, 8);
    if (apart == 1)
        for (int64_t i = 0; i < count; i++) flags[i] = weight[i] >= 0;
    else
        for (int64_t i = 0; i < count; i++) flags[i] = weight[i * apart] >= 0;
    return collect_word(flags, count);
}

/* What a gradient of signs becomes on its way to the input: multiplied by the slopes of f, to an exact zero where a slope
 * is zero, whatever comes in; then a gradient that came another way is added. Each may be missing. */
typedef struct {
    const uint16_t *slope; /* bfloat16 */
    const float *more;
} ending;

static inline void finish(const float *row, const ending *e, int64_t at, int64_t count, float *to) {
    const uint16_t *slope = e->slope ? e->slope + at : NULL;
    const float *more = e->more ? e->more + at : NULL;
    for (int64_t i = 0; i < count; i++) {
        float value = row[i];
        if (slope) {
            const float factor = bfloat16_value(slope[i]);
            value = factor == 0.0f ? 0.0f : value * factor;
        }
        to[i] = more ? value + more[i] : value;
    }
}

/* The taps through which the input at (row, column) reaches an output. */
static inline int64_t meetings_of(const shape *s, int64_t row, int64_t column, meeting *met) {
    int64_t count = 0;
    for (int64_t down = 0; down < s->kernel_height; down++) {
        const int64_t y = row + s->pad_height - down;
        if (y < 0 || y % s->stride_height || y / s->stride_height >= s->out_height) continue;
        for (int64_t across = 0; across < s->kernel_width; across++) {
            const int64_t x = column + s->pad_width - across;
            if (x < 0 || x % s->stride_width || x / s->stride_width >= s->out_width) continue;
            met[count].number = (int32_t)(down * s->kernel_width + across);
            met[count++].pixel = (int32_t)(y / s->stride_height * s->out_width + x / s->stride_width);
        }
    }
    return count;
}

/* y = the convolution of the signs in `bits` with those of weight, (O, C, KH, KW) with any strides, in words of 64 products.
 * Returns 0, or 1 without memory. */
int convolve_words(const word *bits, const float *weight, const int64_t *strides, const shape *s, float *y,
                   int64_t threads);
#endif
