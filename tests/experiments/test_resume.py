"""What a run that is gone on with must have in common with what it was: all that decides, and nothing else."""

import json

import pytest

from gaaf_gp.errors import GaafError
from gaaf_gp.experiments.resume import FREE_TO_CHANGE, check_same, read_config

BEGUN = {
    "seed": 0,
    "evaluations": 100,
    "population": 20,
    "loop": "generations",
    "racing": None,
    "extra_seeds": 2,
    "target": 0.9,
    "primitives": "gaaf",
    "two_trees": False,
    "bloat": "none",
    "constraints": [],
    "limits": {"height": 6, "size": 40},
    "proxy_settings": {"epochs": 12, "memory": None},
    "data": "fashion10k",
    "data_settings": {"limit": 600, "device": "cuda:0"},
    "versions": {"torch": "2.13"},
    "out": "first",
    "workers": 2,
    "executor": "processes",
    "archive": None,
    "settings": {"seed": 0, "out": "first"},
    "run": "abcdef",
}
FREE = {"out", "workers", "executor", "archive", "settings", "run", "data", "primitives", "evaluations"}
"""The images are compared by their checksum and the set by what it holds, not by how they are spelled. Another
number of evaluations extends a search."""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(BEGUN), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("name", sorted(BEGUN.keys() - FREE))
def test_each_setting_that_decides_is_refused_by_name(folder, name):
    for now in (BEGUN | {name: "another"}, {key: value for key, value in BEGUN.items() if key != name}):
        if now.get(name) == BEGUN[name]:
            continue  # None and nothing are the same
        with pytest.raises(GaafError, match=f"but {name} was ") as caught:
            check_same(folder, now)
        assert f"was {_device_kind(name)!r} and is {now.get(name)!r} now" in str(caught.value)


def _device_kind(name):
    return BEGUN[name] | {"device": "cuda"} if name == "data_settings" else BEGUN[name]


def test_what_is_new_is_refused_by_name(folder):
    with pytest.raises(GaafError, match="but stagnation was None and is 3 now"):
        check_same(folder, BEGUN | {"stagnation": 3})
    assert check_same(folder, BEGUN | {"stagnation": None}) == "abcdef"


def test_what_decides_nothing_may_be_another(folder):
    assert set(FREE_TO_CHANGE) == FREE
    for name in FREE:
        assert check_same(folder, BEGUN | {name: "another"}) == "abcdef", name
    assert check_same(folder, BEGUN | {"limits": {"size": 40, "height": 6}}) == "abcdef"


@pytest.mark.parametrize(
    ("device", "same"),
    [("cuda:0", True), ("cuda:1", True), ("cuda", True), ("cuda:1,cuda:2", True), ("cpu", False), ("mps", False)],
)
def test_a_device_may_be_another_of_its_kind(folder, device, same):
    now = BEGUN | {"data_settings": {"limit": 600, "device": device}}
    if same:
        assert check_same(folder, now) == "abcdef"
    else:
        with pytest.raises(GaafError, match="but data_settings was "):
            check_same(folder, now)
    with pytest.raises(GaafError, match="but data_settings was "):
        check_same(folder, BEGUN | {"data_settings": {"limit": 601, "device": "cuda:0"}})


@pytest.mark.parametrize("key", [None, 7, ["abcdef"]])
def test_a_run_without_a_key_is_none_of_an_archive(tmp_path, key):
    (tmp_path / "config.json").write_text(json.dumps({"seed": 0, "run": key}), encoding="utf-8")
    assert check_same(tmp_path, {"seed": 0}) is None
    assert read_config(tmp_path) == {"seed": 0, "run": key}


def test_a_folder_without_settings_is_no_run(tmp_path):
    with pytest.raises(GaafError, match=r"must have its config\.json, and .* has none: start it anew"):
        check_same(tmp_path, {})
