/* Functions given as programs: lists of elementary operations on registers, a register being a row of floats that fits
 * the nearest cache. Each operation is one vectorized loop, compiled once for all functions; what depends on the
 * function is data, so that nothing has to be compiled for a candidate. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

/* The vectorized functions of the C library. */
#if defined __x86_64__ && defined __GLIBC__
#define VECTOR(name) __attribute__((simd("notinbranch"), const)) float name(float);
VECTOR(sinf) VECTOR(cosf) VECTOR(expf) VECTOR(logf)
#if __GLIBC_PREREQ(2, 35)
VECTOR(tanf) VECTOR(atanf) VECTOR(erff) VECTOR(erfcf) VECTOR(tanhf) VECTOR(sinhf) VECTOR(coshf) VECTOR(expm1f)
VECTOR(log1pf) VECTOR(log2f) VECTOR(log10f) VECTOR(exp2f) VECTOR(asinf) VECTOR(acosf) VECTOR(asinhf) VECTOR(acoshf)
VECTOR(atanhf)
#endif
#endif

enum { REGISTER = 512 /* floats, or one pixel if it has more channels */ };

/* Name and formula of x, y and z; truth is 1 and 0. Like torch's, larger and smaller pass on what is no number. */
#define OPERATIONS(F)                                                                                                 \
    F(abs, fabsf(x)) F(acos, acosf(x)) F(acosh, acoshf(x)) F(add, x + y) F(asin, asinf(x)) F(asinh, asinhf(x))        \
    F(atan, atanf(x)) F(atan2, atan2f(x, y)) F(atanh, atanhf(x)) F(both, x != 0 && y != 0) F(ceil, ceilf(x))          \
    F(clamp, x < y ? y : x > z ? z : x) F(copy, x) F(cos, cosf(x)) F(cosh, coshf(x)) F(cube, x * x * x)               \
    F(div, x / y) F(either, x != 0 || y != 0) F(eq, x == y) F(erf, erff(x)) F(erfc, erfcf(x)) F(exp, expf(x))         \
    F(exp2, exp2f(x)) F(expm1, expm1f(x)) F(floor, floorf(x)) F(ge, x >= y) F(gt, x > y) F(isnan, x != x)             \
    F(le, x <= y) F(log, logf(x)) F(log10, log10f(x)) F(log1p, log1pf(x)) F(log2, log2f(x)) F(lt, x < y)              \
    F(maximum, x != x || x > y ? x : y) F(minimum, x != x || x < y ? x : y) F(mul, x * y) F(ne, x != y) F(neg, -x)    \
    F(no, x == 0) F(pow, powf(x, y)) F(reciprocal, 1.0f / x) F(relu, x != x || x > 0 ? x : 0.0f)                      \
    F(rsqrt, 1.0f / sqrtf(x)) F(sigmoid, 1.0f / (1.0f + expf(-x))) F(sigmoid_backward, x * ((1.0f - y) * y))          \
    F(sign, (float)((x > 0) - (x < 0))) F(sin, sinf(x)) F(sinh, sinhf(x)) F(sqrt, sqrtf(x)) F(square, x * x)          \
    F(sub, x - y) F(tan, tanf(x)) F(tanh, tanhf(x)) F(tanh_backward, x * (1.0f - y * y))                              \
    F(threshold_backward, y <= z ? 0.0f : x) F(trunc, truncf(x)) F(where, x != 0 ? y : z)

#define NUMBER(name, formula) OP_##name,
enum { OPERATIONS(NUMBER) COUNT };
#undef NUMBER

#define NAME(name, formula) #name,
static const char *const names[] = {OPERATIONS(NAME)};
#undef NAME

/* The number of an operation, or -1. */
int operation_number(const char *name) {
    for (int i = 0; i < COUNT; i++)
        if (!strcmp(names[i], name)) return i;
    return -1;
}

typedef struct {
    int32_t operation, to, x, y, z;
} step;

/* Registers: x, the gradient of the value, the vectors, the constants, and what steps write. */
typedef struct {
    const step *forward, *backward;
    const float *constants;
    const int32_t *gradients; /* the registers that hold those of x and of the vectors */
    int64_t forward_steps, backward_steps, constant_count, vectors, registers, value;
} program;

static void perform(const step *steps, int64_t count, float *const *registers, int64_t size) {
    for (const step *s = steps; s < steps + count; s++) {
        const float *xs = registers[s->x], *ys = registers[s->y], *zs = registers[s->z];
        float *to = registers[s->to];
        switch (s->operation) {
#define LOOP(name, formula)                                    \
    case OP_##name:                                            \
        _Pragma("omp simd") for (int64_t i = 0; i < size; i++) { \
            const float x = xs[i], y = ys[i], z = zs[i];       \
            (void)y, (void)z, to[i] = (formula);               \
        }                                                      \
        break;
            OPERATIONS(LOOP)
#undef LOOP
        }
    }
}

