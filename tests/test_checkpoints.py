"""A training on disk: every field comes back, a damaged or foreign file is refused, an earlier one is never lost."""

import dataclasses
import io
import json
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaaf_gp import checkpoints, files
from gaaf_gp.checkpoints import read_checkpoint, write_checkpoint
from gaaf_gp.errors import GaafError
from gaaf_gp.training import Epoch, TrainingState

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
    path = tmp_path / "new" / "one.npz"
    write_checkpoint(path, state, ABOUT)
    found = read_checkpoint(path)
    same(state, found.state)
    assert found.about == ABOUT
    assert [one.name for one in path.parent.iterdir()] == ["one.npz"], "nothing is left beside it"


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.floats(0, 1), st.integers(0, 2**62))
@settings(max_examples=25)
def test_numbers_come_back_to_the_last_bit(tmp_path_factory, loss, accuracy, seed):
    path = tmp_path_factory.mktemp("bits") / "one.npz"
    weights = {"a/b.c": np.array([loss], np.float32), "file": np.array(seed)}
    one = TrainingState(None, seed, (Epoch(loss, accuracy),), loss, 3, weights, {}, np.arange(5, dtype=np.uint8))
    write_checkpoint(path, one, {})
    same(one, read_checkpoint(path).state)


def test_weights_are_those_of_the_network(tiny_proxy, state, tmp_path):
    write_checkpoint(tmp_path / "one.npz", state, {})
    model = tiny_proxy.training(None, 9).model
    model.load_state_dict(read_checkpoint(tmp_path / "one.npz").weights)
    assert all(np.array_equal(value.numpy(), state.model[name]) for name, value in model.state_dict().items())


def test_a_training_goes_on_from_a_file_bit_for_bit(tiny_proxy, state, tmp_path):
    write_checkpoint(tmp_path / "one.npz", state, {})
    rest = tiny_proxy.train(None, 3, state=read_checkpoint(tmp_path / "one.npz").state)
    assert rest.history == tiny_proxy.train(None, 3).history


def written(tmp_path, state):
    write_checkpoint(tmp_path / "one.npz", state, ABOUT)
    return (tmp_path / "one.npz").read_bytes()


def test_no_pickle_is_in_it(state, tmp_path):
    content = written(tmp_path, state)
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        assert all(archive[name].dtype != object for name in archive.files)
        header = json.loads(archive["header"].tobytes())
    assert header["format"] == checkpoints.FORMAT


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
    path = folder / "damaged.npz"
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
        same(SMALL, found.state)  # names and times in the archive's directory are no content


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def header(**content):
    return np.frombuffer(json.dumps(content).encode(), np.uint8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be a whole file of this program"),
        (b"accuracy,0.5\n", "must be a whole file of this program"),
        (pickle.dumps({"format": 1}), "must be a whole file of this program"),
        (npz(images=np.zeros(3)), "must be a whole file of this program"),
        (npz(header=header(format=1)), "must be a whole file of this program"),
        (npz(header=np.array([{"format": 1}], dtype=object)), "must be a whole file of this program"),
        (npz(header=header(format=2)), "must have format 1, and .* has 2: use the version"),
    ],
)
def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path, content, message):
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(GaafError, match=message):
        read_checkpoint(path)
    assert path.read_bytes() == content


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(GaafError, match=r"there is none at .*none\.npz"):
        read_checkpoint(tmp_path / "none.npz")


def test_a_write_that_breaks_off_leaves_the_earlier_file(state, tmp_path, monkeypatch):
    before = written(tmp_path, SMALL)
    real = np.savez

    def full(file, **arrays):
        real(file, **dict(list(arrays.items())[:3]))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(GaafError, match=r"must be writable, but .*one\.npz is not \(No space left"):
        write_checkpoint(tmp_path / "one.npz", state, ABOUT)
    assert (tmp_path / "one.npz").read_bytes() == before
    monkeypatch.undo()
    write_checkpoint(tmp_path / "one.npz", state, ABOUT)
    same(state, read_checkpoint(tmp_path / "one.npz").state)


def test_a_process_that_dies_in_the_middle_leaves_the_earlier_file(tmp_path, monkeypatch):
    before = written(tmp_path, SMALL)

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", die)
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(tmp_path / "one.npz", dataclasses.replace(SMALL, seed=4), {})
    assert (tmp_path / "one.npz").read_bytes() == before


def test_it_takes_little_more_than_its_numbers(tiny_proxy, state, tmp_path):
    numbers = sum(parameter.numel() for parameter in tiny_proxy.training(None, 0).model.parameters())
    content = written(tmp_path, state)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = len(archive.namelist())
    assert len(content) < 12 * numbers + 10_000 + 400 * entries
