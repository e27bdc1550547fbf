"""How a run can be gone on with: its settings in ``config.json``, and every training in an archive."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaaf_gp.archive import Archive, runs
from gaaf_gp.binary.networks import is_own_network
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.cache import ArchivedTrainings
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.experiments import run_folder
from gaaf_gp.experiments.run_folder import CONFIG
from gaaf_gp.experiments.settings import OPTIONS, Settings
from gaaf_gp.search.checkpoint import CHECKPOINT, AnotherWayError, read_run_checkpoint
from gaaf_gp.trees.load import is_bundled
from gaaf_gp.util import provenance
from gaaf_gp.util.files import read_mapping

SETTINGS, RUN = "settings", "run"
"""In ``config.json``: the settings as they were given, and the key of the run in its archive."""
NAMED = ("data", "primitives")
"""Settings that say where something is. What it is, is compared: the images by their checksum, the set by its names
and, with the checkpoint, by what it computes."""
EVALUATIONS = "evaluations"
"""The setting that may be raised."""
FREE_TO_CHANGE = (*(name for name, option in OPTIONS.items() if not option.decides), SETTINGS, RUN, *NAMED, EVALUATIONS)
"""What may be another when a run is gone on with; of devices the number, and which, but not their kind."""


def read_config(folder: Path) -> dict[str, Any]:
    """Return what ``config.json`` holds.

    Raises:
        GaafError: there is none, or it is damaged.
    """
    try:
        return read_mapping(folder / CONFIG, "settings")
    except FileNotFoundError as error:
        raise GaafError(f"a run to go on with must have its {CONFIG}, and {folder} has none: start it anew") from error


def check_same(folder: Path, config: Mapping[str, Any]) -> str | None:
    """Refuse to go on with a run that depended on something else, and return its key in the archive.

    Raises:
        GaafError: naming the first thing that differs.
    """
    before, now = (_kind_of_device(one) for one in (read_config(folder), json.loads(json.dumps(config))))
    had, wanted = before.get(EVALUATIONS), now.get(EVALUATIONS)
    if isinstance(had, int) and isinstance(wanted, int) and wanted < had:
        raise GaafError(
            f"a run may get more evaluations than it had, but not fewer: it had {had}, and {wanted} are "
            "asked for: give a larger --evaluations"
        )
    for name in sorted(before.keys() | now.keys()):
        if name not in FREE_TO_CHANGE and before.get(name) != now.get(name):
            raise GaafError(
                f"a run must go on as it began, but {name} was {before.get(name)!r} and is {now.get(name)!r} now: "
                "start a new run in another folder, or bring back what was"
            )
    key = before.get(RUN)
    return key if isinstance(key, str) else None


def resume_command(folder: Path, config: Mapping[str, Any]) -> str:
    """Return the command that goes on with a run, quoted for a shell; what is code must be named again."""
    settings = config.get(SETTINGS)
    before: Mapping[str, Any] = settings if isinstance(settings, Mapping) else config
    primitives, proxy = before.get("primitives"), before.get("proxy")
    network = proxy.get("network") if isinstance(proxy, Mapping) else None
    named = [] if is_bundled(primitives) or not isinstance(primitives, str) else ["--primitives", primitives]
    named += ["--network", network] if isinstance(network, str) and is_own_network(network) else []
    return shlex.join(["gaaf-gp", "resume", str(folder), *named])


def _kind_of_device(config: dict[str, Any]) -> dict[str, Any]:
    data = config.get("data_settings")
    if not isinstance(data, dict) or not isinstance(data.get("device"), str):
        return config
    first, *_ = data["device"].split(",")
    return {**config, "data_settings": {**data, "device": first.partition(":")[0]}}


@dataclass
class Ended:
    """How a run ends in the archive."""

    status: str


@contextmanager
def archived(settings: Settings, config: dict[str, Any], evaluator: Evaluator, resume: bool) -> Iterator[Ended]:
    """Let the evaluator ask an archive and write to it, and keep ``config.json`` beside it.

    Raises:
        GaafError: the run cannot be gone on with; nothing in its folder has changed then.
    """
    before = check_same(settings.out, config) if resume else None
    if resume:
        read_run_checkpoint(settings.out / CHECKPOINT, evaluator.pset)
    path = settings.out / run_folder.ARCHIVE if settings.archive is None else Path(settings.archive)
    if resume and not path.is_file():
        raise GaafError(
            f"a run goes on from the file of its trainings, and there is none at {path}: say with --archive where it is"
        )
    with Archive(path) as archive:
        known = {run.key for run in archive.runs()}
        key = before if before in known else archive.begin("evolve", config, provenance.versions())
        assert key is not None
        extended = resume and read_config(settings.out).get(EVALUATIONS) != config.get(EVALUATIONS)
        if key != before or extended:
            run_folder.start(settings.out, {**config, RUN: key})
        status = archive.run(key).status
        archive.end(key, runs.RUNNING)
        trainings = ArchivedTrainings(archive, evaluator.proxy, evaluator.pset, key, at_once=evaluator.at_once)
        evaluator.record_in(trainings)
        ended = Ended(runs.FAILED)
        try:
            yield ended
        except AnotherWayError:
            ended.status = status  # nothing of it has changed
            raise
        finally:
            archive.end(key, ended.status)
