"""A search over images that stay in their files: the training, its state, worker processes, the command line."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gaaf_gp.data.decoding import Stream
from gaaf_gp.data.load import load_data, open_test_split
from gaaf_gp.data.streamed import StreamedData, stream_data
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.experiments.experiment import run
from gaaf_gp.experiments.settings import Settings
from gaaf_gp.training import stacked
from gaaf_gp.training.outcome import Outcome
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.training.stacked import train_stacked
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet

CLASSES = ("n01440764", "n01443537", "n01484850")
SIZE = 16
PROXY: dict[str, Any] = {
    "epochs": 2,
    "batch_size": 8,
    "learning_rate": 0.03,
    "network_settings": {"widths": (4, 8)},
}


def photo(label: int, rng: np.random.Generator) -> Image.Image:
    """Noise with a tint that tells the class, of a size of its own."""
    pixels = rng.integers(0, 120, (*rng.integers(20, 30, 2), 3), dtype=np.uint8)
    pixels[..., label] += 100
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in the shape of ImageNet: JPEG files in train/CLASS and val/CLASS, test/ without labels."""
    root, rng = tmp_path_factory.mktemp("data") / "imagenet", np.random.default_rng(0)
    for part, number in (("train", 20), ("val", 5)):
        for label, name in enumerate(CLASSES):
            (root / part / name).mkdir(parents=True)
            for index in range(number):
                photo(label, rng).save(root / part / name / f"{name}_{index}.JPEG", quality=95)
    (root / "test").mkdir()
    photo(0, rng).save(root / "test" / "unlabelled.JPEG")
    return root


@pytest.fixture
def data(imagenet: Path) -> StreamedData:
    return stream_data(imagenet, image_size=SIZE, val_fraction=0.25)


@pytest.fixture
def proxy(data: StreamedData) -> Proxy:
    return Proxy(data, **PROXY)


def test_a_streamed_training_learns_and_repeats(proxy: Proxy, free: PrimitiveSet) -> None:
    assert isinstance(proxy.batches, Stream)
    tree = parse("add(sin(scale(x)), x)", free)
    longer = replace(proxy, epochs=5)
    first, again, other = (longer.train(tree, seed) for seed in (0, 0, 1))
    assert first.failure is None
    assert first.history == again.history != other.history
    assert first.history[-1].loss < first.history[0].loss
    assert first.accuracy > 0.6, "the tint tells three classes apart"


def test_the_score_is_that_of_the_images_in_their_order(proxy: Proxy, data: StreamedData) -> None:
    outcome = proxy.train(None, 0, epochs=1)
    assert outcome.state is not None
    training = proxy.training(None, 0)
    training.restore(outcome.state)
    training.model.eval()
    right = [training.model(images).argmax(1) == labels for images, labels in Stream(data, 4).scoring()]
    assert outcome.accuracy == pytest.approx(float(torch.cat(right).double().mean()))


def test_one_epoch_and_the_rest_are_all_of_them_bit_for_bit(proxy: Proxy) -> None:
    longer = replace(proxy, epochs=3)
    whole = longer.train(None, 4)
    first = longer.train(None, 4, epochs=1)
    unpickled: Proxy = pickle.loads(pickle.dumps(longer))
    rest = unpickled.train(None, 4, state=pickle.loads(pickle.dumps(first.state)))
    assert rest.history == whole.history


def test_the_test_split_is_scored_too(proxy: Proxy, data: StreamedData, image_folder: Path) -> None:
    test = open_test_split(data)
    assert len(test) == 15
    outcome = proxy.train(None, 0, test)
    assert outcome.failure is None
    assert outcome.accuracy * 15 == pytest.approx(round(outcome.accuracy * 15))
    held = load_data(image_folder)
    with pytest.raises(GaafError, match=r"score must be .* the data, FileSplit\(15 .*train\), got Split\(18"):
        proxy.train(None, 0, open_test_split(held))
    with pytest.raises(GaafError, match=r"as those of the data, Split\(.* got FileSplit\(15 .*val\)"):
        Proxy(held, **PROXY).train(None, 0, test)


