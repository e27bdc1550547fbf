"""A training on disk: every field comes back, a damaged or foreign file is refused, an earlier one is never lost."""

import dataclasses
import errno
import io
import json
import os
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from gaaf_gp.errors import GaafError
from gaaf_gp.training import checkpoint
from gaaf_gp.training.checkpoint import read_checkpoint, write_checkpoint
from gaaf_gp.training.outcome import Epoch, TrainingState
from gaaf_gp.util import files

ABOUT = {"course": {"network": "small", "rate": 0.1}, "stage": 1}


@pytest.fixture
def state(tiny_proxy):
    return tiny_proxy.train(None, 3, epochs=2).state


def same(one, other):
    """Compare all fields of two states, arrays with dtype, shape and bits."""
    for field in dataclasses.fields(TrainingState):
        first, second = getattr(one, field.name), getattr(other, field.name)
        if isinstance(first, np.ndarray):
            first, second = {"": first}, {"": second}
        if not isinstance(first, dict):
            assert first == second, field.name
            assert type(first) is type(second)
            continue
        assert first.keys() == second.keys(), field.name
        for key, value in first.items():
            pairs = value.items() if isinstance(value, dict) else [("", value)]
            for name, array in pairs:
                back = second[key][name] if isinstance(value, dict) else second[key]
                assert (back.dtype, back.shape) == (array.dtype, array.shape)
                assert back.tobytes() == array.tobytes()


@pytest.mark.parametrize("change", [{}, {"text": "add(sin(x), x) | x"}, {"scale": (65536.0, 7)}, {"moments": {}}])
def test_every_field_comes_back(state, tmp_path, change):
    state = dataclasses.replace(state, **change)
    path = tmp_path / "new" / "one.safetensors"
    write_checkpoint(path, state, ABOUT)
    found = read_checkpoint(path)
    same(state, found.state)
    assert found.about == ABOUT
    assert [one.name for one in path.parent.iterdir()] == ["one.safetensors"], "nothing is left beside it"


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.floats(0, 1), st.integers(0, 2**62))
@settings(max_examples=25)
def test_numbers_come_back_to_the_last_bit(tmp_path_factory, loss, accuracy, seed):
    path = tmp_path_factory.mktemp("bits") / "one.safetensors"
    weights = {"a/b.c": np.array([loss], np.float32), "file": np.array(seed)}
    one = TrainingState(None, seed, (Epoch(loss, accuracy),), loss, 3, weights, {}, np.arange(5, dtype=np.uint8))
    write_checkpoint(path, one, {})
    same(one, read_checkpoint(path).state)


def test_weights_are_those_of_the_network(tiny_proxy, state, tmp_path):
    write_checkpoint(tmp_path / "one.safetensors", state, {})
    model = tiny_proxy.training(None, 9).model
    model.load_state_dict(read_checkpoint(tmp_path / "one.safetensors").weights)
    assert all(np.array_equal(value.numpy(), state.model[name]) for name, value in model.state_dict().items())


def test_a_training_goes_on_from_a_file_bit_for_bit(tiny_proxy, state, tmp_path):
    write_checkpoint(tmp_path / "one.safetensors", state, {})
    rest = tiny_proxy.train(None, 3, state=read_checkpoint(tmp_path / "one.safetensors").state)
    assert rest.history == tiny_proxy.train(None, 3).history


def written(tmp_path, state):
    write_checkpoint(tmp_path / "one.safetensors", state, ABOUT)
    return (tmp_path / "one.safetensors").read_bytes()


