"""``gaaf-gp evolve``: its options are the settings of a run, and ``--config`` takes those of another run."""

import json
import re

import pytest

from gaaf_gp.cli import main
from gaaf_gp.cli.evolve import chosen_settings
from gaaf_gp.data import load_data
from gaaf_gp.errors import GaafError
from gaaf_gp.experiments.report.repeating import commands
from gaaf_gp.experiments.run_data import find_run, read_run
from gaaf_gp.experiments.settings import OPTIONS, PANELS, Settings
from gaaf_gp.training import Proxy

SMALL = ("--epochs", "1", "--batch-size", "8", "--population", "3", "--fresh-seeds", "2", "--workers", "1", "--quiet")


def call(capsys, *arguments):
    """Run ``gaaf-gp evolve`` here; return its status and standard error."""
    with pytest.raises(SystemExit) as ended:
        main(["evolve", *map(str, arguments)])
    return ended.value.code, capsys.readouterr().err


@pytest.fixture(scope="module")
def folder(image_folder, tmp_path_factory):
    """A real run."""
    out = tmp_path_factory.mktemp("run") / "first"
    with pytest.raises(SystemExit) as ended:
        main(["evolve", "--data", str(image_folder), "--evaluations", "4", "--constraint", "at most 2 sin",
              "--max-size", "9", "--no-random-search", *SMALL, "--out", str(out)])  # fmt: skip
    assert ended.value.code == 0
    return out


def read(folder):
    return json.loads((folder / "config.json").read_text())


