"""The command that repeats a run, from its settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gaaf_gp.archive import FINISHED
from gaaf_gp.experiments import resume as resuming
from gaaf_gp.experiments.run_data import RunData
from gaaf_gp.experiments.settings import OPTIONS, flat


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
    resume = resuming.resume_command(data.place.folder, data.config) if goes_on else ""
    if own or not isinstance(settings, dict):
        return Commands("", (), resume, "A script of its own made this run: start it again with the settings below.")
    parts, unsaid = ["gaaf-gp evolve"], []
    for name, value in flat(settings):
        option = OPTIONS.get(name)
        if option is None:
            unsaid += [] if value in (None, [], {}) else [f"{name} {value}"]
        elif option.decides:
            parts += option.words(value)
    note = "" if not unsaid else "Some settings have no option of the command; a script gave them:"
    return Commands(" ".join(parts), tuple(unsaid), resume, note)


def shown_folder(path: Path) -> str:
    """Return a short name of a run: that of its folder."""
    return path.resolve().name or str(path)
