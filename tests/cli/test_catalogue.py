"""``gaaf-gp catalogue``: what is listed and shown, and an entry that is really measured anew."""

import json

import pytest

from gaaf_gp import cli
from gaaf_gp.activations.catalogue import CatalogueEntry, catalogue, gain_of, save_catalogue
from gaaf_gp.trees.parser import parse
from primitives import gaaf
from tests.cli.calls import call

NAME = "wave"


@pytest.fixture(scope="module")
def retrained(image_folder, tmp_path_factory):
    """The result of a real retraining of one function on two seeds: long enough to learn the images.

    A training that guesses may call every image the same, which is a failure.
    """
    out = tmp_path_factory.mktemp("retrained")
    with pytest.raises(SystemExit) as ended:
        cli.main(["retrain", "--expression", "add(sin(x), x)", "--baselines", "sign", "--data", str(image_folder),
                  "--epochs", "8", "--seeds", "2", "--batch-size", "8", "--learning-rate", "0.03", "--pad", "0",
                  "--workers", "1", "--quiet", "--out", str(out)])  # fmt: skip
    assert ended.value.code == 0
    return json.loads((out / "result.json").read_text())


@pytest.fixture
def file(retrained, tmp_path):
    """A catalogue of one function with the gain that was really measured."""
    tree = parse("add(sin(x), x)", gaaf.free())
    gain = gain_of(retrained, "f1")
    entry = CatalogueEntry(
        NAME, tree.canonical, "primitives.gaaf:free", tree.infix(), tree.latex(), ("periodic",), {"found": "by hand"},
        (gain,),
    )  # fmt: skip
    save_catalogue([entry], tmp_path / "catalogue.json")
    return tmp_path / "catalogue.json"


def test_functions_are_listed_and_shown(file, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    gain = catalogue(file)[NAME].gains[0]
    status, printed, _ = call(capsys, "catalogue", "list", "--catalogue", file)
    assert status == 0
    assert "sin(x) + x" in printed
    assert f"{gain.points:+.2f} ({gain.low:+.2f} to {gain.high:+.2f})" in printed
    status, printed, _ = call(capsys, "catalogue", "show", NAME, "--catalogue", file)
    assert status == 0
    assert r"\sin\left(x\right) + x" in printed
    assert "found     by hand" in printed
    assert f"gain      {gain}" in printed


def test_the_own_catalogue_is_listed(capsys):
    status, printed, _ = call(capsys, "catalogue", "list")
    assert status == 0
    known = catalogue()
    assert ("the catalogue is empty" in printed) == (not known)
    assert all(name in printed for name in known)


@pytest.mark.parametrize("command", ["show", "measure"])
def test_a_name_that_is_not_there_is_said_in_one_line(file, capsys, command):
    status, _, errors = call(capsys, "catalogue", command, "weave", "--catalogue", file)
    assert status == 2
    assert errors == "error: there is no activation function 'weave' in the catalogue: did you mean wave?\n"


def test_an_entry_is_measured_anew_on_fresh_seeds(file, retrained, image_folder, tmp_path, capsys):
    out = tmp_path / "measured"
    command = ["catalogue", "measure", NAME, "--catalogue", file, "--data", image_folder, "--seeds", 3, "--workers", 1]
    status, printed, errors = call(capsys, *command, "--out", out, "--quiet")
    assert status == 0, errors
    recorded = catalogue(file)[NAME].gains[0]
    result = json.loads((out / "result.json").read_text())
    measured = gain_of(result, NAME)
    assert not set(measured.seeds) & set(recorded.seeds)
    assert len(measured.seeds) == 3
    same = ("batch_size", "learning_rate", "pad", "flip", "network", "network_settings", "data", "precision")
    assert {key: result["proxy"][key] for key in same} == {key: retrained["proxy"][key] for key in same}
    assert result["epochs"] == retrained["epochs"]
    lines = printed.splitlines()
    assert lines[0] == f"recorded  {recorded}"
    assert lines[1] == f"measured  {measured}"
    inside = measured.low <= recorded.points <= measured.high
    assert lines[2] == f"The recorded gain is {'within' if inside else 'NOT within'} the interval that was measured."
    wave, sign = (
        {one["seed"]: one["accuracy"] for one in result["trainings"] if one["text"] == text}
        for text in ("add(sin(x), x)", None)
    )
    assert measured.points == pytest.approx(100 * sum(wave[seed] - sign[seed] for seed in measured.seeds) / 3)
    assert (out / "table.txt").is_file()


def test_other_settings_are_measured_and_said(file, image_folder, tmp_path, capsys):
    status, printed, errors = call(
        capsys, "catalogue", "measure", NAME, "--catalogue", file, "--data", image_folder, "--epochs", 10, "--seeds", 2,
        "--limit", 27, "--batch-size", 6, "--workers", 1, "--out", tmp_path / "other", "--quiet",
    )  # fmt: skip
    assert status == 0, errors
    assert "Not the same measurement: data, epochs differ." in printed
    assert json.loads((tmp_path / "other" / "result.json").read_text())["proxy"]["batch_size"] == 6


def test_a_folder_of_images_must_be_named_again(file, capsys):
    status, _, errors = call(capsys, "catalogue", "measure", NAME, "--catalogue", file)
    assert status == 2
    assert "data must be named where the recorded gain is of a folder" in errors
