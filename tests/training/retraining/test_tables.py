"""The table of a retraining: figures against the comparison, a text that fits, LaTeX that is well formed."""

import csv
import dataclasses
import json
import math
import re
import statistics

import pytest
from rich.console import Console

from gaaf_gp.training.outcome import Epoch
from gaaf_gp.training.retraining import tables as retrain_tables
from gaaf_gp.training.retraining.result import RetrainResult, TrainingResult
from gaaf_gp.trees.candidate import Baseline, parse_candidate

SEEDS = (1, 2, 3, 4)
VALUES = {
    "sign": (0.70, 0.71, 0.72, 0.71),
    "rprelu": (0.701, 0.712, 0.719, 0.709),
    "f1": (0.75, 0.77, 0.76, 0.765),
    "a_b": (0.60, 0.62, 0.61, 0.60),
    "f3": (0.71, 0.70, None, 0.72),
}
PROVENANCE = {"epochs": [3, 5], "proxy": {"data": {"name": "fashion10k"}}, "seeds": list(SEEDS)}


@pytest.fixture
def found(free):
    texts = {"f1": "max(sin(x), mul(x, const(0.25)))", "a_b": "sin(scale(x)) | x", "f3": "cos(x)"}
    candidates = {"sign": None, "rprelu": Baseline("rprelu")}
    candidates |= {name: parse_candidate(text, free) for name, text in texts.items()}
    trainings = [
        TrainingResult(
            None if candidate is None else candidate.canonical, seed, accuracy,
            None if accuracy is not None else "non-finite output", (Epoch(1.0, 0.5),), 1.5, "checkpoints/x.safetensors",
        )
        for name, candidate in candidates.items()
        for seed, accuracy in zip(SEEDS, VALUES[name], strict=True)
    ]  # fmt: skip
    return RetrainResult(candidates, SEEDS, tuple(trainings), PROVENANCE)


def test_a_row_says_what_was_measured(found):
    rows = {row.name: row for row in retrain_tables.rows(found)}
    assert list(rows) == list(VALUES)
    one, compared = rows["f1"], found.compared()["f1"]
    assert one.accuracy == pytest.approx(100 * statistics.fmean(VALUES["f1"]))
    assert one.standard_error == pytest.approx(100 * statistics.stdev(VALUES["f1"]) / 2)
    assert (one.difference, one.low, one.high) == pytest.approx(
        [100 * value for value in (compared.difference.mean, compared.difference.low, compared.difference.high)]
    )
    assert (one.p, one.p_holm) == (compared.p_value, compared.p_holm)
    verdicts = {name: row.verdict for name, row in rows.items()}
    assert verdicts == {
        "sign": "baseline",
        "rprelu": "undecided",
        "f1": "better",
        "a_b": "worse",
        "f3": "1/4 failed",
    }
    assert rows["f3"].accuracy is None, "the mean of the good seeds would flatter it"
    assert (rows["f3"].seeds, rows["f3"].failures) == (3, 1)
    assert (rows["sign"].text, rows["rprelu"].text, rows["a_b"].text) == ("@sign", "@rprelu", "sin(scale(x)) | x")


def test_the_text_is_read_without_a_manual(found, capsys):
    tables = {name: retrain_tables.rows(found, name) for name in ("sign", "rprelu")}
    retrain_tables.show(found, tables, Console(width=150))
    text = capsys.readouterr().out
    assert text.count("fashion10k, test split after 8 epochs (3 with real weights), 4 fresh seeds") == 2
    line = next(line for line in text.splitlines() if line.startswith("f1"))
    cells = re.split(r"\s{2,}", line.strip())
    assert cells[:4] == ["f1", "max(sin(x), x * 0.25)", "76.12 ± 0.43", "+5.13"]
    assert re.fullmatch(r"\+\d\.\d\d to \+\d\.\d\d", cells[4])
    assert cells[6] == "better"
    assert "vs sign" in text
    assert "vs rprelu" in text
    assert "corrected (Holm) for the 3 function(s) tested" in text


