"""The settings of a run as options of a script: without them it does what its ``Settings`` say."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, get_origin

import typer

from gaaf_gp.cli.options import annotated, default_of
from gaaf_gp.experiments import Settings, run_folder
from gaaf_gp.experiments.settings import OPTIONS, changed, flat

OFFERED = (
    "primitives",
    "data",
    "evaluations",
    "population",
    "proxy.epochs",
    "proxy.batch_size",
    "random_search",
    "fresh_seeds",
    "data_settings.limit",
    "seed",
    "workers",
    "out",
)
"""Settings that every script offers, by their names in :data:`gaaf_gp.experiments.settings.OPTIONS`."""


def with_options(function: Callable[..., None]) -> Callable[..., None]:
    """Return a function that takes the settings of :data:`OFFERED` one by one in place of ``settings``.

    A parameter that has the name of a setting, such as ``epochs``, gets its help, unless its annotation has one.

    Args:
        function: its parameter ``settings`` has the :class:`~gaaf_gp.experiments.Settings` of a script as default,
            others are options of its own. Without that parameter only help is added, if there is any to add.
    """
    plain = inspect.signature(function, eval_str=True)
    signature = plain.replace(parameters=[explained(parameter) for parameter in plain.parameters.values()])
    if signature == plain and "settings" not in signature.parameters:
        return function
    if "settings" not in signature.parameters:

        @functools.wraps(function)
        def explained_function(**given: Any) -> None:
            function(**given)

        explained_function.__dict__["__signature__"] = signature  # what typer reads
        return explained_function
    chosen: Settings = signature.parameters["settings"].default
    values = dict(flat(chosen.as_json()))
    offered = [replace(OPTIONS[name], default=values.get(name, OPTIONS[name].default)) for name in OFFERED]
    offered[-1] = replace(offered[-1], shown=f"{chosen.out}, or the next")

    def command(**given: Any) -> None:
        changes = {option.setting: given.pop(option.parameter) for option in offered}
        if changes["out"] is None:
            changes["out"] = run_folder.next_free(chosen.out)
        settings = changed(chosen, {name: value for name, value in changes.items() if value is not None})
        function(settings=settings, **given)

    own = [parameter for name, parameter in signature.parameters.items() if name != "settings"]
    keyword = inspect.Parameter.KEYWORD_ONLY
    options = [
        inspect.Parameter(option.parameter, keyword, default=default_of(option), annotation=annotated(option))
        for option in offered
    ]
    command.__doc__ = function.__doc__
    command.__dict__["__signature__"] = signature.replace(parameters=[*own, *options])  # what typer reads
    return command


def explained(parameter: inspect.Parameter) -> inspect.Parameter:
    """Return a parameter with the help of the setting of its name, if there is one and it has no help yet."""
    helps = {name.rpartition(".")[2]: option.help for name, option in OPTIONS.items()}
    if get_origin(parameter.annotation) is Annotated or parameter.name not in helps:
        return parameter
    about = typer.Option(help=helps[parameter.name], show_default="all cores" if parameter.name == "workers" else True)
    return parameter.replace(annotation=Annotated[parameter.annotation, about])