def test_a_network_for_large_images_trains_on_a_stream_in_bfloat16(data: StreamedData) -> None:
    own = {"network": "bireal18", "network_settings": {"widths": (4, 4, 8, 8)}, "precision": "bfloat16"}
    proxy = Proxy(data.to("cpu"), **{**PROXY, **own, "epochs": 2})
    whole = proxy.train(None, 0)
    assert proxy.train(None, 0, state=proxy.train(None, 0, epochs=1).state).history == whole.history
    assert len(whole.history) == 2


def test_settings_say_what_matters(proxy: Proxy) -> None:
    settings = json.loads(json.dumps(proxy.settings()))
    assert not {"pad", "flip"} & set(settings), "a stream has its own augmentation"
    assert settings["precision"] == "float32"
    assert settings["data"]["image_size"] == [SIZE, SIZE]
    other = replace(proxy, data=replace(proxy.data, workers=2))
    assert other.settings() == proxy.settings(), "no result depends on who decodes"


@pytest.fixture
def torn(imagenet: Path, tmp_path: Path) -> Path:
    """A copy with one damaged file to train on, and one to test on."""
    folder = Path(shutil.copytree(imagenet, tmp_path / "imagenet"))
    for part in ("train", "val"):
        path = folder / part / CLASSES[1] / f"{CLASSES[1]}_3.JPEG"
        path.write_bytes(path.read_bytes()[:200])
    return folder


def test_no_candidate_is_blamed_for_a_damaged_file(torn: Path, free: PrimitiveSet) -> None:
    data = stream_data(torn, image_size=SIZE, val_fraction=0.25)
    proxy = Proxy(data, **{**PROXY, "batch_size": len(data.train)})
    with pytest.raises(GaafError, match=r"an image must be a whole 8-bit .*n01443537_3\.JPEG ended with"):
        proxy.train(None, 0)
    with Evaluator(proxy, free) as evaluator:
        with pytest.raises(GaafError, match=r"n01443537_3\.JPEG"):
            evaluator.evaluate([parse("sin(x)", free)])
        assert not evaluator.records


def test_a_test_split_that_cannot_be_read_costs_the_comparison_only(torn: Path, tmp_path: Path) -> None:
    whole = torn / "train" / CLASSES[1]
    shutil.copy(whole / f"{CLASSES[1]}_2.JPEG", whole / f"{CLASSES[1]}_3.JPEG")
    settings = Settings(
        out=tmp_path / "out",
        primitives="primitives.minimal:make_pset",
        data=str(torn),
        stream=True,
        evaluations=2,
        population=2,
        workers=1,
        random_search=False,
        fresh_seeds=2,
        proxy={**PROXY, "epochs": 1},
        data_settings={"image_size": SIZE, "val_fraction": 0.25},
    )
    found = run(settings, quiet=True)
    assert (found.test, found.evaluations, found.interrupted) == (None, 2, False)
    assert found.verdict.startswith("Not compared on the test split: an image must be a whole 8-bit")