def header_of(content):
    """Read the metadata by the published format: eight bytes of length, JSON, arrays."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["gaaf-gp"])


def test_any_reader_of_safetensors_reads_the_weights_and_no_pickle_is_in_it(state, tmp_path):
    content = written(tmp_path, state)
    found = load(content)
    for name, value in state.model.items():
        assert np.array_equal(found[f"model/{name}"], value), name
    assert found["generator"].tobytes() == state.generator.tobytes()
    header = header_of(content)
    assert (header["format"], header["seed"], header["about"]) == (checkpoint.FORMAT, 3, ABOUT)


def test_one_training_gives_one_file(state, tmp_path):
    assert written(tmp_path, state) == written(tmp_path, state)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "int32", "uint8", "bool"])
def test_arrays_keep_their_dtype_and_shape_however_they_lie_in_memory(tmp_path, dtype):
    table = np.arange(12).reshape(3, 4).astype(dtype)
    arrays = {"turned": table.T, "every other": table[:, ::2], "one": table[0, 0], "none": table[:0]}
    one = dataclasses.replace(SMALL, model={name: np.asarray(value) for name, value in arrays.items()})
    write_checkpoint(tmp_path / "one.safetensors", one, {})
    same(one, read_checkpoint(tmp_path / "one.safetensors").state)


SMALL = TrainingState(
    "sin(x)", 3, (Epoch(1.5, 0.25),), 2.0, 4, {"w": np.arange(6.0)}, {0: {"step": np.array(1.0)}}, np.zeros(9, np.uint8)
)


@given(st.data())
@settings(max_examples=120)
def test_a_damaged_file_is_refused_or_says_the_same(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    content = bytearray(written(folder, SMALL))
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path = folder / "damaged.safetensors"
    path.write_bytes(content)
    refused, found = "", None
    try:
        found = read_checkpoint(path)
    except GaafError as error:
        refused = str(error)
    if found is None:
        assert str(path) in refused
        assert "\n" not in refused
    else:
        same(SMALL, found.state)  # a space in JSON is no content
        assert found.about == ABOUT


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def tensors(**header):
    return save({"generator": np.zeros(3)}, {"gaaf-gp": json.dumps(header)})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be a whole file of this program"),
        (b"accuracy,0.5\n", "must be a whole file of this program"),
        (b"\xff" * 64, "must be a whole file of this program"),
        (pickle.dumps({"format": 1}), "must be a whole file of this program"),
        (save({"images": np.zeros(3)}), "must be a whole file of this program"),
        (save({"images": np.zeros(3)}, {"gaaf-gp": "[" * 100_000}), "must be a whole file of this program"),
        (save({"images": np.zeros(3)}, {"gaaf-gp": "7"}), "must be a whole file of this program"),
        (tensors(format=2), "must be a whole file of this program"),
        (tensors(format=2, sha256="0" * 64), "ended with ValueError: it has another checksum than was written"),
        (tensors(format=3), "must have format 2, and .* has 3: use the version"),
        (npz(header=np.zeros(3)), "must have format 2, and .* has 1: use the version"),
    ],
    ids=str,
)
def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path, content, message):
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    with pytest.raises(GaafError, match=message):
        read_checkpoint(path)
    assert path.read_bytes() == content


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(GaafError, match=r"there is none at .*none\.safetensors"):
        read_checkpoint(tmp_path / "none.safetensors")


@pytest.mark.parametrize("number", ["ENOSPC", "EROFS", "EACCES", "EIO"])
def test_a_write_that_breaks_off_leaves_the_earlier_file(state, tmp_path, monkeypatch, number):
    before = written(tmp_path, SMALL)
    code = getattr(errno, number)

    def refused(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.os, "fsync", refused)
    with pytest.raises(GaafError, match=rf"must be writable, but .*one\.safetensors is not \({os.strerror(code)}\)"):
        write_checkpoint(tmp_path / "one.safetensors", state, ABOUT)
    assert (tmp_path / "one.safetensors").read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["one.safetensors"]
    monkeypatch.undo()
    write_checkpoint(tmp_path / "one.safetensors", state, ABOUT)
    same(state, read_checkpoint(tmp_path / "one.safetensors").state)


def test_a_process_that_dies_in_the_middle_leaves_the_earlier_file(tmp_path, monkeypatch):
    before = written(tmp_path, SMALL)

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", die)
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(tmp_path / "one.safetensors", dataclasses.replace(SMALL, seed=4), {})
    assert (tmp_path / "one.safetensors").read_bytes() == before


def test_it_takes_little_more_than_its_numbers(tiny_proxy, state, tmp_path):
    numbers = sum(parameter.numel() for parameter in tiny_proxy.training(None, 0).model.parameters())
    content = written(tmp_path, state)
    assert len(content) < 12 * numbers + 10_000 + 400 * len(load(content))
