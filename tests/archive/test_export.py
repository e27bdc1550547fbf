"""What is exported is what is in the archive, and no file is overwritten by accident."""

import csv
import json
import math
import sys

import pytest
from pyarrow import parquet

from gaaf_gp.archive import Archive, export_csv, export_parquet
from gaaf_gp.archive.rows import COLUMNS
from gaaf_gp.errors import GaafError


@pytest.fixture
def rows(make, make_failed):
    """Evaluations with everything that is hard to write."""
    return [
        make(1),
        make_failed(2, reason='a "quoted", reason\nof two lines'),
        make(3, accuracy=math.nan, seconds=math.inf, curve=(math.nan, -math.inf, 0.1), metrics={"cost": math.inf}),
        make(4, formula="sin(x) \N{MULTIPLICATION SIGN} 2", seed=-5),
    ]


def test_csv_holds_every_value(rows, tmp_path):
    assert export_csv(rows, tmp_path / "out.csv") == 4
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == list(COLUMNS)
    for line, one in zip(lines, rows, strict=True):
        assert repr(float(line["accuracy"])) == repr(one.accuracy)
        assert repr(float(line["seconds"])) == repr(one.seconds)
        assert repr(tuple(map(float, json.loads(line["curve"])))) == repr(one.curve)
        assert (line["failure"] or None, line["formula"], int(line["seed"])) == (one.failure, one.formula, one.seed)
        assert json.loads(line["versions"]) == one.versions


def test_parquet_holds_every_value(rows, tmp_path):
    assert export_parquet(rows, tmp_path / "out.parquet") == 4
    table = parquet.read_table(tmp_path / "out.parquet")
    assert table.column_names == list(COLUMNS)
    for line, one in zip(table.to_pylist(), rows, strict=True):
        for name in ("text", "signature", "task", "seed", "epochs", "failure", "formula", "split", "created", "device"):
            assert line[name] == getattr(one, name)
        for name in ("fidelity", "accuracy", "seconds"):
            assert repr(line[name]) == repr(getattr(one, name))
        assert repr(tuple(line["curve"])) == repr(one.curve)
        assert repr(tuple(line["losses"])) == repr(one.losses)
        assert {name: float(value) for name, value in json.loads(line["metrics"]).items()} == one.metrics


def test_an_archive_of_several_blocks_is_exported(archive, make, tmp_path, monkeypatch):
    monkeypatch.setattr("gaaf_gp.archive.export.AT_ONCE", 64)
    archive.add_all(make(number) for number in range(1000))
    assert export_parquet(archive.rows(), tmp_path / "out.parquet") == 1000
    assert parquet.read_table(tmp_path / "out.parquet")["text"].to_pylist() == [make(n).text for n in range(1000)]
    assert parquet.ParquetFile(tmp_path / "out.parquet").num_row_groups == 16


@pytest.mark.parametrize("export", [export_csv, export_parquet])
def test_a_file_is_overwritten_only_if_asked(export, rows, tmp_path):
    out = tmp_path / "out"
    out.write_text("mine")
    with pytest.raises(GaafError, match=r"an export must go to a new file, but .* exists: choose another name or pass"):
        export(rows, out)
    assert out.read_text() == "mine"
    assert export(rows, out, force=True) == 4
    assert out.read_bytes() != b"mine"
    with pytest.raises(GaafError, match="exists"):
        export(rows, tmp_path, force=True)
    assert [one.name for one in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("export", [export_csv, export_parquet])
def test_what_ends_half_way_leaves_the_earlier_file(export, filled, tmp_path):
    out = tmp_path / "out"
    out.write_text("mine")
    with Archive(filled) as archive:
        archive.db.execute("UPDATE evaluations SET seed = 7 WHERE id = 15")
        with pytest.raises(GaafError, match="evaluation 15 has another checksum"):
            export(archive.rows(), out, force=True)
    assert out.read_text() == "mine"
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("export", [export_csv, export_parquet])
def test_a_place_that_cannot_be_written_is_named(export, rows, tmp_path):
    with pytest.raises(GaafError, match=r"an export must be writable, but .*none/out is not \(.*No such file"):
        export(rows, tmp_path / "none" / "out")


def test_without_pyarrow_the_extra_is_named(rows, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        GaafError, match=r"takes pyarrow, and it is not installed: pip install 'gaaf-gp\[parquet\]', or"
    ):
        export_parquet(rows, tmp_path / "out.parquet")
