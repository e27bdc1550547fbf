"""``--network FILE.py:BUILDER``: real runs with a network that lies in a file of the user's."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gaaf_gp.archive import INTERRUPTED, Archive
from gaaf_gp.data.load import load_data
from gaaf_gp.errors import GaafError
from gaaf_gp.training.proxy import Proxy

ROOT = Path(__file__).parents[2]
NETWORK = '''
from torch import nn
from gaaf_gp.binary import BinaryConv2d

print("a file may print")


def narrow(num_classes, in_channels, *, activation=None, width=4, **binary):
    """One real and one binary convolution."""
    return nn.Sequential(
        nn.Conv2d(in_channels, width, 3, stride=2, padding=1),
        nn.BatchNorm2d(width),
        BinaryConv2d(width, width, 3, padding=1, activation=activation and activation(width), **binary),
        nn.BatchNorm2d(width),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, num_classes),
    )


def fails(num_classes, in_channels, *, activation=None):
    raise OSError("no such layer\\nat all")


def window_of_its_own(num_classes, in_channels, *, activation=None):
    return narrow(num_classes, in_channels, activation=activation, window=0.5)


def padded(num_classes, in_channels, *, activation=None):
    return narrow(num_classes, in_channels, activation=activation, pad_value=-1.0, window=1.3)


def takes_nothing():
    pass
'''
SMALL = ["--evaluations", "4", "--population", "3", "--epochs", "1", "--batch-size", "8", "--fresh-seeds", "2",
         "--no-random-search", "--quiet", "--seed", "3"]  # fmt: skip
KEPT = ("hall_of_fame.csv", "population.csv", "checkpoint.json")


@pytest.fixture
def networks(tmp_path, monkeypatch):
    """A file of networks in a folder of its own, which is the current one."""
    folder = tmp_path / "mine"
    folder.mkdir()
    path = folder / f"networks_{tmp_path.name.replace('-', '_')}.py"
    path.write_text(NETWORK)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield path
    sys.modules.pop(path.stem, None)


def called(*arguments, folder=None):
    done = subprocess.run(
        [sys.executable, "-m", "gaaf_gp", *map(str, arguments)], env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def unfinish(run):
    """Make a finished run look as if Ctrl-C had come just before its end."""
    key = json.loads((run / "config.json").read_text())["run"]
    with Archive(run / "archive.sqlite") as archive:
        archive.end(key, INTERRUPTED)
    (run / "result.json").unlink()


@pytest.mark.slow(60)
def test_a_network_in_a_file_runs_with_any_workers_and_goes_on_from_any_folder(networks, tmp_path):
    about = ["--limit", "600", "--network-settings", '{"width": 6}', *SMALL]
    for workers, spelled in ((1, f"{networks.name}:narrow"), (2, f"{networks}:narrow")):
        status, out, err = called(
            "evolve", "--network", spelled, "--workers", workers, *about, "--out", tmp_path / str(workers),
            folder=networks.parent,
        )  # fmt: skip
        assert (status, "Traceback" in err) == (0, False), err
        assert "a file may print" not in out
    first, second = ([(tmp_path / name / file).read_bytes() for file in KEPT] for name in ("1", "2"))
    assert first == second
    config = json.loads((tmp_path / "1" / "config.json").read_text())
    assert config["settings"]["proxy"]["network"] == f"{networks}:narrow", "a whole path"
    assert config["proxy"]["network"].startswith("narrow sha256:")
    assert config["proxy"]["network_settings"] == {"width": 6}

    run = tmp_path / "1"
    unfinish(run)
    status, _, err = called("resume", run)
    assert status == 2
    assert f"a network of your own is code, and a file names '{networks}:narrow'" in err
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    shutil.move(networks, moved)
    status, _, err = called("resume", run, "--network", f"{moved / networks.name}:narrow", "--quiet", folder=tmp_path)
    assert status == 0, err
    assert [(run / file).read_bytes() for file in KEPT] == first
    unfinish(run)
    (moved / networks.name).write_text(NETWORK.replace("width=4", "width=5"))
    status, _, err = called("resume", run, "--network", f"{moved / networks.name}:narrow", "--quiet")
    assert status == 2
    assert "a run must go on as it began, but proxy was" in err


@pytest.mark.parametrize(
    ("builder", "words"),
    [
        ("FILE:fails", "must return a module, called as builder"),
        ("FILE:fails", "but it raised OSError: no such layer"),
        ("FILE:takes_nothing", "but it raised TypeError"),
        ("FILE:nothing", "has no function 'nothing'; functions in it: fails, narrow, padded, takes_nothing, window"),
        ("FILE:window_of_its_own", "must have the surrogate gradient .*1.3.*, and one has .*0.5"),
        ("FILE:padded", "must have pad_value 0, and one has -1"),
        ("none.py:narrow", "no file of networks at .*none.py"),
        ("no_such_module:narrow", "cannot import the networks module 'no_such_module'"),
        ("FILE:narrow()", "a network is named as"),
        ("narrow", "network must be a known name, got 'narrow'.*or name a builder of your own"),
    ],
)
def test_a_network_that_cannot_serve_is_refused_in_one_line(networks, image_folder, builder, words):
    data = load_data(str(image_folder))
    with pytest.raises(GaafError, match=words) as refused:
        Proxy(data, network=builder.replace("FILE", str(networks)), batch_size=8)
    assert "\n" not in str(refused.value)


def test_settings_of_a_window_reach_the_layers(networks, image_folder):
    proxy = Proxy(
        load_data(str(image_folder)), network=f"{networks}:narrow", network_settings={"window": 0.5, "pad_value": -1.0},
        batch_size=8,
    )  # fmt: skip
    assert proxy.surrogate.window == 0.5


def test_a_file_of_settings_may_not_name_code(networks, image_folder, tmp_path):
    (tmp_path / "judge.json").write_text(json.dumps({"network": f"{networks}:narrow"}))
    status, _, err = called("evolve", "--data", image_folder, *SMALL, "--proxy", tmp_path / "judge.json", "--out", "r")
    assert status == 2
    assert "a network of your own is code, and a file names" in err
