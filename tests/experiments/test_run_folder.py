"""Folders are never overwritten, and the table says what a person needs."""

import io

import pytest
from rich.console import Console

from gaaf_gp.errors import GaafError
from gaaf_gp.experiments.run_folder import check_free, next_free, print_summary, start, write
from gaaf_gp.experiments.run_result import result_of
from gaaf_gp.search import evolve
from tests.made_results import drawn, made


def test_a_new_and_an_empty_folder_are_free(tmp_path):
    check_free(tmp_path)
    check_free(tmp_path / "new")
    assert next_free(tmp_path) == tmp_path


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(GaafError, match=r"must be new or empty, but .* holds something: choose another one"):
        check_free(tmp_path)
    with pytest.raises(GaafError, match="is a file"):
        check_free(tmp_path / "mine.txt")
    assert (tmp_path / "mine.txt").read_text() == "kept"


def test_the_next_free_name_is_counted_up(tmp_path):
    for name in ("run", "run-2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text("{}")
    assert next_free(tmp_path / "run") == tmp_path / "run-3"
    assert next_free(tmp_path / "other") == tmp_path / "other"


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(GaafError, match="must be writable"):
        start(tmp_path / "file" / "run", {})


def test_the_summary_names_the_best_the_baseline_and_the_verdict(tmp_path):
    rows = [
        {"rank": str(i), "infix": f"sin(x) + {i}", "size": "4", "accuracy": str(0.8 - i / 100)} for i in range(1, 8)
    ]
    result = made(
        rejected={"constant sign": 3},
        failures={"out of memory": 1},
        verdict="The evolved activation is NOT shown to be better.",
    )
    text = io.StringIO()
    print_summary(result, rows, tmp_path, Console(file=text, width=100))
    lines = text.getvalue()
    assert "sin(x) + 1" in lines
    assert "sin(x) + 5" in lines
    assert "sin(x) + 6" not in lines, "the table shows the best five"
    assert "79.00%" in lines
    assert "+4.00" in lines
    assert "75.00%" in lines
    assert "9 candidates trained (1 failed), 3 rejected without training, 12 s" in lines
    assert result.verdict in lines
    assert str(tmp_path) in lines


def test_the_summary_gives_errors_and_what_was_saved(tmp_path):
    row = {"rank": "1", "infix": "sin(x)", "size": "2", "accuracy": "0.8", "standard_error": "0.00345", "sign": "0.78"}
    result = made(
        rejected={"constant sign": 3, "same behaviour": 4},
        evaluations=30,
        duplicates=4,
        dropped={"1": 20, "3": 6},
        epochs_trained=68,
    )
    text = io.StringIO()
    print_summary(result, [row, {**row, "rank": "2", "standard_error": "", "sign": ""}], tmp_path, Console(file=text))
    shown = text.getvalue()
    assert "80.00% ± 0.34" in shown
    assert "+2.00" in shown, "against the plain sign on the same seeds"
    assert "+5.00" in shown, "against the plain sign as a whole, where that is not known"
    assert "4 would have trained as an earlier one and were not" in shown
    assert "dropped out of races: 20 after epoch 1, 6 after epoch 3; 68 epochs trained in all" in shown


def test_a_run_that_ended_early_has_a_summary_too(tmp_path):
    result = made(
        best=None,
        best_infix=None,
        validation={"sign": None, "best": None, "best_standard_error": None, "seeds": []},
        evaluations=0,
        verdict="Not compared on the test split: the run was interrupted.",
    )
    text = io.StringIO()
    print_summary(result, [], tmp_path, Console(file=text, width=100))
    assert "0 candidates trained" in text.getvalue()
    assert result.verdict in text.getvalue()


def _one(mean, difference=None, p_holm=None):
    low, middle, high = difference or (None, None, None)
    return {
        "text": "@rsign",
        "infix": "x + s0",
        "accuracies": [mean] * 3,
        "mean": mean,
        "failures": [],
        "difference": difference and {"low": low, "mean": middle, "high": high, "n": 3, "confidence": 0.95},
        "p_value": p_holm,
        "p_holm": p_holm,
        "significant": p_holm and p_holm < 0.05,
    }


def test_the_summary_compares_the_winner_with_all(tmp_path):
    result = made(
        random_search=drawn(best_infix="cos(x) - 0.2"),
        test={
            "seeds": [1, 2, 3],
            "best": [0.8123] * 3,
            "sign": [0.78] * 3,
            "best_mean": 0.8123,
            "sign_mean": 0.78,
            "difference": {"low": 0.01, "mean": 0.0323, "high": 0.05, "n": 3, "confidence": 0.95},
            "failures": [],
            "competitors": {
                "sign": _one(0.78, (0.01, 0.0323, 0.05), 0.0123),
                "rprelu": _one(None),
                "forward": _one(0.80, (-0.01, 0.0123, 0.03), 0.4),
            },
            "separation": {"forward": _one(0, (0.002, 0.02, 0.04), 0.03), "backward": _one(0)},
        },
        standing="Against 3 competitors: better than plain sign.",
    )
    text = io.StringIO()
    print_summary(result, [], tmp_path, Console(file=text, width=150))
    lines = text.getvalue()
    assert "cos(x) - 0.2 (random search)" in lines
    assert "+2.00" in lines
    assert "The winner (81.23%) minus each, on the test split, 3 fresh seeds" in lines
    below = lines[lines.index("minus each") :]
    rows = {line.split("│")[1].strip(): line for line in below.splitlines() if line.count("│") == 6}
    assert {"plain sign", "RPReLU", "forward tree alone"} == rows.keys()
    for piece in ("78.00%", "+3.23", "+1.00 to +5.00", "0.012"):
        assert piece in rows["plain sign"]
    assert "failed" in rows["RPReLU"]
    assert "too few trainings" in rows["RPReLU"]
    gain = "+2.00 points over the plain sign (95 % interval +0.20 to +4.00, p 0.03)"
    assert f"The forward tree with the clipped identity: {gain}" in lines
    assert "The backward tree with the plain sign: too few trainings" in lines
    assert result.standing in lines


def test_a_figure_that_fails_is_a_warning_and_all_else_is_written(tmp_path, monkeypatch, minimal):
    found = evolve(minimal, len, evaluations=6, population_size=4)

    def broken(*_arguments, **_settings):
        raise RuntimeError("Failed to process string with tex")

    monkeypatch.setattr("gaaf_gp.plots.plot_evolved", broken)
    with pytest.warns(UserWarning, match=r"best_tree\.png was not drawn \(RuntimeError: Failed to process"):
        write(tmp_path, result_of(found, {}, None), found, {})
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {"result.json", "logbook.csv", "hall_of_fame.csv", "population.csv", "history.png"}