def test_help_lists_every_setting_once_under_its_heading(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        main(["evolve", "--help"])
    text = capsys.readouterr().out
    parts = {panel: text.partition(f"\n{panel}:\n")[2].partition("\n\n")[0] for panel in PANELS}
    for option in OPTIONS.values():
        holding = [panel for panel, part in parts.items() if f"\n  {option.flag} " in f"\n{part}"]
        assert holding == [option.panel], option
    assert "--config FILE" in text.partition("\nOther options:\n")[2]


def test_without_options_settings_are_the_usual_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings, usual = chosen_settings({}), Settings(tmp_path)
    for name, value in usual.as_json().items():
        if name not in ("bloat", "proxy", "data_settings"):
            assert settings.as_json()[name] == value
    assert set(settings.proxy) == {
        "epochs", "batch_size", "learning_rate", "pad", "flip", "network", "network_settings", "threads", "seconds",
        "memory", "precision",
    }  # fmt: skip
    images = load_data(limit=300)
    assert Proxy(images, **settings.proxy).settings() == Proxy(images).settings()
    assert list(settings.data_settings) == ["limit", "device", "image_size", "download"]


def test_the_config_of_a_run_gives_the_same_run(folder, tmp_path, capsys):
    again = tmp_path / "again"
    assert call(capsys, "--config", folder / "config.json", "--out", again, "--quiet") == (0, "")
    first, second = read(folder), read(again)
    different = {name for name in first if first[name] != second[name]}
    assert different == {"out", "run"}
    for name in ("logbook.csv", "hall_of_fame.csv", "population.csv"):
        assert (folder / name).read_bytes() == (again / name).read_bytes()


def test_options_of_the_command_line_win(folder, tmp_path, capsys):
    other = tmp_path / "other"
    given = ("--seed", 2, "--evaluations", 3, "--max-height", 4, "--constraint", "at most 1 tan")
    assert call(capsys, "--config", folder / "config.json", "--out", other, "--quiet", *given) == (0, "")
    before, after = read(folder)["settings"], read(other)["settings"]
    changed = {
        "seed": 2, "evaluations": 3, "limits": {"height": 4, "size": 9}, "constraints": ["at most 1 tan"],
    }  # fmt: skip
    assert after == {**before, **changed}


def test_constants_are_tuned_and_luck_is_told(folder, tmp_path, capsys):
    out = tmp_path / "tuned"
    given = ("--tune-constants", 3, "--initial", "mix(x, sin(x))", "--initial", "add(x, const(-0.5))")
    with pytest.raises(SystemExit) as ended:
        main(["evolve", "--config", str(folder / "config.json"), "--out", str(out), *map(str, given)])
    printed = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    assert read(out)["settings"]["tune_constants"] == 3
    result = json.loads((out / "result.json").read_text())
    assert 4 <= result["evaluations"] <= 7
    assert result["luck"]["words"] in printed
    assert 0 <= result["luck"]["expected"] <= result["luck"]["most"]


def test_a_default_that_is_given_wins_too(folder, tmp_path):
    settings = chosen_settings({"evaluations": 100, "random_search": True}, folder / "config.json")
    assert (settings.evaluations, settings.random_search, settings.limits.size) == (100, True, 9)


def test_another_data_set_is_loaded_in_its_own_way(folder, tmp_path):
    file = folder / "config.json"
    streamed = chosen_settings({"data": "imagenet"}, file)
    assert streamed.stream
    assert streamed.data_settings == {"limit": None, "device": "cpu", "workers": 0}
    (tmp_path / "config.json").write_text(json.dumps({"settings": json.loads(json.dumps(streamed.as_json()))}))
    held = chosen_settings({"stream": False}, tmp_path / "config.json")
    assert not held.stream
    assert held.data_settings == {"limit": None, "device": "cpu", "image_size": None, "download": False}
    assert chosen_settings({}, tmp_path / "config.json").data_settings == streamed.data_settings


def test_what_a_file_does_not_name_has_its_default(tmp_path):
    (tmp_path / "config.json").write_text('{"settings": {"evaluations": 7, "proxy": {"network_settings": {}}}}')
    settings = chosen_settings({"proxy.epochs": 3}, tmp_path / "config.json")
    assert (settings.evaluations, settings.population) == (7, 20)
    assert settings.proxy == {"network_settings": {}, "epochs": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "--config takes the config.json of a run, and there is no file .*config.json: name another"),
        ("{", "config.json must be JSON"),
        ("[]", "config.json must hold settings by name, got list"),
        ("{}", "config.json holds no settings: name another"),
        ('{"search": "genetic"}', "is of a script of its own .*'genetic'.*: start that script again"),
        ('{"settings": {"speed": 3}}', "must hold exactly its settings; speed differ"),
        ('{"settings": {"seed": "one"}}', "the setting seed must be of the kind int, as 0 is, got 'one'"),
        ('{"settings": {"proxy": {"epochs": "two"}}}', "the setting proxy.epochs must be of the kind int"),
        ('{"settings": {"proxy": {"speed": 2}}}', "must be those of a run, but using them ended with TypeError"),
        ('{"settings": {"primitives": "mine.py:make"}}', "a primitive set is code, .*pass --primitives mine.py:make"),
        ('{"settings": {"evaluations": 0}}', "evaluations must be a whole number of at least 1, got 0"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path, image_folder, capsys, text, message):
    file, out = tmp_path / "config.json", tmp_path / "out"
    if text is not None:
        file.write_text(text)
    status, err = call(capsys, "--config", file, "--data", image_folder, "--out", out)
    assert status == 2
    assert re.search(message, err)
    assert err.count("\n") == 1, err
    assert not out.exists()


def test_a_proxy_has_a_name_and_options_win_over_it(folder):
    deep = chosen_settings({}, None, "deep")
    assert (deep.proxy["network"], deep.proxy["epochs"], deep.data_settings["image_size"]) == ("resnet20", 3, 14)
    assert deep.proxy["network_settings"] == {"widths": [8, 16, 32], "shortcut_every": 2}
    assert Proxy(load_data(limit=300, image_size=14), **deep.proxy).network == "resnet20"
    longer = chosen_settings({"proxy.epochs": 5}, None, "deep")
    assert longer.proxy == {**deep.proxy, "epochs": 5}
    assert chosen_settings({"proxy.network": "nin"}, None, "deep").proxy["network_settings"] == {}
    assert chosen_settings({}, None, "quick").proxy["network_settings"] == {}
    before = chosen_settings({}, folder / "config.json")
    after = chosen_settings({}, folder / "config.json", "deep").proxy
    assert {name for name in after if after[name] != before.proxy[name]} == {"network", "network_settings", "epochs"}


def test_a_proxy_may_be_a_file(tmp_path):
    file = tmp_path / "own.json"
    file.write_text('{"network": "nin", "network_settings": {"widths": [8, 8]}, "learning_rate": 0.01, "limit": 500}')
    settings = chosen_settings({}, None, str(file))
    assert settings.proxy["network_settings"] == {"widths": [8, 8]}
    assert (settings.proxy["learning_rate"], settings.data_settings["limit"]) == (0.01, 500)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "a proxy must be one of quick, deep or a JSON file, and there is no file .*own.json: name another"),
        ('{"depth": 3}', "and .*own.json has depth: leave it out"),
        ('{"population": 3}', "has population: leave it out"),
        ('{"epochs": "three"}', "the setting epochs in .*own.json must be of the kind int"),
        ('{"network_settings": 3}', "the setting network_settings in .*own.json must be of the kind dict"),
        ("[]", "must hold settings by name, got list"),
    ],
)
def test_what_is_no_proxy_is_refused(tmp_path, text, message):
    file = tmp_path / "own.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(GaafError, match=message):
        chosen_settings({}, None, str(file))


def test_settings_of_a_network_are_json(tmp_path, capsys):
    out = tmp_path / "thin"
    given = ("--network-settings", '{"widths": [4, 8]}', "--no-flip", "--learning-rate", "0.01", "--pad", "1")
    small = ("--evaluations", "2", "--population", "2", "--limit", "300", "--image-size", "8", "--fresh-seeds", "2")
    assert call(capsys, *given, *small, "--out", out, "--quiet", "--no-random-search", "--workers", "1")[0] == 0
    proxy = read(out)["proxy"]
    assert proxy["network_settings"] == {"widths": [4, 8]}
    assert (proxy["flip"], proxy["learning_rate"], proxy["pad"]) == (False, 0.01, 1)
    said = commands(read_run(find_run(out))).repeat
    assert "--network-settings '{\"widths\": [4, 8]}'" in said
    assert "--no-flip" in said
    for text in ("{", "3"):
        code, printed = call(capsys, "--network-settings", text, "--out", tmp_path / "no")
        assert code == 2
        assert "a JSON object is needed" in printed
