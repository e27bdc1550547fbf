/* Batch normalization of (pixel, channel) tables in float32, joined with the addition of a shortcut, and the shortcut
 * that averages: one call forward, one backward.
 *
 * kept (3, channels), float64, is what backward needs of forward: the mean as float32 has it, 1 / standard deviation, and
 * what the rounding of the mean left. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

enum { CHUNK = 128 }; /* pixels that are summed up in float32 before they are added in float64 */

typedef void (*summand)(const float *first, const float *second, const float *center, int64_t pixels, int64_t channels,
                        float *sums, float *products);

/* sums += x - center, products += (x - center)^2 */
static void moments(const float *x, const float *unused, const float *center, int64_t pixels, int64_t channels,
                    float *restrict sums, float *restrict products) {
    (void)unused;
    for (int64_t i = 0; i < pixels; i++, x += channels)
        for (int64_t c = 0; c < channels; c++) {
            const float apart = x[c] - center[c];
            sums[c] += apart, products[c] += apart * apart;
        }
}

/* sums += g, products += g * (x - center) */
static void covariances(const float *g, const float *x, const float *center, int64_t pixels, int64_t channels,
                        float *restrict sums, float *restrict products) {
    for (int64_t i = 0; i < pixels; i++, g += channels, x += channels)
        for (int64_t c = 0; c < channels; c++) sums[c] += g[c], products[c] += g[c] * (x[c] - center[c]);
}

/* totals (2, channels), float64: both sums of all pixels. Returns 0, or 1 without memory. */
static int sum_up(summand add, const float *first, const float *second, const float *center, int64_t pixels,
                  int64_t channels, double *totals, int64_t threads) {
    double *all = calloc((size_t)(threads * 2 * channels), sizeof *all);
    float *local = malloc((size_t)(threads * 2 * channels) * sizeof *local);
    const int failed = !all || !local;
    if (!failed) {
#pragma omp parallel for schedule(static) num_threads(threads)
        for (int64_t part = 0; part < threads; part++) {
            double *own = all + part * 2 * channels;
            float *chunk = local + part * 2 * channels;
            const int64_t last = pixels * (part + 1) / threads;
            for (int64_t i = pixels * part / threads; i < last; i += CHUNK) {
                memset(chunk, 0, (size_t)(2 * channels) * sizeof *chunk);
                add(first + i * channels, second + i * channels, center, least(CHUNK, last - i), channels, chunk,
                    chunk + channels);
                for (int64_t c = 0; c < 2 * channels; c++) own[c] += (double)chunk[c];
            }
        }
        for (int64_t c = 0; c < 2 * channels; c++) {
            totals[c] = 0;
            for (int64_t part = 0; part < threads; part++) totals[c] += all[part * 2 * channels + c];
        }
    }
    free(all);
    free(local);
    return failed;
}

/* center (channels) becomes a rough mean, from which the squares are taken: that of CHUNK pixels from everywhere. It is
 * at most sqrt(pixels / CHUNK) standard deviations off. */
static void rough_mean(const float *x, int64_t pixels, int64_t channels, float *center) {
    const int64_t count = least(CHUNK, pixels);
    memset(center, 0, (size_t)channels * sizeof *center);
    for (int64_t i = 0; i < count; i++)
        for (int64_t c = 0; c < channels; c++) center[c] += x[i * pixels / count * channels + c];
    for (int64_t c = 0; c < channels; c++) center[c] /= (float)count;
}

/* y = scale (x - center) + shift, plus the shortcut if there is one, whose channels are repeated. */
static void apply(const float *x, const float *shortcut, int64_t repeated, const float *center, const float *scale,
                  const float *shift, int64_t pixels, int64_t channels, float *y, int64_t threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t i = 0; i < pixels; i++) {
        const float *from = x + i * channels;
        float *restrict to = y + i * channels;
        if (!shortcut)
            for (int64_t c = 0; c < channels; c++) to[c] = (from[c] - center[c]) * scale[c] + shift[c];
        else if (repeated == channels)
            for (int64_t c = 0; c < channels; c++)
                to[c] = (from[c] - center[c]) * scale[c] + shift[c] + shortcut[i * channels + c];
        else
            for (int64_t first = 0; first < channels; first += repeated)
                for (int64_t c = 0; c < repeated; c++)
                    to[first + c] = (from[first + c] - center[first + c]) * scale[first + c] + shift[first + c] +
                                    shortcut[i * repeated + c];
    }
}

/* One batch's part of the running moments; the variance that they keep is the unbiased one. */
static void follow(const float *mean, const float *variance, double momentum, int64_t pixels, int64_t channels,
                   float *running_mean, float *running_variance) {
    const double unbiased = (double)pixels / (double)(pixels - 1);
    for (int64_t c = 0; c < channels; c++) {
        running_mean[c] += (float)(momentum * ((double)mean[c] - (double)running_mean[c]));
        running_variance[c] += (float)(momentum * ((double)variance[c] * unbiased - (double)running_variance[c]));
    }
}

/* y = the normalized x, plus the shortcut, of (pixel, repeated), if there is one. mean and variance are taken as they are
 * if `given`, else they become those of x; the running ones follow if there are any. Returns 0, or 1 without memory. */
