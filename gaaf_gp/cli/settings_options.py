"""The settings of a run as options of a script: without them it does what its ``Settings`` say."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from gaaf_gp.experiments import Settings, run_folder
from gaaf_gp.training.proxy import DEFAULT_EPOCHS

OPTIONS: dict[str, Any] = {
    "primitives": Annotated[str, Option(help="Primitive set, as gaaf-gp evolve takes it.")],
    "data": Annotated[str, Option(help="Data set or folder, as gaaf-gp evolve takes it.")],
    "evaluations": Annotated[int, Option(help="Fitness values that the search may ask for.")],
    "population": Annotated[int, Option(help="Individuals of a population, or of a batch at random.")],
    "epochs": Annotated[int, Option(help="Epochs that a candidate is trained for.")],
    "batch_size": Annotated[int, Option(help="Images per training step.")],
    "random_search": Annotated[
        bool, Option("--random-search/--no-random-search", help="Spend as many evaluations on random search too.")
    ],
    "fresh_seeds": Annotated[int, Option(help="Trainings of the winner and of each competitor on the test split.")],
    "limit": Annotated[int | None, Option(help="Use at most this many images for the search.", show_default="all")],
    "seed": Annotated[int, Option(help="One seed gives one result.")],
    "workers": Annotated[int, Option(help="Worker processes.", show_default="all cores")],
    "out": Annotated[
        Path | None, Option(help="New or empty folder.", show_default="out/ and the script's name, or the next")
    ],
}
"""Name -> kind and help of each option. ``epochs`` and ``batch_size`` are of the training, ``limit`` is of the data."""


def with_options(function: Callable[..., None]) -> Callable[..., None]:
    """Return a function that takes :data:`OPTIONS` in place of ``settings``.

    Args:
        function: its parameter ``settings`` has the :class:`~gaaf_gp.experiments.Settings` of a script as default,
            others are options of its own. Without that parameter it is returned as it is.
    """
    signature = inspect.signature(function, eval_str=True)
    if "settings" not in signature.parameters:
        return function
    chosen: Settings = signature.parameters["settings"].default

    def command(**given: Any) -> None:
        values = {name: given.pop(name) for name in OPTIONS}
        function(settings=_changed(chosen, **values), **given)

    own = [parameter for name, parameter in signature.parameters.items() if name != "settings"]
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=OPTIONS[name])
        for name, default in _defaults(chosen).items()
    ]
    command.__doc__ = function.__doc__
    command.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
    return command


def _defaults(chosen: Settings) -> dict[str, Any]:
    training = {"epochs": DEFAULT_EPOCHS, "batch_size": 128, **chosen.proxy}
    special = {**training, "limit": chosen.data_settings.get("limit"), "out": None}
    return {name: special[name] if name in special else getattr(chosen, name) for name in OPTIONS}


def _changed(
    chosen: Settings, *, epochs: int, batch_size: int, limit: int | None, out: Path | None, **values: Any
) -> Settings:
    return replace(
        chosen,
        **values,
        out=run_folder.next_free(chosen.out) if out is None else out,
        proxy={**chosen.proxy, "epochs": epochs, "batch_size": batch_size},
        data_settings={**chosen.data_settings, "limit": limit},
    )
