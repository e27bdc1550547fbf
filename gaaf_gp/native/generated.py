"""Learnable functions compiled: f, its sign and its gradients in one pass, nothing kept but the input itself.

A function with learnable vectors has no table, and as a row of torch operations it costs more than the convolution that
follows. Where a training is long enough to repay a third of a second for the C compiler, f becomes C instead.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gaaf_gp.native.build import UnavailableError, compiled
from gaaf_gp.native.calls import address, check
from gaaf_gp.native.convolution import Geometry, convolve, gradients, packed_shape
from gaaf_gp.native.expressions import NotElementary, expressions

_SOURCE = """
#include <math.h>
#include <stdlib.h>
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

static inline float larger(float a, float b) { return a != a || a > b ? a : b; }
static inline float smaller(float a, float b) { return a != a || a < b ? a : b; }
static inline float clamped(float a, float low, float high) { return a < low ? low : a > high ? high : a; }
static inline float sign(float a) { return (float)((a > 0) - (a < 0)); }
static inline float power(float a, float b) { return b == 2 ? a * a : b == 1 ? a : b == 3 ? a * a * a : powf(a, b); }

enum { CHUNK = 64 };

int signs_of(const float *x_, const float *vectors, int64_t pixels, int64_t channels, word *bits, int64_t threads) {
    const int64_t words = parts(channels, BITS);
    uint8_t *memory = calloc((size_t)(threads * words), BITS);
    if (!memory) return 1;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t part = 0; part < threads; part++) {
        uint8_t *flags = memory + part * words * BITS;
        for (int64_t i = pixels * part / threads; i < pixels * (part + 1) / threads; i++) {
            const float *row = x_ + i * channels;
#pragma omp simd
            for (int64_t c = 0; c < channels; c++) {
                const float x = row[c];
                @VECTORS@
                @FORWARD@
                flags[c] = @VALUE@ >= 0;
            }
            for (int64_t w = 0; w < words; w++)
                bits[i * words + w] = collect_word(flags + w * BITS, least(BITS, channels - w * BITS));
        }
    }
    free(memory);
    return 0;
}

/* gradient becomes that of x; of_vectors (vector, channel), float64. */
int gradients_of(const float *x_, const float *vectors, float window, int64_t pixels, int64_t channels, float *gradient,
                 double *of_vectors, int64_t threads) {
    const int64_t size = @COUNT@ * channels;
    double *totals = calloc((size_t)(threads * size + 1), sizeof *totals);
    float *memory = malloc((size_t)(threads * size + 1) * sizeof *memory);
    const int failed = !totals || !memory;
    if (!failed) {
#pragma omp parallel for schedule(static) num_threads(threads)
        for (int64_t part = 0; part < threads; part++) {
            float *sums = memory + part * size;
            const int64_t last = pixels * (part + 1) / threads;
            for (int64_t first = pixels * part / threads; first < last; first += CHUNK) {
                memset(sums, 0, (size_t)size * sizeof *sums);
                for (int64_t i = first; i < least(first + CHUNK, last); i++) {
                    const float *row = x_ + i * channels;
                    float *to = gradient + i * channels;
#pragma omp simd
                    for (int64_t c = 0; c < channels; c++) {
                        const float x = row[c];
                        @VECTORS@
                        @FORWARD@
                        const float g = fabsf(@VALUE@) <= window ? to[c] : 0.0f;
                        @BACKWARD@
                        to[c] = @GRADIENT@;
                        @SUMS@
                    }
                }
                for (int64_t c = 0; c < size; c++) totals[part * size + c] += (double)sums[c];
            }
        }
        for (int64_t c = 0; c < size; c++) {
            of_vectors[c] = 0;
            for (int64_t part = 0; part < threads; part++) of_vectors[c] += totals[part * size + c];
        }
    }
    free(totals);
    free(memory);
    return failed;
}
"""


class Generated:
    """A learnable function of (x, vectors) in C, for the clipped surrogate.

    Attributes:
        library: the compiled function.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library