int norm_forward(const float *x, const float *shortcut, int64_t repeated, const float *weight, const float *bias,
                 double epsilon, int64_t given, float *mean, float *variance, float *running_mean,
                 float *running_variance, double momentum, int64_t pixels, int64_t channels, double *kept, float *y,
                 int64_t threads) {
    double *totals = malloc((size_t)(2 * channels) * sizeof *totals);
    float *scale = malloc((size_t)(3 * channels) * sizeof *scale);
    int failed = !totals || !scale;
    float *shift = scale + channels, *center = shift + channels;
    if (!failed && !given) {
        rough_mean(x, pixels, channels, center);
        failed = sum_up(moments, x, x, center, pixels, channels, totals, threads);
    }
    for (int64_t c = 0; c < channels && !failed; c++) {
        double exact = (double)mean[c];
        if (!given) {
            const double apart = totals[c] / (double)pixels, square = totals[channels + c] / (double)pixels;
            const double spread = square - apart * apart;
            exact = (double)center[c] + apart;
            mean[c] = (float)exact;
            variance[c] = (float)(spread < 0 ? 0 : spread); /* one that is no number stays so */
        }
        const double inverse = 1 / sqrt((double)variance[c] + epsilon), rounding = (double)mean[c] - exact;
        kept[c] = (double)mean[c], kept[channels + c] = inverse, kept[2 * channels + c] = rounding;
        scale[c] = (float)(inverse * (double)weight[c]);
        shift[c] = (float)((double)bias[c] + rounding * inverse * (double)weight[c]);
    }
    if (!failed) {
        apply(x, shortcut, repeated, mean, scale, shift, pixels, channels, y, threads);
        if (running_mean) follow(mean, variance, momentum, pixels, channels, running_mean, running_variance);
    }
    free(totals);
    free(scale);
    return failed;
}

/* dx, and the gradients of weight and bias; through the mean and the variance too unless they were `given`. Returns 0,
 * or 1 without memory. */
int norm_backward(const float *g, const float *x, const float *weight, const double *kept, int64_t given,
                  int64_t pixels, int64_t channels, float *dx, float *of_weight, float *of_bias, int64_t threads) {
    double *totals = malloc((size_t)(2 * channels) * sizeof *totals);
    float *center = malloc((size_t)(4 * channels) * sizeof *center);
    int failed = !totals || !center;
    float *of_g = center + channels, *of_x = of_g + channels, *rest = of_x + channels;
    for (int64_t c = 0; c < channels && !failed; c++) center[c] = (float)kept[c];
    if (!failed) failed = sum_up(covariances, g, x, center, pixels, channels, totals, threads);
    for (int64_t c = 0; c < channels && !failed; c++) {
        const double inverse = kept[channels + c], rounding = kept[2 * channels + c], own = inverse * (double)weight[c];
        const double sum = totals[c], product = totals[channels + c] + rounding * sum;
        const double slope = given ? 0 : -own * inverse * inverse * product / (double)pixels;
        of_weight[c] = (float)(product * inverse);
        of_bias[c] = (float)sum;
        of_g[c] = (float)own;
        of_x[c] = (float)slope;
        rest[c] = given ? 0 : (float)(slope * rounding - own * sum / (double)pixels);
    }
    if (!failed) {
#pragma omp parallel for schedule(static) num_threads(threads)
        for (int64_t i = 0; i < pixels; i++) {
            const float *gradient = g + i * channels, *from = x + i * channels;
            float *restrict to = dx + i * channels;
            for (int64_t c = 0; c < channels; c++)
                to[c] = of_g[c] * gradient[c] + of_x[c] * (from[c] - center[c]) + rest[c];
        }
    }
    free(totals);
    free(center);
    return failed;
}

/* ---- the shortcut of half the size ------------------------------------------------------------------------------ */

/* y (N, H/2, W/2, C), rounded up: the means of 2x2 pixels, at an odd edge of those that are there. */
void halve(const float *x, int64_t images, int64_t height, int64_t width, int64_t channels, float *y, int64_t threads) {
    const int64_t half_height = parts(height, 2), half_width = parts(width, 2);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t row = 0; row < images * half_height; row++) {
        const int64_t image = row / half_height, top = row % half_height * 2;
        const float *upper = x + (image * height + top) * width * channels;
        const float *lower = top + 1 < height ? upper + width * channels : upper;
        for (int64_t column = 0; column < half_width; column++) {
            const int64_t left = 2 * column * channels, right = 2 * column + 1 < width ? left + channels : left;
            float *restrict to = y + (row * half_width + column) * channels;
            for (int64_t c = 0; c < channels; c++)
                to[c] = 0.25f * ((upper[left + c] + upper[right + c]) + (lower[left + c] + lower[right + c]));
        }
    }
}

/* dx, given the gradient g (N, H/2, W/2, times C) of the means repeated `times`. */
void spread_halves(const float *g, int64_t images, int64_t height, int64_t width, int64_t channels, int64_t times,
                   float *dx, int64_t threads) {
    const int64_t half_height = parts(height, 2), half_width = parts(width, 2);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t row = 0; row < images * height; row++) {
        const int64_t image = row / height, y = row % height, rows = least(2, height - y / 2 * 2);
        const float *from = g + (image * half_height + y / 2) * half_width * times * channels;
        for (int64_t x = 0; x < width; x++) {
            const float share = 1.0f / (float)(rows * least(2, width - x / 2 * 2));
            const float *own = from + x / 2 * times * channels;
            float *restrict to = dx + (row * width + x) * channels;
            for (int64_t c = 0; c < channels; c++) to[c] = own[c];
            for (int64_t k = 1; k < times; k++)
                for (int64_t c = 0; c < channels; c++) to[c] += own[k * channels + c];
            for (int64_t c = 0; c < channels; c++) to[c] *= share;
        }
    }
}
