"""Compiling the C sources once per machine into the user's cache, and loading the library.

The name of a library in the cache is a digest of the sources, the compiler, its flags and the processor, so any change
makes a new library. A cache folder to which other users can write is refused.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path

from gaaf_gp.errors import one_line

_KINDS = {"p": ctypes.c_void_p, "n": ctypes.c_int64, "f": ctypes.c_float, "d": ctypes.c_double}
SIGNATURES = {
    "convolve": "ppp pp n",
    "halve": "p nnnn p n",
    "input_gradient": "pppp pp p n",
    "input_gradient_fixed": "pppp pp p n",
    "norm_backward": "pppp n nn ppp n",
    "norm_forward": "pp n pp d n pppp d nn pp n",
    "program_gradients": "ppp f nn ppp n",
    "program_signs": "ppp nn p n",
    "sign_by_table": "pp nn pp n",
    "spread_halves": "p nnnnn p n",
    "weight_gradient": "pppp f pp n",
    "weight_gradient_fixed": "pppp f pp n",
}
"""Kernel -> its arguments: p for an address (an int, or None for null), n for an int64, f for a float, d for a double.
The last is the number of threads."""


def declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """Return ``library`` with the types of its kernels declared; kernels that need AVX2 may be missing in it."""
    for name, kinds in SIGNATURES.items():
        kernel = getattr(library, name, None)
        if kernel is not None:
            kernel.argtypes = [_KINDS[kind] for kind in kinds if kind != " "]
    return library


FLAGS = (
    "-std=gnu11",
    "-O3",
    "-march=native",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-builtin-sinf",  # the compiler would join the sine and the cosine of a number, which has no vector form
    "-fno-builtin-cosf",
    "-fopenmp",
    "-shared",
    "-fPIC",
)
SOURCES = ("common.h", "fixed.h", "kernels.c", "forward.c", "fixed.c", "fixed_weights.c", "norm.c", "elementwise.c")
SECONDS = 120


class UnavailableError(Exception):
    """The kernels cannot be used on this machine; the message gives the reason."""


def available() -> bool:
    """Return whether the kernels can be used on this machine; the first call may compile them (some six seconds)."""
    return _load()[0] is not None


def unavailable_reason() -> str | None:
    """Return the reason why the kernels cannot be used, in one line, or None if they can."""
    return _load()[1]


def whole_numbers() -> bool:
    """Return whether gradients can be computed in whole numbers, which needs AVX2."""
    loaded, _ = _load()
    return loaded is not None and bool(loaded.fixed_point())


def library() -> ctypes.CDLL:
    """Return the loaded kernels; ask :func:`available` first.

    Raises:
        RuntimeError: they are not available.
    """
    loaded, reason = _load()
    if loaded is None:
        raise RuntimeError(f"the compiled kernels are not available: {reason}")
    return loaded


@functools.cache
def _load() -> tuple[ctypes.CDLL | None, str | None]:
    try:
        return declare(ctypes.CDLL(str(_built()))), None
    except UnavailableError as error:
        return None, str(error)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:  # RuntimeError: there is no home
        return None, one_line(error)


def _built() -> Path:
    if os.environ.get("GAAF_GP_NATIVE", "1") == "0":
        raise UnavailableError("GAAF_GP_NATIVE=0 turns them off")
    if sys.byteorder != "little":
        raise UnavailableError("they pack bits for processors that store the lowest byte first")
    compiler = _compiler()
    texts = {name: _text(name) for name in SOURCES}
    digest = hashlib.blake2b(digest_size=12)
    for part in (*texts.values(), *(t.encode() for t in (*FLAGS, *compiler, _version(compiler), _processor()))):
        digest.update(part + b"\0")
    folder = _folder()
    target = folder / f"kernels-{digest.hexdigest()}.so"
    if not target.exists():
        _compile(compiler, texts, target)
    return target


def _compiler() -> list[str]:
    """Return the compiler and its arguments; as in make, CC may be a command such as ``ccache gcc``."""
    named = shlex.split(os.environ.get("CC", ""))
    if named:
        if not shutil.which(named[0]):
            raise UnavailableError(f"there is no compiler {named[0]}, which CC names: install it, or unset CC")
        return named
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        raise UnavailableError("there is no C compiler: install gcc or clang, or name one in CC")
    return [compiler]


def _text(name: str) -> bytes:
    return resources.files("gaaf_gp.binary.native").joinpath(name).read_bytes()


def _folder() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "gaaf_gp" / "native"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
        raise UnavailableError(f"{folder} must belong to you and be writable for nobody else")
    return folder


def _compile(compiler: list[str], texts: dict[str, bytes], target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        folder, made = Path(temporary), Path(temporary) / "kernels.so"
        for name, text in texts.items():
            (folder / name).write_bytes(text)
        command = [
            *compiler,
            *FLAGS,
            *(str(folder / name) for name in texts if name.endswith(".c")),
            "-o",
            str(made),
            "-lm",
        ]
        done = _run(command)
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["it does not say why"]
            first = next((line for line in said if "error" in line), said[0])
            raise UnavailableError(f"{shlex.join(compiler)} cannot compile them: {first}")
        made.replace(target)  # whole or not at all: other processes may be building it too


def _version(compiler: list[str]) -> str:
    return _run([*compiler, "--version"]).stdout


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="replace", timeout=SECONDS, check=False
    )


def _processor() -> str:
    """Return the processor's name and instruction sets, because machines of a cluster may share one cache."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() + platform.machine()
    wanted = [line for line in lines if line.startswith(("model name", "flags", "Features"))]
    return "\n".join(wanted[:2])