def generate(function: Callable[..., Tensor], vectors: int) -> Generated | None:
    """Return ``function(x, s0, s1, ...)`` compiled, or None where it or this machine does not allow that.

    Args:
        function: element by element; the vectors have one value per channel.
        vectors: how many vectors it takes.
    """
    try:
        return _generated(_source(function, vectors))
    except (NotElementary, UnavailableError, OSError):
        return None


def _source(function: Callable[..., Tensor], vectors: int) -> str:
    try:
        found = expressions(function, vectors)
    except NotElementary:
        raise
    except Exception as error:  # primitives are anybody's code, and torch refuses to trace some
        raise NotElementary(str(error)) from error
    of_x, *of_vectors = found.gradients
    places = {
        "VECTORS": " ".join(f"const float s{k} = vectors[{k} * channels + c];" for k in range(vectors)),
        "FORWARD": " ".join(found.forward),
        "BACKWARD": " ".join(found.backward),
        "VALUE": found.value,
        "GRADIENT": of_x,
        "SUMS": " ".join(f"sums[{k} * channels + c] += {one};" for k, one in enumerate(of_vectors)),
        "COUNT": str(vectors),
    }
    text = _SOURCE
    for name, what in places.items():
        text = text.replace(f"@{name}@", what)
    return text


@functools.lru_cache(maxsize=64)
def _generated(source: str) -> Generated:
    return Generated(compiled(source))


def generated_convolution(
    x: Tensor,
    weight: Tensor,
    function: Generated,
    vectors: Sequence[Tensor],
    geometry: Geometry,
    windows: tuple[float, float],
    whole: bool,
) -> Tensor:
    """Return what :func:`gaaf_gp.native.binary_convolution` does, for a compiled function instead of tables.

    Args:
        x: (N, C, H, W) float32 on the CPU; it is not rounded.
        weight: (O, C, KH, KW) float32, the latent weights.
        function: see :func:`generate`.
        vectors: of shape (C,), float32.
        geometry: stride and padding.
        windows: of the sign of f, and of the latent weights.
        whole: see :func:`gaaf_gp.native.binary_convolution`.

    Raises:
        MemoryError: there is no memory for what the kernels need.
    """
    arguments = (x, weight, function, geometry, windows, whole, *vectors)
    return cast(Tensor, _Convolution.apply(*arguments))  # type: ignore[no-untyped-call]


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        function: Generated,
        geometry: Geometry,
        windows: tuple[float, float],
        whole: bool,
        *vectors: Tensor,
    ) -> Tensor:
        shape = packed_shape(x, weight, geometry)
        x = x.contiguous(memory_format=torch.channels_last)
        pixels, channels = ctypes.c_int64(x.numel() // x.shape[1]), ctypes.c_int64(x.shape[1])
        stacked = torch.stack([vector.detach() for vector in vectors])
        bits = torch.empty(x.numel() // x.shape[1] * -(-x.shape[1] // 64), dtype=torch.int64)
        threads = ctypes.c_int64(torch.get_num_threads())
        check(function.library.signs_of(address(x), address(stacked), pixels, channels, address(bits), threads))
        ctx.save_for_backward(x, stacked, bits, weight)
        ctx.function, ctx.shape, ctx.windows, ctx.whole = function, shape, windows, whole
        return convolve(bits, weight, shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, stacked, bits, weight = ctx.saved_tensors
        wanted = any(ctx.needs_input_grad[place] for place in (0, *range(6, len(ctx.needs_input_grad))))
        own = wanted, ctx.needs_input_grad[1]
        of_x, of_weight = gradients(gradient, weight, bits, None, ctx.shape, ctx.windows[1], ctx.whole, own)
        if of_x is None:
            return (None, of_weight, *(None,) * (4 + len(stacked)))
        totals = torch.empty(stacked.shape, dtype=torch.float64)
        pixels, channels = ctypes.c_int64(x.numel() // x.shape[1]), ctypes.c_int64(x.shape[1])
        window, threads = ctypes.c_float(ctx.windows[0]), ctypes.c_int64(torch.get_num_threads())
        places = address(of_x), address(totals)
        check(
            ctx.function.library.gradients_of(address(x), address(stacked), window, pixels, channels, *places, threads)
        )
        return (of_x, of_weight, None, None, None, None, *totals.float().unbind())