def test_figures_are_whole_in_a_narrow_terminal(found, capsys):
    retrain_tables.show(found, {"sign": retrain_tables.rows(found)}, Console(width=80))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "a_b: forward: sin(s0 * x); backward: x" in lines
    line = next(line for line in lines if line.startswith("a_b"))
    assert re.search(r"60\.75 ± 0\.48 +-10\.25 +-11\.77 to -8\.73 +<0\.001 +worse", line)
    assert "1/4 failed" in next(line for line in lines if line.startswith("f3"))


def test_the_folder_holds_the_table_in_three_forms_and_everything_as_json(found, tmp_path):
    result = retrain_tables.write(found, tmp_path, ("sign", "rprelu"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["result.json", "table.csv", "table.tex", "table.txt"]
    assert json.loads((tmp_path / "result.json").read_text()) == json.loads(json.dumps(result))
    assert len(result["trainings"]) == 20
    assert [one["name"] for one in result["comparisons"]["sign"]] == ["f1", "a_b", "rprelu"]
    with (tmp_path / "table.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    expected = [row for name in ("sign", "rprelu") for row in retrain_tables.rows(found, name)]
    assert len(lines) == 10
    for line, row in zip(lines, expected, strict=True):
        assert (line["against"], line["name"], line["verdict"]) == (row.against, row.name, row.verdict)
        for name in ("accuracy", "standard_error", "difference", "low", "high", "p", "p_holm"):
            value = getattr(row, name)
            assert line[name] == "" if value is None else math.isclose(float(line[name]), value)
    assert "better" in (tmp_path / "table.txt").read_text()


def test_latex_is_well_formed(found):
    text = retrain_tables.latex(found, retrain_tables.rows(found))
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(body) == 6
    columns = re.search(r"\\begin\{tabular\}\{(\w+)\}", text).group(1)
    for line in body:
        assert len(re.findall(r"(?<!\\)&", line)) == len(columns) - 1
        assert line.count("$") % 2 == 0
        depth = 0
        for character in re.sub(r"\\[{}]", "", line):
            depth += {"{": 1, "}": -1}.get(character, 0)
            assert depth >= 0
        assert depth == 0
        assert not re.search(r"(?<![\\])[%#]", line)
        outside = re.sub(r"\$[^$]*\$", "", line)
        assert not re.search(r"(?<!\\)_", outside)
    for mark in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert text.count(mark) == 1
    assert r"$\max\left(" in text
    assert r"a\_b" in text
    assert all(
        line.startswith("%") for line in text.splitlines()[: text.splitlines().index(r"% \usepackage{booktabs}")]
    )


def test_tiny_p_values_are_bounded_and_not_zero(free):
    candidates = {"sign": None, "f1": parse_candidate("sin(x)", free)}
    trainings = [
        TrainingResult(text, seed, accuracy, None, (), 0.0, "")
        for text, accuracy in ((None, 0.5), ("sin(x)", 0.75))
        for seed in SEEDS
    ]
    found = RetrainResult(candidates, SEEDS, tuple(trainings), PROVENANCE)
    assert retrain_tables.rows(found)[1].p_holm == 0
    assert "$<0.001$" in retrain_tables.latex(found, retrain_tables.rows(found))


def test_a_teacher_is_named_with_what_it_reached(found, tmp_path, capsys):
    taught = dataclasses.replace(found, teacher_curve=(Epoch(1.0, 0.25), Epoch(0.5, 0.875)))
    retrain_tables.show(taught, {"sign": retrain_tables.rows(taught)}, Console(width=120))
    assert "teacher 87.50% on the validation split" in capsys.readouterr().out
    assert retrain_tables.write(taught, tmp_path)["teacher_curve"] == [[1.0, 0.25], [0.5, 0.875]]
    assert r"% fashion10k, test split after 8 epochs" in (tmp_path / "table.tex").read_text()
