"""Importing is tested in processes of their own: what is declared or imported once cannot be taken back."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from gaaf_gp.data import torchvision_compat
from gaaf_gp.errors import GaafError

REPOSITORY = Path(__file__).resolve().parents[2]


def in_new_process(program: str) -> str:
    """Run ``program`` in a fresh interpreter that sees the package, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_datasets_transforms_and_models_work() -> None:
    shown = in_new_process("""
        import importlib, sys
        import torch
        from gaaf_gp.data.torchvision_compat import import_torchvision
        assert "torchvision" not in sys.modules
        torchvision = import_torchvision()
        assert torchvision is import_torchvision() is sys.modules["torchvision"]
        assert len(torchvision.datasets.CIFAR10.train_list) == 5
        v2 = importlib.import_module("torchvision.transforms.v2")
        image = torch.arange(12, dtype=torch.uint8).reshape(1, 3, 4)
        assert torch.equal(v2.RandomHorizontalFlip(p=1.0)(image), image.flip(-1))
        torch.manual_seed(0)
        out = torchvision.models.resnet18(num_classes=7).eval()(torch.randn(2, 3, 32, 32))
        assert torch.isfinite(out).all() and out.std() > 0
        print(tuple(out.shape))
    """)
    assert shown == "(2, 7)"


def test_many_threads_repair_a_failed_plain_import_once() -> None:
    shown = in_new_process("""
        from concurrent.futures import ThreadPoolExecutor
        try:
            import torchvision
        except RuntimeError as error:
            assert "torchvision::nms" in str(error)
        from gaaf_gp.data import torchvision_compat
        with ThreadPoolExecutor(8) as threads:
            modules = list(threads.map(lambda _: torchvision_compat.import_torchvision(), range(16)))
        assert len({id(module) for module in modules}) == 1
        assert len(torchvision_compat._declared) <= 1
        print(modules[0].models.resnet18.__name__)
    """)
    assert shown == "resnet18"


def test_operators_declared_by_another_are_left_alone() -> None:
    shown = in_new_process("""
        import torch
        from gaaf_gp.data import torchvision_compat
        others = torch.library.Library("torchvision", "DEF")
        for schema in torchvision_compat._SCHEMAS.values():
            others.define(schema)
        torchvision_compat.import_torchvision()
        print(len(torchvision_compat._declared))
    """)
    assert shown == "0"


@pytest.mark.parametrize(("loads", "declared"), [(True, 0), (False, 1)])
def test_operators_are_declared_only_where_the_compiled_library_fails(
    tmp_path: Path, loads: bool, declared: int
) -> None:
    # A stand-in package: its "compiled library" is an empty file, and loading it is replaced by what the real one does.
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "_C.so").touch()
    (package / "__init__.py").write_text("import torch\nschema = str(torch.ops.torchvision.nms.default._schema)\n")
    shown = in_new_process(f"""
        import sys
        import torch
        sys.path.insert(0, {str(tmp_path)!r})
        kept, loaded = [], []
        def load_library(path):
            loaded.append(path)
            if not {loads}:
                raise OSError("libcudart.so: cannot open shared object file")
            if not kept:
                kept.append(torch.library.Library("torchvision", "DEF"))
                kept[0].define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
                kept[0].define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        torch.ops.load_library = load_library
        from gaaf_gp.data import torchvision_compat
        module = torchvision_compat.import_torchvision()
        assert loaded == [{str(package / "_C.so")!r}]
        print(len(torchvision_compat._declared), module.schema)
    """)
    assert shown == f"{declared} torchvision::nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def test_a_missing_torchvision_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    monkeypatch.setattr(torchvision_compat, "find_spec", lambda _: None)
    with pytest.raises(GaafError, match=r"torchvision must be installed .* pip install torchvision"):
        torchvision_compat.import_torchvision()
