"""140,000 damaged files and settings: whatever they hold, only GaafError comes out, and what is read is read back."""

from __future__ import annotations

import gzip
import json
import math
import os
import struct
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from gaaf_gp.activations.catalogue import CatalogueEntry, Gain, catalogue, save_catalogue
from gaaf_gp.cli import main
from gaaf_gp.data.idx import read_idx
from gaaf_gp.evaluation.table import load_table, packed
from gaaf_gp.experiments.resume import read_config
from gaaf_gp.experiments.settings import Settings, settings_from
from gaaf_gp.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.util.jsonl import Journal, read_journal
from tests.fuzz.mutators import as_bytes, counted, damaged_bytes, damaged_json, refused

OUT = Path("out")
MEMORY = Path("/dev/shm")  # where there is one, a hundred thousand files are quickly written


@pytest.fixture(scope="session")
def config(image_folder, tmp_path_factory):
    """What a real run wrote about itself."""
    folder = tmp_path_factory.mktemp("run") / "new"
    options = ["--evaluations", "2", "--population", "2", "--fresh-seeds", "2", "--no-random-search", "--workers", "1"]
    words = ["--constraint", "at most 2 sin", "--initial", "sin(x)", "--target", "0.9", "--batch-size", "6", "--quiet"]
    with pytest.raises(SystemExit) as ended:
        main(["evolve", "--data", str(image_folder), *options, *words, "--out", str(folder)])
    assert ended.value.code == 0
    return read_config(folder)


@pytest.fixture
def folder(tmp_path):
    """Where to write damaged files."""
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else tmp_path) as name:
        yield Path(name)


@pytest.mark.slow(40)
def test_damaged_settings(config):
    whole = config["settings"]
    assert settings_from(whole, OUT).as_json() == settings_from(settings_from(whole, OUT).as_json(), OUT).as_json()

    def case(draw):
        found, message = refused(lambda: settings_from(damaged_json(draw, whole), OUT))
        if message:
            return "refused"
        assert isinstance(found, Settings)
        again = settings_from(json.loads(json.dumps(found.as_json())), OUT)
        assert json.dumps(again.as_json()) == json.dumps(found.as_json())
        assert found.target is None or math.isfinite(found.target)
        return "read"

    counts = counted("settings", 0, 1, case)
    assert set(counts) == {"read", "refused"}
    assert min(counts.values()) > 1000, counts


@pytest.mark.slow(10)
def test_damaged_configs(config, folder):
    place = folder / "config.json"
    whole = json.dumps(config, indent=2).encode()

    def case(draw):
        place.write_bytes(damaged_bytes(draw, whole) if draw.random() < 0.7 else as_bytes(damaged_json(draw, config)))
        found, message = refused(lambda: read_config(folder))
        if message:
            return "refused"
        assert isinstance(found, dict)
        return "refused settings" if refused(lambda: settings_from(found.get("settings"), OUT))[1] else "read"

    counts = counted("configs", 0, 1, case)
    assert set(counts) == {"read", "refused", "refused settings"}


@pytest.mark.slow(10)
def test_damaged_journals(folder):
    place = folder / "journal.jsonl"
    provenance = {"proxy": {"epochs": 2, "data": {"name": "tiny"}}, "seeds": [1, 2], "versions": {"torch": "2"}}
    entries = [{"text": f"sin({'x' * n})", "accuracy": n / 7, "curve": [[1.0, 0.5]], "failure": None} for n in range(5)]
    with Journal(place, provenance) as journal:
        for entry in entries:
            journal.append(entry)
    whole = place.read_bytes()
    assert read_journal(place) == (provenance, entries)
    lines = [json.loads(line) for line in whole.splitlines()]

    def case(draw):
        if draw.random() < 0.6:
            content = damaged_bytes(draw, whole)
        else:
            content = b"\n".join(as_bytes(damaged_json(draw, line)) for line in lines) + b"\n"
        place.write_bytes(content)
        found, message = refused(lambda: read_journal(place))
        if draw.random() < 0.002:  # the writer flushes each line to the disk
            opened, _ = refused(lambda: Journal(place, provenance))
            if opened is not None:
                opened.append({"more": 1})
                opened.close()
                assert read_journal(place) == (provenance, opened.entries)
        if message:
            return "refused"
        assert isinstance(found[0], dict)
        assert all(isinstance(one, dict) for one in found[1])
        return "read"

    assert set(counted("journals", 0, 1, case)) == {"read", "refused"}


