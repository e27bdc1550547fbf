"""The script that asks whether tuning constants pays, on small budgets."""

import math

from runs import constant_tuning


def test_both_searches_spend_as_much_and_the_verdict_is_of_the_pairs(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(constant_tuning, "BUDGETS", {"regression": (24, 8), "proxy": (6, 2)})
    monkeypatch.setattr(constant_tuning, "FRESH", (101,))
    settings = {"regression": 2, "proxy": 2, "images": 200, "out": tmp_path}
    constant_tuning.main(**settings)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["regression", "proxy"]
    assert all("2 pairs" in line for line in lines)
    written = (tmp_path / "pairs.jsonl").read_bytes()
    constant_tuning.main(**settings)
    assert capsys.readouterr().out.splitlines() == lines
    assert (tmp_path / "pairs.jsonl").read_bytes() == written, "what is measured is not measured again"


def test_a_pair_is_two_searches_with_one_beginning(monkeypatch):
    monkeypatch.setattr(constant_tuning, "BUDGETS", {"regression": (24, 8)})
    searched, tuned, seen = constant_tuning.both("regression", len, 3)
    assert len(searched.records) == 24
    assert [one.text for one in tuned.records[:16]] == [one.text for one in searched.records[:16]]
    assert seen["tunings"] == len(tuned.records) - 16 <= 8
    assert seen["tuned_seen"] >= seen["before_seen"]


def test_the_verdict_says_pays_costs_or_neither():
    def row(tuned):
        return {"tuned": tuned, "searched": 0.0, "tuned_seen": tuned, "before_seen": 0.0, "tunings": 1}

    said = [constant_tuning.verdict("t", list(map(row, values))) for values in ([1, 1.1], [-1, -1.1], [1, -1])]
    assert ["pays" in text for text in said] == [True, False, False]
    assert "costs" in said[1]
    assert "no difference" in said[2]
    assert math.isclose(0.0, float(said[2].split(": ")[2].split(",")[0]))
