"""The catalogue: functions by name are what their text says, near names are offered, and damage is named."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

import gaaf_gp
from gaaf_gp.activations.catalogue import (
    CatalogueEntry,
    Gain,
    catalogue,
    find_entry,
    gain_of,
    load_activation,
    save_catalogue,
)
from gaaf_gp.errors import GaafError
from gaaf_gp.trees.candidate import TwoTrees
from gaaf_gp.trees.parser import parse

GAIN = Gain(
    points=0.5, low=0.1, high=0.9, confidence=0.95, p_holm=0.02, seeds=(7, 8, 9), split="test", data="fashion10k",
    network="small", epochs=30, settings={"epochs": [10, 20], "proxy": {"network": "small"}},
)  # fmt: skip
WAVE = CatalogueEntry(
    "wave", "add(sin(x), x)", "primitives.gaaf:free", "sin(x) + x", r"\sin\left(x\right) + x", ("periodic", "free"),
    {"found": "gaaf-gp evolve, seed 0"}, (GAIN,),
)  # fmt: skip
SCALED = replace(
    WAVE, name="scaled", expression="max(scale(x), sin(x))", primitives="primitives.gaaf:encoding1",
    formula="max(s0 * x, sin(x))", tags=("learnable",),
)  # fmt: skip
PAIR = replace(WAVE, name="pair", expression="sin(x) | x", tags=())


@pytest.fixture
def file(tmp_path):
    """A catalogue of three functions."""
    save_catalogue([WAVE, SCALED, PAIR], tmp_path / "catalogue.json")
    return tmp_path / "catalogue.json"


def test_entries_come_back_in_their_order_and_cannot_be_changed(file):
    known = catalogue(file)
    assert list(known) == ["wave", "scaled", "pair"]
    assert list(known.values()) == [WAVE, SCALED, replace(PAIR)]
    with pytest.raises(TypeError, match="does not support item assignment"):
        known["wave"] = PAIR
    before = file.read_bytes()
    save_catalogue(list(known.values()), file)
    assert file.read_bytes() == before


def test_an_activation_is_its_formula(file):
    x = torch.linspace(-3, 3, 24, dtype=torch.float64).view(2, 3, 4)
    wave = load_activation("wave", 3, file)
    assert isinstance(wave, gaaf_gp.Activation)
    torch.testing.assert_close(wave(x), x.sin() + x)
    scaled = load_activation("scaled", 3, file).double()
    assert [parameter.shape for parameter in scaled.parameters()] == [(3,)]
    with torch.no_grad():
        next(scaled.parameters()).copy_(torch.tensor([2.0, 1.0, -1.0]))
    factors = torch.tensor([2.0, 1.0, -1.0], dtype=torch.float64).view(1, 3, 1)
    torch.testing.assert_close(scaled(x), torch.maximum(factors * x, x.sin()))
    assert gaaf_gp.load_activation is load_activation


def test_two_trees_are_a_candidate_and_no_activation(file):
    pair = find_entry("pair", file).candidate()
    assert isinstance(pair, TwoTrees)
    assert pair.canonical == "sin(x) | x"
    with pytest.raises(GaafError, match="an activation is one tree, and 'pair' is a forward and a backward tree: make"):
        load_activation("pair", 3, file)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("waves", r"no activation function 'waves' in the catalogue: did you mean wave\?$"),
        ("scale", r"did you mean scaled\?$"),
        ("xyz", r"no activation function 'xyz' in the catalogue: it has wave, scaled, pair$"),
    ],
)
def test_near_names_are_offered(file, name, said):
    with pytest.raises(GaafError, match=said):
        load_activation(name, 3, file)


def test_the_own_catalogue_is_read_and_true():
    known = catalogue()
    with pytest.raises(GaafError, match="there is no activation function 'no-such-name'"):
        load_activation("no-such-name", 3)
    for name, entry in known.items():
        candidate = entry.candidate()
        assert (candidate.canonical, candidate.infix(), candidate.latex()) == (
            entry.expression,
            entry.formula,
            entry.latex,
        ), name
        assert entry.provenance["found"]
        assert all(gain.low > 0 and gain.p_holm <= 0.05 and gain.split == "test" for gain in entry.gains), name
    packaged = Path(gaaf_gp.__file__).parent / "activations" / "catalogue.json"
    assert list(known) == [row["name"] for row in json.loads(packaged.read_text())["entries"]]


def test_an_empty_catalogue_says_so(tmp_path):
    save_catalogue([], tmp_path / "none.json")
    assert catalogue(tmp_path / "none.json") == {}
    with pytest.raises(GaafError, match="there is no activation function 'wave': the catalogue is empty"):
        load_activation("wave", 3, tmp_path / "none.json")


def test_missing_operators_are_named_and_the_fix(file):
    plain = json.loads(file.read_text())
    plain["entries"][0]["primitives"] = "primitives.nothing:free"
    plain["entries"][1]["primitives"] = "primitives.minimal:make_pset"
    file.write_text(json.dumps(plain))
    with pytest.raises(GaafError, match=r"'wave' is made of the operators of primitives\.nothing:free, which"):
        load_activation("wave", 3, file)
    with pytest.raises(GaafError, match="'max' is not in set"):
        load_activation("scaled", 3, file)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "must be a file of JSON that can be read, and reading .* ended with JSONDecodeError"),
        ("[]", "must say the format 1 that this version of gaaf-gp reads"),
        ('{"format": 2, "entries": []}', "must say the format 1 that this version of gaaf-gp reads"),
        ('{"format": 1}', r"is a damaged catalogue \(KeyError: 'entries'\)"),
    ],
)
def test_another_file_is_refused(tmp_path, content, said):
    (tmp_path / "c.json").write_text(content)
    with pytest.raises(GaafError, match=said):
        catalogue(tmp_path / "c.json")
    with pytest.raises(GaafError, match="ended with FileNotFoundError"):
        catalogue(tmp_path / "nothing.json")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda row: row.pop("formula"), "KeyError: 'formula'"),
        (lambda row: row.__setitem__("expression", 3), "expression must be text"),
        (lambda row: row.__setitem__("name", "Wave 1"), "small letters, digits"),
        (lambda row: row.__setitem__("gains", []), "must have a measured gain, and 'wave' has none"),
        (lambda row: row["gains"][0].__setitem__("low", "wide"), "could not convert"),
        (lambda row: row["gains"][0].__setitem__("low", "inf"), "must be finite"),
        (lambda row: row["gains"][0].pop("settings"), "KeyError: 'settings'"),
    ],
)
def test_damage_is_named(file, change, said):
    plain = json.loads(file.read_text())
    change(plain["entries"][0])
    file.write_text(json.dumps(plain))
    with pytest.raises(GaafError, match=rf"is a damaged catalogue \(.*{said}") as caught:
        catalogue(file)
    assert "\n" not in str(caught.value)


def test_a_name_that_comes_twice_is_refused(file):
    save_catalogue([WAVE, PAIR, WAVE], file)
    with pytest.raises(GaafError, match=r"names in a catalogue must be unique, and .* has wave twice: rename one"):
        catalogue(file)


def test_the_plain_sign_is_no_entry():
    with pytest.raises(GaafError, match="must be a function, and 'wave' is the plain sign: remove it"):
        replace(WAVE, expression="@sign").candidate()


SPAN = {"mean": 0.01, "low": 0.002, "high": 0.018, "confidence": 0.95}
RESULT = {
    "comparisons": {"sign": [{"name": "f1", "difference": SPAN, "p_holm": 0.03}]},
    "seeds": [5, 6],
    "epochs": [2, 3],
    "distillation": None,
    "teacher": None,
    "versions": {"torch": "2"},
    "proxy": {"network": "resnet20", "data": {"name": "cifar10"}},
}


def test_a_gain_is_that_of_a_retraining_in_points():
    gain = gain_of(RESULT, "f1")
    assert (gain.points, gain.low, gain.high) == pytest.approx((1.0, 0.2, 1.8))
    assert (gain.seeds, gain.data, gain.network, gain.epochs, gain.split) == ((5, 6), "cifar10", "resnet20", 5, "test")
    assert gain.settings["proxy"] == RESULT["proxy"]
    assert str(gain) == (
        "+1.00 points on cifar10 (test split, resnet20, 5 epochs), 95% interval +0.20 to +1.80, 2 seeds"
    )


@pytest.mark.parametrize(
    ("result", "name", "said"),
    [
        (RESULT, "f2", "compared with the plain sign, f1; got 'f2': choose one of them"),
        ({**RESULT, "comparisons": {}}, "f1", r"and this is none \(KeyError: 'sign'\)"),
        ({**RESULT, "proxy": None}, "f1", r"and this is none \(TypeError"),
        ([], "f1", r"and this is none \(TypeError"),
    ],
)
def test_a_result_without_that_gain_is_refused(result, name, said):
    with pytest.raises(GaafError, match=said):
        gain_of(result, name)


def test_what_is_written_is_all_of_an_entry(file, free):
    row = json.loads(file.read_text())["entries"][0]
    assert row == json.loads(json.dumps(asdict(WAVE)))
    assert parse(row["expression"], free).latex() == row["latex"]
