"""The benchmark of archives, on few rows: it measures what it says, and keeps to its limits there."""

from rich.console import Console

from benchmarks import archive
from gaaf_gp.archive import Archive


def test_a_small_archive_is_measured(tmp_path, capsys):
    found = archive.measure(300, tmp_path)
    assert all(value > 0 for value in found.values())
    assert set(archive.LIMITS) < set(found)
    assert found["bytes"] == (tmp_path / "archive.sqlite").stat().st_size
    with Archive(tmp_path / "merged.sqlite", readonly=True) as merged:
        assert len(merged) == 300
        assert {row.seed for row in merged.rows()} == {0, 1}
    archive.show(found | {"look-up": 0.1}, 300, Console(width=100))
    printed = capsys.readouterr().out
    assert "An archive of 300 evaluations" in printed
    assert "NOT KEPT" in printed
    assert "kept" in printed
