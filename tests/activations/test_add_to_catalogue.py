"""What gets into the catalogue: winners of a retraining only, with their gain, once each."""

import copy
import json

import pytest

from gaaf_gp.activations.catalogue import catalogue, save_catalogue
from gaaf_gp.errors import GaafError
from tests.scripts import loaded

RESULT = {
    "candidates": {
        "sign": {"text": "@sign"}, "rsign": {"text": "@rsign"}, "f1": {"text": "max(x, sin(x))"},
        "f2": {"text": "scale(sin(x)) | x"},
    },
    "comparisons": {"sign": [
        {"name": name, "difference": {"mean": mean, "low": mean - 0.01, "high": mean + 0.01, "confidence": 0.95},
         "p_holm": p}
        for name, mean, p in (("rsign", 0.02, 0.01), ("f1", 0.02, 0.04), ("f2", 0.03, 0.001))
    ]},
    "seeds": [5, 6], "epochs": [30], "distillation": None, "teacher": None, "versions": {"torch": "2"},
    "primitives": "primitives.gaaf:free", "proxy": {"network": "small", "data": {"name": "fashion10k"}},
}  # fmt: skip


@pytest.fixture
def script():
    return loaded("scripts/add_to_catalogue.py")


@pytest.fixture
def add(script, tmp_path):
    """Adds to a catalogue of its own, from a result that may be changed before."""
    save_catalogue([], tmp_path / "catalogue.json")

    def call(name, candidate="f1", change=lambda result: None, tag=None):
        result = copy.deepcopy(RESULT)
        change(result)
        (tmp_path / "result.json").write_text(json.dumps(result))
        script.main(name, tmp_path, "evolve, seed 0", candidate, tag, tmp_path / "catalogue.json")
        return catalogue(tmp_path / "catalogue.json")

    return call


def test_a_winner_gets_in_with_its_formula_and_its_gain(add, capsys):
    entry = add("sin-max", tag=["first"])["sin-max"]
    assert (entry.expression, entry.formula) == ("max(sin(x), x)", "max(sin(x), x)")
    assert entry.latex == r"\max\left(\sin\left(x\right), x\right)"
    assert entry.tags == ("periodic", "free", "first")
    assert entry.provenance == {"found": "evolve, seed 0"}
    (gain,) = entry.gains
    assert (gain.points, gain.low, gain.high, gain.p_holm) == pytest.approx((2.0, 1.0, 3.0, 0.04))
    assert gain.settings["versions"] == {"torch": "2"}
    assert entry.candidate().canonical == entry.expression
    assert capsys.readouterr().out.startswith("sin-max: max(sin(x), x), +2.00 points on fashion10k")


def test_two_trees_get_in_too(add):
    entry = add("pair", "f2")["pair"]
    assert entry.tags == ("two trees", "periodic", "learnable", "free")
    assert entry.candidate().canonical == "scale(sin(x)) | x"


def test_a_second_measurement_stands_beside_the_first(add):
    add("sin-max")
    known = add("sin-max", change=lambda result: result["proxy"].__setitem__("network", "resnet20"))
    assert [gain.network for gain in known["sin-max"].gains] == ["small", "resnet20"]
    again = add("sin-max")["sin-max"].gains
    assert [gain.network for gain in again] == ["resnet20", "small"], "the same measurement is there once"
    assert list(add("pair", "f2")) == ["sin-max", "pair"]


def worse(result):
    result["comparisons"]["sign"][1]["difference"]["mean"] = -0.02


def unsure(result):
    result["comparisons"]["sign"][1]["p_holm"] = 0.06


@pytest.mark.parametrize(
    ("candidate", "change", "said"),
    [
        ("f1", worse, r"of functions that won, and f1 is not shown to have: -2\.00 points"),
        ("f1", unsure, r"of functions that won, and f1 is not shown to have: \+2\.00 points"),
        ("rsign", lambda result: None, "the catalogue is of evolved functions, and rsign is @rsign: choose another"),
        ("f3", lambda result: None, "compared with the plain sign, rsign, f1, f2; got 'f3'"),
        (
            "f1",
            lambda result: result.clear(),
            "a gain is read from the result.json of gaaf-gp retrain, and this is none",
        ),
    ],
)
def test_what_did_not_win_is_refused(add, tmp_path, candidate, change, said):
    before = (tmp_path / "catalogue.json").read_bytes()
    with pytest.raises(GaafError, match=said):
        add("name", candidate, change)
    assert (tmp_path / "catalogue.json").read_bytes() == before


def test_a_name_is_given_once(add):
    add("sin-max")
    with pytest.raises(GaafError, match=r"'sin-max' is max\(sin\(x\), x\): choose another"):
        add("sin-max", "f2")


@pytest.mark.parametrize(("content", "said"), [(None, "ended with FileNotFoundError"), ("[]", "is none: name its")])
def test_a_folder_without_a_result_is_named(script, tmp_path, content, said):
    if content is not None:
        (tmp_path / "result.json").write_text(content)
    with pytest.raises(GaafError, match=said):
        script.read_result(tmp_path / "result.json")
