"""What the figures were measured on: processor, versions, and the rates that torch reaches on it."""

from __future__ import annotations

import os
import platform
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from gaaf_gp.util.devices import available_cores, threads
from gaaf_gp.util.provenance import versions

PACKAGES = ("gaaf-gp", "torch", "torchvision", "numpy", "pillow", "deap", "scipy")
FLAGS = ("avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16")
"""Instruction sets that decide which kernels torch and oneDNN choose."""
MATRIX = 2048
CONVOLUTION = (128, 64, 32)
"""Batch, channels and side of the timed 3x3 convolution: the largest one of the paper's ResNet-18."""
_CPU = Path("/proc/cpuinfo")


def facts(number_of_threads: int, repetitions: int = 5) -> dict[str, Any]:
    """Return what is known of this machine and of the software, fit for JSON; rates are in GFLOP/s."""
    cpu = _CPU.read_text(encoding="utf-8") if _CPU.exists() else ""
    flags = set(_field(cpu, "flags").split())
    return {
        "cpu": _field(cpu, "model name") or platform.processor() or platform.machine(),
        "cores": available_cores(),
        "threads": number_of_threads,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "flags": [flag for flag in FLAGS if flag in flags],
        "memory_bytes": _memory(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions(PACKAGES),
        "gflops": rates(number_of_threads, repetitions),
    }


def rates(number_of_threads: int, repetitions: int = 5) -> dict[str, float]:
    """Return the median float32 rates of a 2048x2048 matrix product and of a 3x3 convolution forward, in GFLOP/s."""
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, MATRIX, MATRIX, generator=generator)
    batch, channels, side = CONVOLUTION
    images = torch.randn(batch, channels, side, side, generator=generator)
    weight = torch.randn(channels, channels, 3, 3, generator=generator)
    last = {"memory_format": torch.channels_last}
    images_last, weight_last = images.to(**last), weight.to(**last)  # type: ignore[call-overload]
    work = 2 * batch * side**2 * 9 * channels**2
    with threads(number_of_threads), torch.no_grad():
        return {
            "matmul": _rate(lambda: first @ second, 2 * MATRIX**3, repetitions),
            "conv3x3": _rate(lambda: functional.conv2d(images, weight, padding=1), work, repetitions),
            "conv3x3_channels_last": _rate(
                lambda: functional.conv2d(images_last, weight_last, padding=1), work, repetitions
            ),
        }


def _rate(action: Callable[[], object], operations: int, repetitions: int) -> float:
    action()
    seconds = []
    for _ in range(repetitions):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return operations / statistics.median(seconds) / 1e9


def _field(text: str, name: str) -> str:
    found = re.search(rf"^{name}\s*: (.*)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def _memory() -> int | None:
    names = getattr(os, "sysconf_names", {})
    known = "SC_PHYS_PAGES" in names and "SC_PAGE_SIZE" in names
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if known else None
