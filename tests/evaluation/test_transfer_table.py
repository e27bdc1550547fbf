"""A transfer table: what a proxy's ranking says of a target, against scipy and by hand; its file."""

import json
import math
from importlib.resources import files

import pytest
import scipy.stats

from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation import TransferTable, load_table, load_transfer, save_transfer
from gaaf_gp.evaluation.transfer_table import FILE, Cell, Curve

TARGET = {0: (0.9, 0.7, 0.8, 0.5, 0.6, 0.4), 1: (0.8, 0.9, 0.7, 0.6, 0.5, 0.3)}
PROXY = (0.5, 0.6, 0.55, 0.2, 0.3, None)
LOSSES = (1.0, 0.5, 0.7, 1.5, 1.2, 9.0)
TEXTS = [f"f{place}(x)" for place in range(6)]


def cell(values, losses=None, target=False):
    def curve(value, loss):
        return Curve((), (), "not finite") if value is None else Curve((value / 2, value), (2.0, loss))

    curves = {
        seed: {text: curve(*pair) for text, *pair in zip(TEXTS, row, losses or row, strict=True)}
        for seed, row in values.items()
    }
    return Cell({"epochs": 2}, target, 1.5, curves)


@pytest.fixture
def table():
    cells = {"deep": cell(TARGET, target=True), "cheap": cell({7: PROXY, 8: PROXY[::-1]}, LOSSES)}
    return TransferTable(dict.fromkeys(TEXTS, "made up"), cells, {"torch": "any"})


def test_agreement_is_tau_with_the_mean_of_the_targets_seeds(table):
    means = [(first + second) / 2 for first, second in zip(*TARGET.values(), strict=True)]
    proxy = [0.0 if value is None else value for value in PROXY]
    agreed = table.agreement("cheap", "deep", seeds=[7])
    assert agreed.tau == pytest.approx(scipy.stats.kendalltau(proxy, means).statistic)
    assert (agreed.n, agreed.low <= agreed.tau <= agreed.high) == (6, True)
    both = [(first + (0.0 if second is None else second)) / 2 for first, second in zip(proxy, PROXY[::-1], strict=True)]
    assert table.agreement("cheap", "deep").tau == pytest.approx(scipy.stats.kendalltau(both, means).statistic)


def test_the_better_half_is_that_of_the_target(table):
    texts = TEXTS[:3]  # means .85, .8, .75; the median of all is .65
    agreed = table.agreement("cheap", "deep", better_half=True, seeds=[7])
    assert agreed.n == 3
    assert agreed.tau == pytest.approx(scipy.stats.kendalltau(PROXY[:3], [0.85, 0.8, 0.75]).statistic)
    assert table.values("deep", texts) == pytest.approx([0.85, 0.8, 0.75])


def test_a_ranking_may_go_by_loss_or_by_both(table):
    assert table.values("cheap", TEXTS[:5], [7], "loss") == [-loss for loss in LOSSES[:5]]
    assert table.values("cheap", TEXTS[5:], [7], "loss") == [-math.inf]
    ranks = [scipy.stats.rankdata(values) for values in (PROXY[:5], [-loss for loss in LOSSES[:5]])]
    assert table.values("cheap", TEXTS[:5], [7], "both") == pytest.approx(list(sum(ranks) / 2))
    assert table.agreement("cheap", "deep", seeds=[7], by="loss").n == 6


def test_the_ceiling_is_that_of_the_targets_seeds(table):
    correlation = math.sin(math.pi / 2 * scipy.stats.kendalltau(*TARGET.values()).statistic)
    assert table.ceiling("deep") == pytest.approx(
        2 / math.pi * math.asin(math.sqrt(2 * correlation / (1 + correlation)))
    )


def test_only_functions_that_were_trained_everywhere_are_compared(table):
    short = {7: dict(list(table.cells["cheap"].curves[7].items())[:4])}
    part = TransferTable(table.functions, {**table.cells, "cheap": Cell({}, False, None, short)}, {})
    assert part.trained("cheap", "deep") == TEXTS[:4]
    assert part.agreement("cheap", "deep").n == 4
    with pytest.raises(GaafError, match=r"lacks seeds \[\] and f4\(x\), f5\(x\)"):
        part.values("cheap", TEXTS)
    with pytest.raises(GaafError, match=r"lacks seeds \[9\]"):
        part.values("cheap", TEXTS[:4], [9])
    with pytest.raises(GaafError, match="a cell must be one of deep, cheap, got 'no'"):
        part.trained("no")


def test_a_cell_has_functions_of_the_table_only(table):
    with pytest.raises(GaafError, match=r"deep has f5\(x\)"):
        TransferTable(dict.fromkeys(TEXTS[:5], "made up"), table.cells, {})
    with pytest.raises(GaafError, match="none has none"):
        TransferTable(table.functions, {"none": Cell({}, False, None, {})}, {})


def test_a_file_comes_back(table, tmp_path):
    save_transfer(table, tmp_path / "table.json.gz")
    again = load_transfer(tmp_path / "table.json.gz")
    assert again.cells == table.cells
    assert (again.functions, again.provenance) == (table.functions, table.provenance)


@pytest.mark.parametrize(
    "change",
    [
        lambda plain: plain["cells"]["deep"]["curves"]["0"][0].__setitem__(1, [0.5, 1.5]),
        lambda plain: plain["cells"]["deep"]["curves"]["0"][0].__setitem__(1, [0.5]),
        lambda plain: plain["cells"]["deep"]["curves"]["0"][0].__setitem__(0, 99),
        lambda plain: plain["cells"]["deep"].pop("seconds"),
        lambda plain: plain.update(functions=3),
    ],
)
def test_damage_is_named(table, tmp_path, change):
    path = tmp_path / "table.json.gz"
    save_transfer(table, path)
    plain = FILE.read(path)[0]
    change(plain)
    path.write_bytes(FILE.packed(json.loads(json.dumps(plain))))
    with pytest.raises(GaafError, match="is a damaged transfer table"):
        load_transfer(path)


def test_a_table_of_another_kind_is_no_transfer_table(table, tmp_path):
    path = tmp_path / "table.json.gz"
    save_transfer(table, path)
    with pytest.raises(GaafError, match="is no function table: its JSON must say kind 'gaaf_gp function table'"):
        load_table(path)


def test_the_bundled_table_is_whole_and_small():
    table = load_table("transfer")
    assert len(table.functions) == 60
    assert (files("gaaf_gp.data") / "bundled" / FILE.bundled).stat().st_size < 5_000_000
    for name, cell in table.cells.items():
        assert cell.target == name.startswith("target-")
        assert cell.target or cell.seconds is not None, "what a target costs is not measured for all"
        assert {curve.failure is None or not curve.accuracy for c in cell.curves.values() for curve in c.values()} == {
            True
        }
    both = table.agreement("small-e3", "target-resnet20-two-fashion")
    assert both.n == 60
    assert both.tau == pytest.approx(0.27, abs=0.01)
