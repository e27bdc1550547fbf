"""The settings of a script as options: their defaults are what the script chose, and what is given reaches it."""

import inspect
from pathlib import Path
from typing import Annotated, get_origin

import pytest
import typer

from gaaf_gp.cli.settings_options import OFFERED, with_options
from gaaf_gp.experiments import Settings
from gaaf_gp.experiments.settings import OPTIONS

CHOSEN = Settings(
    out=Path("out/some"),
    data="cifar10",
    evaluations=77,
    workers=3,
    seed=9,
    population=5,
    random_search=False,
    racing=False,
    proxy={"epochs": 4, "network": "resnet20"},
    data_settings={"image_size": 8},
)


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Settings, bool]]:
    """What the script is called with, in order; the folder of its results is free."""
    monkeypatch.chdir(tmp_path)
    return []


def command(given):
    def main(settings: Settings = CHOSEN, own: bool = False) -> None:
        """Search."""
        given.append((settings, own))

    return with_options(main)


def defaults(function):
    return {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}


def test_the_choices_are_the_defaults(given) -> None:
    chosen = defaults(command(given))
    assert list(chosen) == ["own", *(name.rpartition(".")[2] for name in OFFERED)]
    assert chosen == {
        "own": False,
        "primitives": "primitives.gaaf:free",
        "data": "cifar10",
        "evaluations": 77,
        "population": 5,
        "epochs": 4,
        "batch_size": 128,
        "random_search": False,
        "fresh_seeds": 5,
        "limit": None,
        "seed": 9,
        "workers": None,  # those of the settings
        "out": None,
    }
    assert command(given).__doc__ == "Search."


def test_options_reach_the_settings_and_all_else_stays(given) -> None:
    main = command(given)
    options = {**defaults(main), "evaluations": 8, "batch_size": 16, "limit": 60, "random_search": True, "own": True}
    main(**options)
    main(**{**options, "out": Path("else")})
    (first, own), (second, _) = given
    assert own
    assert (first.out, second.out) == (Path("out/some"), Path("else"))
    assert (first.evaluations, first.random_search, first.workers, first.seed) == (8, True, 3, 9)
    assert (first.data, first.population, first.racing) == ("cifar10", 5, False)
    assert first.proxy == {"epochs": 4, "network": "resnet20", "batch_size": 16}
    assert first.data_settings == {"image_size": 8, "limit": 60}
    assert second.workers == 3


def test_results_are_never_overwritten(given) -> None:
    main = command(given)
    Path("out/some").mkdir(parents=True)
    Path("out/some/result.json").touch()
    main(**defaults(main))
    assert given[0][0].out == Path("out/some-2")


def test_a_function_without_settings_is_left_as_it_is() -> None:
    def main(number: int = 1) -> None:
        """Count."""

    assert with_options(main) is main


def test_a_parameter_with_the_name_of_a_setting_gets_its_help() -> None:
    seen = []

    def main(
        epochs: int = 3,
        workers: int | None = None,
        limit: Annotated[int, typer.Option(help="Mine.")] = 1,
        other: int = 0,
    ) -> None:
        """Count."""
        seen.append((epochs, workers, limit, other))

    explained = with_options(main)
    parameters = inspect.signature(explained).parameters
    assert list(parameters) == ["epochs", "workers", "limit", "other"]
    helps = {
        name: parameter.annotation.__metadata__[0].help
        for name, parameter in parameters.items()
        if get_origin(parameter.annotation) is Annotated
    }
    assert helps == {
        "epochs": OPTIONS["proxy.epochs"].help,
        "workers": OPTIONS["workers"].help,
        "limit": "Mine.",
    }
    explained(epochs=2, workers=1, limit=5, other=7)
    assert seen == [(2, 1, 5, 7)]
    assert explained.__doc__ == "Count."
