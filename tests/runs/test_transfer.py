"""Transfer: trainings resume, are taken from the table that there is, and become a table that ranks proxies."""

import json
from dataclasses import replace

import pytest

from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation import load_transfer
from gaaf_gp.util.jsonl import read_journal
from runs import transfer
from scripts import make_transfer_table

TEXTS = ["@sign", "sin(x)", "add(cos(x), x)", "square(x)", "atan(x)", "tan(x)", "scale(x)", "cube(x)", "erf(x)",
         "max(x, sin(x))"]  # fmt: skip
TINY = {"images": 400, "image_size": 8, "network_settings": {"widths": (4, 8)}}


@pytest.fixture
def out(tmp_path, monkeypatch):
    cells = {
        "cheap": transfer.Cell("small", epochs=1, **TINY),
        "target-longer": transfer.Cell("small", epochs=2, target=True, **TINY),
    }
    monkeypatch.setattr(transfer, "CELLS", cells)
    monkeypatch.setattr(transfer, "TARGET_SEEDS", (0, 1))
    monkeypatch.setattr(transfer, "known", lambda: transfer.TransferTable({}, {}, {}))
    (tmp_path / "functions.json").write_text(json.dumps({"baseline": TEXTS[:1], "made up": TEXTS[1:]}))
    return tmp_path


def test_trainings_become_a_table_and_none_is_made_twice(out, monkeypatch, capsys):
    transfer.main(transfer.Step.TRAIN, out=out)
    transfer.main(transfer.Step.TRAIN, out=out)
    rows = read_journal(out / "target-longer.jsonl")[1]
    assert sorted((row["text"], row["seed"]) for row in rows) == sorted(
        (text, seed) for text in TEXTS for seed in (0, 1)
    )
    assert next(row for row in rows if row["text"] == "square(x)")["failure"] == "constant sign"
    proxy = transfer.CELLS["target-longer"].proxy(None)
    trained = next(row for row in rows if (row["text"], row["seed"]) == ("@sign", 1))
    assert trained["accuracy"] == pytest.approx([epoch.accuracy for epoch in proxy.train(None, 1).history])
    capsys.readouterr()

    make_transfer_table.main(out, out / "table.json.gz")
    table = load_transfer(out / "table.json.gz")
    assert table.functions == {text: "baseline" if text == "@sign" else "made up" for text in TEXTS}
    assert {name: (cell.target, list(cell.curves)) for name, cell in table.cells.items()} == {
        "cheap": (False, [100, 101]),
        "target-longer": (True, [0, 1]),
    }
    assert f"{table.agreement('cheap', 'target-longer').tau:+.2f} (" in capsys.readouterr().out

    for file in out.glob("*.jsonl"):
        file.unlink()
    monkeypatch.setattr(transfer, "known", lambda: table)
    transfer.main(transfer.Step.TRAIN, out=out)
    assert all(read_journal(file)[1] == [] for file in out.glob("*.jsonl")), "the table has all of them"
    make_transfer_table.main(out, out / "table.json.gz")
    assert load_transfer(out / "table.json.gz").cells == table.cells
    monkeypatch.setitem(transfer.CELLS, "cheap", replace(transfer.CELLS["cheap"], epochs=2))
    (out / "cheap.jsonl").unlink()
    transfer.main(transfer.Step.TRAIN, cells=["cheap"], seeds=1, out=out)
    with pytest.raises(GaafError, match=r"cheap\.jsonl was trained with other settings than the table has"):
        make_transfer_table.main(out, out / "table.json.gz")


def test_the_cost_of_a_cell_is_that_of_all_its_epochs(out, monkeypatch):
    monkeypatch.setattr(transfer, "median_seconds", lambda work: 1.5)
    transfer.main(transfer.Step.COST, out=out)
    assert json.loads((out / "cost.json").read_text()) == {"cheap": 1.5, "target-longer": 3.0}


def test_a_cell_that_nobody_knows_is_refused(out):
    with pytest.raises(GaafError, match="a cell must be a known name, got far; known: cheap, target-longer"):
        transfer.main(transfer.Step.TRAIN, cells=["far"], out=out)
