"""The compiler, the cache, and what happens where there is none of either."""

import json
import os
import platform
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gaaf_gp.binary import best_kernels, native, small_network, use_kernels
from gaaf_gp.binary.native import Geometry, binary_convolution, build, packed_table
from gaaf_gp.errors import GaafError

COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
NEEDS_COMPILER = pytest.mark.skipif(not native.available(), reason=f"no kernels: {native.unavailable_reason()}")


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """A process that has not looked for kernels yet, with an empty cache; returns what sets its environment."""
    for name in ("CC", "GAAF_GP_NATIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    build._load.cache_clear()
    yield monkeypatch
    build._load.cache_clear()


def script(path: Path, text: str) -> Path:
    """Write an executable."""
    path.write_text("#!/bin/sh\n" + text + "\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def counting(folder: Path) -> Path:
    """A compiler that writes down how it is called."""
    return script(folder / "counting-cc", f'echo "$@" >> "{folder}/calls"\nexec "{COMPILER}" "$@"')


def compilations(folder: Path) -> int:
    return sum("-shared" in line for line in (folder / "calls").read_text(encoding="utf-8").splitlines())


def train_a_step() -> float:
    """Train with the best kernels there are; return the loss."""
    torch.manual_seed(0)
    network = small_network(2, 1, widths=(4, 8))
    use_kernels(network, best_kernels())
    before = network.stages[0].body[0].weight.detach().clone()  # type: ignore[index]
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    loss = functional.cross_entropy(network(torch.randn(8, 1, 8, 8)), torch.arange(8) % 2)
    loss.backward()
    optimizer.step()
    assert not torch.equal(network.stages[0].body[0].weight, before)  # type: ignore[index]
    return loss.item()


def assert_unavailable(reason: str) -> None:
    """The kernels are not there for ``reason``, said in one line wherever they are asked for; training goes on."""
    assert not native.available()
    assert not native.whole_numbers()
    said = native.unavailable_reason()
    assert said is not None
    assert reason in said
    assert "\n" not in said
    with pytest.raises(RuntimeError, match="the compiled kernels are not available: ") as caught:
        build.library()
    assert said in str(caught.value)
    with pytest.raises(GaafError, match="must be compiled here, but ") as refused:
        use_kernels(nn.Identity(), "float32")
    assert said in str(refused.value)
    assert best_kernels() == "torch"
    assert train_a_step() > 0


def test_they_can_be_turned_off(fresh: pytest.MonkeyPatch) -> None:
    fresh.setenv("GAAF_GP_NATIVE", "0")
    assert_unavailable("GAAF_GP_NATIVE=0 turns them off")


def test_a_compiler_that_is_not_there(fresh: pytest.MonkeyPatch) -> None:
    fresh.setenv("CC", "/nonexistent/cc -O2")
    assert_unavailable("there is no compiler /nonexistent/cc, which CC names")


def test_no_compiler_at_all(fresh: pytest.MonkeyPatch) -> None:
    fresh.setenv("PATH", "")
    assert_unavailable("there is no C compiler: install gcc or clang, or name one in CC")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("exit 1", "cannot compile them: it does not say why"),
        (
            "echo 'In file x:' >&2; echo 'x.c:1: error: no luck' >&2; exit 1",
            "cannot compile them: x.c:1: error: no",
        ),
        ("printf 'gebrochen \\344\\n' >&2; exit 3", "cannot compile them: gebrochen"),  # not the encoding of the locale
        ("exit 0", "FileNotFoundError"),  # says that it worked, and made nothing
        ('for last; do [ "$made" = -o ] && echo no > "$last"; made=$last; done', "kernels-"),  # makes no library
    ],
)
def test_a_broken_compiler(text: str, reason: str, fresh: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fresh.setenv("CC", str(script(tmp_path / "cc", text)))
    assert_unavailable(reason)
    left = [path for path in (tmp_path / "gaaf_gp" / "native").iterdir() if path.is_dir()]
    assert left == []


def test_a_compiler_that_hangs(fresh: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fresh.setenv("CC", str(script(tmp_path / "cc", "exec sleep 60")))
    fresh.setattr(build, "SECONDS", 0.05)
    assert_unavailable("TimeoutExpired")


def test_a_cache_that_cannot_be_made(fresh: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    fresh.setenv("CC", str(script(tmp_path / "cc", "exit 0")))
    fresh.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert_unavailable("NotADirectoryError")


def test_no_home(fresh: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    fresh.delenv("XDG_CACHE_HOME")
    fresh.setenv("CC", str(script(tmp_path / "cc", "exit 0")))
    fresh.setattr(Path, "home", homeless)
    assert_unavailable("Could not determine home directory")


def test_other_processors_are_refused(fresh: pytest.MonkeyPatch) -> None:
    fresh.setattr(sys, "byteorder", "big")
    with pytest.raises(build.UnavailableError, match="lowest byte first"):
        build._built()


@NEEDS_COMPILER
def test_a_library_is_made_once_and_found_again(fresh: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fresh.setenv("CC", str(counting(tmp_path)))
    assert native.available()
    assert native.unavailable_reason() is None
    folder = tmp_path / "gaaf_gp" / "native"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (made,) = folder.iterdir()
    first = made.stat()
    assert compilations(tmp_path) == 1
    build._load.cache_clear()
    assert native.available()
    code = "from gaaf_gp.binary import native; import json; from gaaf_gp.binary.native import build"
    code += "; print(json.dumps([native.available(), native.unavailable_reason(), str(build._built())]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [True, None, str(made)]
    assert compilations(tmp_path) == 1
    second = made.stat()
    assert (second.st_mtime_ns, second.st_ino, second.st_size) == (first.st_mtime_ns, first.st_ino, first.st_size)
    assert list(folder.iterdir()) == [made]
    assert train_a_step() > 0

    folder.chmod(0o770)
    build._load.cache_clear()
    assert_unavailable("must belong to you and be writable for nobody else")
    folder.chmod(0o707)
    build._load.cache_clear()
    assert_unavailable("must belong to you and be writable for nobody else")
    folder.chmod(0o755)
    build._load.cache_clear()
    assert native.available()


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no users here")
def test_a_cache_of_somebody_else_is_refused(fresh: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fresh.setenv("CC", str(script(tmp_path / "cc", "exit 0")))
    owner = os.getuid()
    fresh.setattr(os, "getuid", lambda: owner + 1)
    assert_unavailable("must belong to you")


@pytest.fixture
def named(fresh: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], str]:
    """Returns the name of the library that would be made now."""
    fresh.setenv("CC", str(script(tmp_path / "cc", "echo version 1")))

    def touch(_compiler: list[str], _texts: dict[str, bytes], target: Path) -> None:
        target.touch()

    fresh.setattr(build, "_compile", touch)
    return lambda: build._built().name


def test_a_change_of_anything_makes_another_library(
    named: Callable[[], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = named()
    assert named() == first
    script(tmp_path / "cc", "echo version 2")
    names = [first, named()]
    monkeypatch.setenv("CC", str(tmp_path / "cc") + " -O1")
    names.append(named())
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, "-g"))
    names.append(named())
    monkeypatch.setattr(build, "_processor", lambda: "another one")
    names.append(named())
    monkeypatch.setattr(build, "SOURCES", build.SOURCES[:-1])
    names.append(named())
    assert len(set(names)) == len(names) == 6
    assert {path.name for path in (tmp_path / "gaaf_gp" / "native").iterdir()} == set(names)


def test_the_cache_is_in_the_home_by_default(
    named: Callable[[], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    name = named()
    assert (tmp_path / "home" / ".cache" / "gaaf_gp" / "native" / name).exists()


def test_the_sources_are_part_of_the_package() -> None:
    folder = Path(native.__file__).parent
    assert {path.name for path in folder.iterdir() if path.suffix in {".c", ".h"}} == set(build.SOURCES)


def test_a_process_without_kernels_trains() -> None:
    code = """
import torch
from gaaf_gp.binary import native
from gaaf_gp.binary import BinaryConv2d, best_kernels, use_kernels
layer = BinaryConv2d(3, 4, 3, padding=1)
use_kernels(layer, best_kernels())
layer(torch.randn(2, 3, 5, 5)).square().sum().backward()
print(best_kernels(), native.unavailable_reason(), bool(layer.weight.grad.any()), sep="|")
"""
    environment = {**os.environ, "GAAF_GP_NATIVE": "0"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "torch|GAAF_GP_NATIVE=0 turns them off|True\n"
    assert done.stderr == ""


def signs(x: Tensor) -> Tensor:
    return torch.where(x >= 0, 1.0, -1.0)


@NEEDS_COMPILER
@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="the option is of these processors")
def test_without_avx2_there_are_float32_gradients(fresh: pytest.MonkeyPatch) -> None:
    fresh.setenv("CC", f"{COMPILER} -mno-avx2")
    assert native.available(), native.unavailable_reason()
    assert not native.whole_numbers()
    assert best_kernels() == "float32"
    with pytest.raises(GaafError, match="kernels 'fixed' need a processor with AVX2"):
        use_kernels(nn.Identity(), "fixed")
    torch.manual_seed(0)
    x, weight = torch.randn(3, 70, 6, 5), torch.randn(9, 70, 3, 3, requires_grad=True)
    sign = torch.arange(65536) < 32768  # of every number that is no minus
    y = binary_convolution(x, weight, packed_table(sign, torch.zeros(65536)), Geometry((2, 1), (1, 1), 1), 1.0, False)
    y.square().sum().backward()
    other = weight.detach().double().requires_grad_()
    latent = signs(other.detach()).double() + other.clamp(-1, 1) - other.detach().clamp(-1, 1)
    expected = functional.conv2d(functional.pad(signs(x).double(), (1, 1, 1, 1), value=1.0), latent, None, (2, 1))
    expected.square().sum().backward()
    assert torch.equal(y.double(), expected)
    torch.testing.assert_close(weight.grad, other.grad, rtol=1e-5, atol=1e-2, check_dtype=False)