/* The registers of one thread, vectors and constants filled in; NULL without memory. */
static float **make_registers(const program *p, const float *vectors, int64_t channels, int64_t size) {
    float **registers = malloc((size_t)p->registers * sizeof *registers);
    float *memory = calloc((size_t)(p->registers * size), sizeof *memory);
    if (!registers || !memory) {
        free(registers);
        free(memory);
        return NULL;
    }
    for (int64_t r = 0; r < p->registers; r++) registers[r] = memory + r * size;
    for (int64_t v = 0; v < p->vectors; v++)
        for (int64_t i = 0; i < size; i++) registers[2 + v][i] = vectors[v * channels + i % channels];
    for (int64_t k = 0; k < p->constant_count; k++)
        for (int64_t i = 0; i < size; i++) registers[2 + p->vectors + k][i] = p->constants[k];
    return registers;
}

static void free_registers(float **registers, float *memory) {
    free(memory);
    free(registers);
}

/* The signs of the pixels of one register. */
static void collect_signs(const float *values, int64_t pixels, int64_t channels, word *bits) {
    const int64_t words = parts(channels, BITS);
    for (int64_t i = 0; i < pixels; i++)
        for (int64_t w = 0; w < words; w++) {
            const int64_t count = least(BITS, channels - w * BITS);
            const float *from = values + i * channels + w * BITS;
            uint8_t flags[BITS];
            memset(flags + (count - 1) / 8 * 8, 0, 8);
            for (int64_t c = 0; c < count; c++) flags[c] = from[c] >= 0;
            bits[i * words + w] = collect_word(flags, count);
        }
}

static int64_t pixels_of(int64_t channels) { return channels < REGISTER ? REGISTER / channels : 1; }

/* bits = the signs of f(x), for each pixel parts(channels, 64) words; vectors (vector, channel). Returns 0, or 1 without
 * memory. */
int program_signs(const program *p, const float *x, const float *vectors, int64_t pixels, int64_t channels, word *bits,
                  int64_t threads) {
    const int64_t chunk = pixels_of(channels), words = parts(channels, BITS);
    int failed = 0;
#pragma omp parallel for schedule(static) num_threads(threads) reduction(| : failed)
    for (int64_t part = 0; part < threads; part++) {
        float **registers = make_registers(p, vectors, channels, chunk * channels);
        failed |= !registers;
        if (!registers) continue;
        float *memory = registers[0];
        const int64_t last = pixels * (part + 1) / threads;
        for (int64_t i = pixels * part / threads; i < last; i += chunk) {
            const int64_t count = least(chunk, last - i);
            registers[0] = (float *)x + i * channels; /* steps never write there */
            perform(p->forward, p->forward_steps, registers, count * channels);
            collect_signs(registers[p->value], count, channels, bits + i * words);
        }
        free_registers(registers, memory);
    }
    return failed;
}

/* gradient becomes that of x, plus `more` if there is any; totals (vector, channel) of one thread grow. */
static void chunk_gradients(const program *p, float *const *registers, float window, int64_t pixels, int64_t channels,
                            float *gradient, const float *more, double *totals) {
    const int64_t size = pixels * channels;
    const float *own = registers[p->gradients[0]];
    perform(p->forward, p->forward_steps, registers, size);
    for (int64_t i = 0; i < size; i++) registers[1][i] = fabsf(registers[p->value][i]) <= window ? gradient[i] : 0.0f;
    perform(p->backward, p->backward_steps, registers, size);
    if (more)
        for (int64_t i = 0; i < size; i++) gradient[i] = own[i] + more[i];
    else memcpy(gradient, own, (size_t)size * sizeof *own);
    for (int64_t v = 0; v < p->vectors; v++) {
        float *from = registers[p->gradients[1 + v]], sums[REGISTER];
        for (int64_t first = 0; first < channels; first += REGISTER) {
            const int64_t width = least(REGISTER, channels - first);
            memcpy(sums, from + first, (size_t)width * sizeof *sums);
            for (int64_t i = 1; i < pixels; i++)
                for (int64_t c = 0; c < width; c++) sums[c] += from[i * channels + first + c];
            for (int64_t c = 0; c < width; c++) totals[v * channels + first + c] += (double)sums[c];
        }
    }
}

/* gradient becomes that of x, plus `more` if there is any; of_vectors (vector, channel), float64. Returns 0, or 1 without
 * memory. */
int program_gradients(const program *p, const float *x, const float *vectors, float window, int64_t pixels,
                      int64_t channels, float *gradient, const float *more, double *of_vectors, int64_t threads) {
    const int64_t chunk = pixels_of(channels), size = p->vectors * channels;
    double *totals = calloc((size_t)(threads * size + 1), sizeof *totals);
    int failed = !totals;
    if (failed) return failed;
#pragma omp parallel for schedule(static) num_threads(threads) reduction(| : failed)
    for (int64_t part = 0; part < threads; part++) {
        float **registers = make_registers(p, vectors, channels, chunk * channels);
        failed |= !registers;
        if (!registers) continue;
        float *memory = registers[0];
        const int64_t last = pixels * (part + 1) / threads;
        for (int64_t i = pixels * part / threads; i < last; i += chunk) {
            registers[0] = (float *)x + i * channels; /* steps never write there */
            chunk_gradients(p, registers, window, least(chunk, last - i), channels, gradient + i * channels,
                            more ? more + i * channels : NULL, totals + part * size);
        }
        free_registers(registers, memory);
    }
    for (int64_t c = 0; c < size; c++) {
        of_vectors[c] = 0;
        for (int64_t part = 0; part < threads; part++) of_vectors[c] += totals[part * size + c];
    }
    free(totals);
    return failed;
}
