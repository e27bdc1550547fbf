"""The command that repeats a run, from its settings."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaaf_gp.archive import FINISHED
from gaaf_gp.experiments import resume as resuming
from gaaf_gp.experiments.run_data import RunData
from gaaf_gp.search.bloat import SEARCH_DEFAULT
from gaaf_gp.training.proxy import DEFAULT_EPOCHS

OPTIONS: dict[str, tuple[str, Any]] = {
    "primitives": ("--primitives", "primitives.gaaf:free"),
    "data": ("--data", "fashion10k"),
    "loop": ("--loop", "generations"),
    "evaluations": ("--evaluations", 100),
    "seed": ("--seed", 0),
    "population": ("--population", 20),
    "fresh_seeds": ("--fresh-seeds", 5),
    "extra_seeds": ("--extra-seeds", 0),
    "limits.height": ("--max-height", 6),
    "limits.size": ("--max-size", 30),
    "bloat": ("--bloat", SEARCH_DEFAULT),
    "measure": ("--measure", "nodes"),
    "search_seconds": ("--search-seconds", None),
    "target": ("--target", None),
    "stagnation": ("--stagnation", None),
    "proxy.epochs": ("--epochs", DEFAULT_EPOCHS),
    "proxy.batch_size": ("--batch-size", 128),
    "proxy.network": ("--network", "small"),
    "proxy.threads": ("--threads", 1),
    "proxy.seconds": ("--seconds", None),
    "proxy.memory": ("--memory", None),
    "proxy.precision": ("--precision", "float32"),
    "data_settings.limit": ("--limit", None),
    "data_settings.device": ("--device", "cpu"),
    "data_settings.image_size": ("--image-size", None),
    "data_settings.workers": ("--stream-workers", None),
}
"""Setting -> option of ``gaaf-gp evolve``, and what it is without."""
SWITCHES = {
    ("stream", True): "--stream", ("two_trees", True): "--two-trees", ("random_search", False): "--no-random-search",
    ("racing", True): "--racing", ("racing", False): "--no-racing", ("data_settings.download", True): "--download",
}  # fmt: skip
REPEATED = {"constraints": "--constraint", "initial": "--initial"}
ELSEWHERE = ("workers", "executor", "archive", *(name for name, _ in SWITCHES))
"""Settings that are switches, or on which no result depends."""


@dataclass(frozen=True)
class Commands:
    """How to run it again.

    Attributes:
        repeat: the command that repeats it, empty if there is none.
        unsaid: settings that no option has; with some, the command does not repeat it.
        resume: the command that goes on with it, empty where it has finished.
        note: what else there is to say.
    """

    repeat: str
    unsaid: tuple[str, ...]
    resume: str
    note: str


def commands(data: RunData) -> Commands:
    """Return how a run is repeated and gone on with."""
    settings = data.config.get(resuming.SETTINGS)
    own = "search" in data.config
    goes_on = bool(data.place.config) and data.run.status != FINISHED and not own
    resume = f"gaaf-gp resume {shlex.quote(str(data.place.folder))}" if goes_on else ""
    if own or not isinstance(settings, dict):
        return Commands("", (), resume, "A script of its own made this run: start it again with the settings below.")
    parts, unsaid = ["gaaf-gp evolve"], []
    for name, value in _flat(settings):
        if name in REPEATED and isinstance(value, list):
            parts += [f"{REPEATED[name]} {shlex.quote(str(one))}" for one in value]
        elif name in OPTIONS:
            option, default = OPTIONS[name]
            if value is not None and value != default:
                parts.append(f"{option} {shlex.quote(str(value))}")
        elif isinstance(value, bool) and (name, value) in SWITCHES:
            parts.append(SWITCHES[name, value])
        elif name not in ELSEWHERE and value not in (None, [], {}):
            unsaid.append(f"{name} {value}")
    note = "" if not unsaid else "Some settings have no option of the command; a script gave them:"
    return Commands(" ".join(parts), tuple(unsaid), resume, note)


def _flat(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if name in ("limits", "proxy", "data_settings") and isinstance(value, dict):
            yield from ((f"{name}.{key}", one) for key, one in value.items())
        else:
            yield str(name), value


def shown_folder(path: Path) -> str:
    """Return a short name of a run: that of its folder."""
    return path.resolve().name or str(path)