def test_streams_are_trained_one_by_one(data: StreamedData, trees: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Proxy(data, **{**PROXY, "epochs": 1}, kernels="torch")
    assert not proxy.stackable
    monkeypatch.setattr(stacked, "Stack", pytest.fail)
    outcomes = train_stacked(proxy, trees, 0)
    assert [outcome.history for outcome in outcomes] == [proxy.train(tree, 0).history for tree in trees]


@pytest.fixture
def trees(free: PrimitiveSet) -> list[Any]:
    return [None, parse("sin(x)", free)]


def test_worker_processes_with_decoders_of_their_own_change_nothing(
    proxy: Proxy, data: StreamedData, free: PrimitiveSet
) -> None:
    trees = [parse(text, free) for text in ("sin(x)", "add(sin(scale(x)), x)")]
    nested = replace(proxy, data=replace(data, workers=1))
    with Evaluator(nested, free, workers=2) as evaluator:
        records = evaluator.evaluate(trees)
        ((tested,),) = evaluator.train([None], [7], open_test_split(data))
    here = Evaluator(proxy, free)
    expected = here.evaluate(trees)
    assert [record.failure for record in records] == [None, None]
    assert [histories(record.outcomes) for record in records] == [histories(record.outcomes) for record in expected]
    assert tested.history == proxy.train(None, 7, open_test_split(data)).history


def histories(outcomes: Any) -> list[Any]:
    return [one.history for one in outcomes if isinstance(one, Outcome)]


def command(*arguments: object) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-m", "gaaf_gp.cli", "evolve", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return subprocess.run(line, capture_output=True, text=True, check=False, env=environment, timeout=200)


def test_the_command_evolves_streamed_images_and_confirms_on_val(imagenet: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = command(
        *("--data", imagenet, "--stream", "--stream-workers", 1, "--image-size", SIZE, "--workers", 1),
        *("--evaluations", 3, "--population", 3, "--epochs", 1, "--batch-size", 8, "--fresh-seeds", 2, "--seed", 1),
        *("--primitives", "primitives.minimal:make_pset", "--no-random-search", "--out", out, "--quiet"),
    )
    assert done.returncode == 0, done.stderr
    assert "plain sign" in done.stdout
    config, result = (json.loads((out / name).read_text()) for name in ("config.json", "result.json"))
    assert config["stream"] is True
    assert config["data_settings"] == {"limit": None, "device": "cpu", "workers": 1, "image_size": SIZE}
    assert config["proxy"]["data"]["train"] + config["proxy"]["data"]["val"] == 60, "val/ is not searched on"
    assert result["evaluations"] == 3
    data = stream_data(imagenet, image_size=SIZE, seed=1)
    proxy = Proxy(data, **config_of(config))
    split = open_test_split(data)
    assert split.folder.name == "val"
    seeds = result["test"]["seeds"]
    assert [proxy.train(None, seed, split).accuracy for seed in seeds] == result["test"]["sign"]


def config_of(config: dict[str, Any]) -> dict[str, Any]:
    return {key: config["proxy"][key] for key in ("epochs", "batch_size", "network", "kernels")}


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """What ``gaaf-gp evolve`` would run."""
    found: list[Settings] = []

    def stop(settings: Settings, **_: Any) -> None:
        found.append(settings)
        raise GaafError("enough")

    monkeypatch.setattr("gaaf_gp.cli.evolve.run", stop)
    return found


@pytest.mark.parametrize(
    ("options", "stream", "settings"),
    [
        (["--data", "imagenet"], True, {"workers": 0}),
        (["--data", "imagenet", "--no-stream", "--image-size", "32"], False, {"image_size": 32, "download": False}),
        (["--data", "some/folder"], False, {"image_size": None, "download": False}),
        (["--data", "some/folder", "--stream", "--stream-workers", "4"], True, {"workers": 4}),
    ],
)
def test_imagenet_is_streamed_and_other_data_if_told(
    options: list[str], stream: bool, settings: dict[str, Any], planned: list[Settings]
) -> None:
    from gaaf_gp import cli

    with pytest.raises(SystemExit):
        cli.main(["evolve", *options, "--limit", "60", "--precision", "bfloat16"])
    (plan,) = planned
    assert plan.stream == stream
    assert plan.data_settings == {"limit": 60, "device": "cpu", **settings}
    assert plan.proxy["precision"] == "bfloat16"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--stream-workers", "2"], "stream workers decode streamed images, got 2 of them without: add --stream"),
        (["--data", "imagenet", "--download"], "streamed images must be there, and cannot be downloaded"),
        (["--stream"], "data must be .* the path of a folder .* 'fashion10k' is neither"),
        (["--data", "FOLDER", "--stream", "--stream-workers", "-1"], "workers must be a whole number of at least 0"),
        (["--data", "FOLDER/train", "--stream"], "has no folder train/; it holds: n01440764/, "),
        (["--data", "FOLDER", "--stream", "--device", "warp"], "device must be one that torch can use here"),
        (["--data", "FOLDER", "--stream", "--precision", "float16"], "precision float16 is for a GPU, and the data"),
    ],
)
def test_wrong_options_are_one_line(
    options: list[str], message: str, imagenet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    from gaaf_gp import cli

    given = [option.replace("FOLDER", str(imagenet)) for option in options]
    with pytest.raises(SystemExit) as ended:
        cli.main(["evolve", *given, "--out", str(tmp_path / "out"), "--batch-size", "8", "--workers", "1"])
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert re.search(message, error)
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
