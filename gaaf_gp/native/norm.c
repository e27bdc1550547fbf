/* Batch normalization of (pixel, channel) tables in float32, joined with the addition of a shortcut. */
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
 * at most sqrt(pixels / CHUNK) standard deviations off. totals (2, channels), float64: the sums of x - center and of
 * (x - center)^2. */
int norm_moments(const float *x, int64_t pixels, int64_t channels, float *center, double *totals, int64_t threads) {
    const int64_t count = least(CHUNK, pixels);
    memset(center, 0, (size_t)channels * sizeof *center);
    for (int64_t i = 0; i < count; i++)
        for (int64_t c = 0; c < channels; c++) center[c] += x[i * pixels / count * channels + c];
    for (int64_t c = 0; c < channels; c++) center[c] /= (float)count;
    return sum_up(moments, x, x, center, pixels, channels, totals, threads);
}

/* totals (2, channels), float64: the sums of g and of g (x - center). */
int norm_covariances(const float *g, const float *x, const float *center, int64_t pixels, int64_t channels,
                     double *totals, int64_t threads) {
    return sum_up(covariances, g, x, center, pixels, channels, totals, threads);
}

/* y = scale (x - center) + shift, plus the shortcut if there is one; x, shortcut and y of (pixel, channel), the others
 * of (channel). */
void norm_apply(const float *x, const float *shortcut, const float *center, const float *scale, const float *shift,
                int64_t pixels, int64_t channels, float *y, int64_t threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t i = 0; i < pixels; i++) {
        const float *from = x + i * channels;
        float *restrict to = y + i * channels;
        if (shortcut)
            for (int64_t c = 0; c < channels; c++)
                to[c] = (from[c] - center[c]) * scale[c] + shift[c] + shortcut[i * channels + c];
        else
            for (int64_t c = 0; c < channels; c++) to[c] = (from[c] - center[c]) * scale[c] + shift[c];
    }
}

/* dx = of_g g + of_x (x - center) + rest, all but g and x of (channel). */
void norm_backward(const float *g, const float *x, const float *center, const float *of_g, const float *of_x,
                   const float *rest, int64_t pixels, int64_t channels, float *dx, int64_t threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t i = 0; i < pixels; i++) {
        const float *gradient = g + i * channels, *from = x + i * channels;
        float *restrict to = dx + i * channels;
        for (int64_t c = 0; c < channels; c++) to[c] = of_g[c] * gradient[c] + of_x[c] * (from[c] - center[c]) + rest[c];
    }
}
