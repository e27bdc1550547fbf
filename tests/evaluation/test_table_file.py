"""The file of a table: it comes back, the same table gives the same bytes, and bad ones are named."""

import functools
import gzip
import json
from dataclasses import replace
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaaf_gp.activations.behaviour import behaviour
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation import table as module
from gaaf_gp.evaluation import table_file
from gaaf_gp.evaluation.table import load_table, packed, save_table
from gaaf_gp.trees.individual import Individual
from primitives import gaaf

BUNDLED = files("gaaf_gp.data") / "bundled" / module.FILE.bundled
WHOLE = pytest.mark.skipif(not BUNDLED.is_file(), reason="the table of encoding 1 is not made yet")

_zipped = functools.partial(gzip.compress, mtime=0)  # names of tests hold it, and must be the same in every process


def behaviours_of(table):
    return {text: table.behaviour(text) for text in table.texts()}


def plain_of(table):
    return json.loads(gzip.decompress(packed(table)))


def written(path, plain):
    path.write_bytes(_zipped(json.dumps(plain).encode()))
    return path


def test_a_file_comes_back_and_has_the_same_bytes(tiny_table, tmp_path):
    path = tmp_path / "table.json.gz"
    save_table(tiny_table, path)
    again = load_table(path)
    assert again.entries == tiny_table.entries
    assert behaviours_of(again) == behaviours_of(tiny_table)
    assert again.provenance == json.loads(json.dumps(tiny_table.provenance))
    assert again.seeds == tiny_table.seeds
    assert packed(again) == packed(tiny_table) == path.read_bytes()
    assert path.read_bytes()[4:8] == bytes(4), "no time is in the file"


@given(st.data())
def test_whatever_is_cut_off_is_noticed(tiny_table, tmp_path_factory, data):
    content = packed(tiny_table)
    path = tmp_path_factory.mktemp("cut") / "table.json.gz"
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(GaafError, match=r"a whole gzip file, and reading .*\.gz ended with|no function table"):
        load_table(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"genes,accuracy\n", "must be a whole gzip file, and reading .* ended with BadGzipFile"),
        (_zipped(b"{"), r"t\.gz is no function table: its JSON must say kind 'gaaf_gp function table'"),
        (_zipped(b"[1]"), "is no function table"),
        (_zipped(b'{"kind": "gaaf_gp function table", "a": NaN}'), "is no function table"),
        (_zipped(b'{"kind": "another"}'), "is no function table"),
        (_zipped(b"[" * 100_000), "is no function table"),
        (
            _zipped(b'{"kind": "gaaf_gp function table", "format": 2}'),
            "must have the format 1 .*, got 2:",
        ),
        (_zipped(b'{"kind": "gaaf_gp function table", "format": 1}'), r"damaged function table \(KeyError"),
    ],
)
def test_another_file_is_refused(tmp_path, content, said):
    (tmp_path / "t.gz").write_bytes(content)
    with pytest.raises(GaafError, match=said) as caught:
        load_table(tmp_path / "t.gz")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda plain: plain["space"]["codes"].pop(), "zip"),
        (lambda plain: plain["space"]["codes"].__setitem__(0, 10_000), "IndexError"),
        (lambda plain: plain["space"]["codes"].__setitem__(0, "a"), "TypeError"),
        (lambda plain: plain["entries"][0].pop("genes"), "KeyError: 'genes'"),
        (
            lambda plain: plain["entries"][0]["accuracy"].__setitem__("0", 7.0),
            "must lie from 0 to 1, each",
        ),
        (lambda plain: plain["entries"][0]["curve"].pop("0"), "must lie from 0 to 1, each"),
        (lambda plain: plain["entries"][0].__setitem__("accuracy", 1), "AttributeError"),
        (lambda plain: plain["entries"].clear(), "IndexError"),
        (lambda plain: plain.__setitem__("provenance", 5), "TypeError"),
        (lambda plain: plain["entries"][0].__setitem__("text", "sin(x)"), "otherwise: sin"),
    ],
)
def test_damage_is_named(tiny_table, tmp_path, change, said):
    plain = plain_of(tiny_table)
    change(plain)
    with pytest.raises(GaafError, match=rf"is a damaged function table \(.*{said}") as caught:
        load_table(written(tmp_path / "t.gz", plain))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named_and_how_to_make_it(tmp_path, monkeypatch):
    with pytest.raises(GaafError, match=r"must be a file, and there is no file .*nothing\.gz: give the path of one"):
        load_table(tmp_path / "nothing.gz")
    monkeypatch.setattr(module, "FILE", replace(module.FILE, bundled="nothing.json.gz"))
    with pytest.raises(GaafError, match=r"the bundled nothing\.json\.gz is missing: .*scripts/make_encoding1"):
        load_table()
    with pytest.raises(GaafError, match=r"a whole gzip file, and reading .* ended with IsADirectoryError"):
        load_table(tmp_path)


def test_a_file_that_unpacks_to_too_much_is_not_read(tiny_table, tmp_path, monkeypatch):
    save_table(tiny_table, tmp_path / "t.gz")
    monkeypatch.setattr(table_file, "MOST_BYTES", 1000)
    with pytest.raises(GaafError, match="may unpack to at most 1000 bytes"):
        load_table(tmp_path / "t.gz")


def test_a_file_that_cannot_be_written_is_named(tiny_table, tmp_path):
    with pytest.raises(GaafError, match=r"the file of a table must be writable, but .* is not"):
        save_table(tiny_table, tmp_path)


@WHOLE
def test_the_bundled_table_is_whole():
    table, pset = load_table(), gaaf.encoding1()
    assert BUNDLED.stat().st_size < 5_000_000
    assert table.provenance["primitives"] == "primitives.gaaf:encoding1"
    assert len(table.entries) > 2000
    assert sum(len(entry.accuracy) >= 5 for entry in table.entries) >= 200
    genotypes = [(u, v, b) for u in range(22) for v in range(22) for b in range(11)]
    trees = {genes: gaaf.from_genes(genes, pset) for genes in genotypes}
    assert {tree.canonical for tree in trees.values()} == set(table.texts())
    for entry in table.entries:
        assert trees[entry.genes].canonical == entry.text
        assert trees[entry.genes].infix() == entry.formula


@WHOLE
def test_look_ups_of_the_bundled_table_are_what_behaviour_says():
    """Of functions without learnable operators: of the others the last bit may be another machine's."""
    table, pset = load_table(), gaaf.encoding1()
    plain = [gene for gene, name in enumerate(gaaf.UNARY) if name not in ("scale", "shift", "channel")]
    for place, u in enumerate(plain):
        for b in range(10):
            tree: Individual = gaaf.from_genes((u, plain[(7 * place + b) % len(plain)], b), pset)
            assert table.behaviour(tree.canonical).failure == behaviour(tree).failure