@pytest.mark.slow(10)
def test_damaged_catalogues(folder):
    place, other = folder / "catalogue.json", folder / "again.json"
    gain = Gain(
        0.5, 0.1, 0.9, 0.95, 0.02, (7, 8), "test", "fashion10k", "small", 30, {"epochs": [1], "proxy": {"data": {}}}
    )
    entries = [
        CatalogueEntry(name, text, "primitives.gaaf:free", "x", "x", ("periodic",), {"found": "here"}, (gain,))
        for name, text in (("wave", "add(sin(x), x)"), ("pair", "sin(x) | x"))
    ]
    save_catalogue(entries, place)
    whole, plain = place.read_bytes(), {"format": 1, "entries": [asdict(one) for one in entries]}
    plain = json.loads(json.dumps(plain))

    def case(draw):
        place.write_bytes(damaged_bytes(draw, whole) if draw.random() < 0.4 else as_bytes(damaged_json(draw, plain)))
        found, message = refused(lambda: catalogue(place))
        if message:
            return "refused"
        save_catalogue(list(found.values()), other)
        assert dict(catalogue(other)) == dict(found)
        if draw.random() < 0.05:  # each makes its primitive set anew, which takes longer than all the rest
            candidates = [refused(one.candidate) for one in found.values()]
            return "damaged entry" if any(said for _, said in candidates) else "whole"
        return "read"

    assert set(counted("catalogues", 0, 1, case)) >= {"read", "refused", "whole"}


@pytest.mark.slow(10)
def test_damaged_idx_files(folder):
    values = np.arange(60, dtype=np.uint8).reshape(5, 3, 4)
    whole = struct.pack(">4B3I", 0, 0, 8, 3, *values.shape) + values.tobytes()
    zipped = gzip.compress(whole)

    def case(draw):
        place, content = (folder / "idx", whole) if draw.random() < 0.7 else (folder / "idx.gz", zipped)
        damaged = damaged_bytes(draw, content)
        place.write_bytes(damaged)
        found, message = refused(lambda: read_idx(place, 3))
        if message:
            assert str(place) in message
            return "refused"
        if place.suffix == ".gz":  # its sum vouches for what is in it
            assert np.array_equal(found, values)
            return "read gz"
        assert struct.pack(">4B3I", 0, 0, 8, 3, *found.shape) + found.tobytes() == damaged
        return "read"

    assert set(counted("idx", 0, 1, case)) == {"read", "read gz", "refused"}


@pytest.mark.slow(10)
def test_damaged_tables(tiny_table, folder):
    place, again = folder / "table.json.gz", folder / "again.json.gz"
    plain = json.loads(gzip.decompress(packed(tiny_table)))
    plain["entries"] = plain["entries"][:3]
    live = [at for at, code in enumerate(plain["space"]["codes"]) if code < 3]
    plain["space"].update({key: [plain["space"][key][at] for at in live] for key in ("texts", "orientations", "codes")})
    content = json.dumps(plain).encode()
    place.write_bytes(gzip.compress(content))
    assert len(load_table(place).entries) == 3

    def case(draw):
        damaged = damaged_bytes(draw, content) if draw.random() < 0.5 else as_bytes(damaged_json(draw, plain))
        zipped = gzip.compress(damaged, 1, mtime=0)
        place.write_bytes(damaged_bytes(draw, zipped) if draw.random() < 0.2 else zipped)
        found, message = refused(lambda: load_table(place))
        if message:
            return "refused"
        again.write_bytes(packed(found))
        assert packed(load_table(again)) == packed(found)
        return "read"

    assert set(counted("tables", 0, 1, case)) == {"read", "refused"}


@pytest.mark.slow(10)
def test_damaged_checkpoints(tiny_data, tiny_settings, folder):
    state = Proxy(tiny_data, **tiny_settings).train(None, 3, epochs=2).state
    assert state is not None
    place = folder / "one.safetensors"
    write_checkpoint(place, state, {"course": "here"})
    whole = place.read_bytes()
    head = 8 + int.from_bytes(whole[:8], "little")

    def case(draw):
        # most of a file is numbers: half of the cases damage what says where and of which kind they are
        part = draw.random() < 0.5
        damaged = damaged_bytes(draw, whole[:head]) + whole[head:] if part else damaged_bytes(draw, whole)
        place.write_bytes(damaged)
        found, message = refused(lambda: read_checkpoint(place))
        if message:
            return "refused"
        assert isinstance(found, Checkpoint)
        assert (found.state.text, found.state.seed, found.state.history) == (None, 3, state.history)
        assert all(np.array_equal(found.state.model[name], value) for name, value in state.model.items())
        return "read"

    counts = counted("checkpoints", 0, 1, case)
    assert counts["refused"] > 0.8 * sum(counts.values()), counts
