"""Retraining: chosen functions and baselines are trained at full length on fresh seeds and scored on the test split.

All candidates are trained on the same seeds, so that each is compared with a baseline in pairs. The test split is
opened after the last epoch of a training, and nothing is chosen by it. A checkpoint after each epoch and a line of JSON
for each training that has ended let the same call resume after any interruption, with the same numbers.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gaaf_gp.activations.behaviour import OUT_OF_MEMORY
from gaaf_gp.data.load import AnyData, open_test_split
from gaaf_gp.errors import GaafError, listed
from gaaf_gp.parallel.executors import Workers
from gaaf_gp.parallel.transfer import WorkerLost
from gaaf_gp.training.budget import FailedError
from gaaf_gp.training.checkpoint import ENDING
from gaaf_gp.training.retraining.result import SIGN, RetrainResult, TrainingResult
from gaaf_gp.training.retraining.settings import RetrainSettings
from gaaf_gp.training.retraining.stages import Progressed, Schedule
from gaaf_gp.training.retraining.teachers import given_teacher, teaching, trained_teacher
from gaaf_gp.trees.candidate import MARK, PLAIN_SIGN, Candidate, parse_candidate, text_of
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util.checks import LARGEST, different_seeds, whole_number
from gaaf_gp.util.console import EpochProgress, Show
from gaaf_gp.util.jsonl import Journal
from gaaf_gp.util.provenance import versions
from gaaf_gp.util.randomness import RETRAINING, seeds_from

JOURNAL = "retrain.jsonl"
CHECKPOINTS = "checkpoints"
TEACHER = "teacher" + ENDING
FORMAT = 1


def fresh_seeds(number: int, seed: int = 0) -> tuple[int, ...]:
    """Return ``number`` seeds that no search uses.

    Args:
        number: how many, at least 2.
        seed: another one gives other seeds; not negative.

    Raises:
        GaafError: fewer than two, or a seed that is negative or too large for 64 bits.
    """
    number, seed = (
        whole_number("seeds", number, 2, RETRAINING),
        whole_number("seed", seed, 0, LARGEST // RETRAINING - 2),
    )
    return seeds_from(RETRAINING, seed, number)


def retrain(
    candidates: Mapping[str, Candidate | None],
    data: AnyData,
    settings: RetrainSettings,
    *,
    seeds: Sequence[int],
    out: Path,
    pset: PrimitiveSet,
    workers: int = 1,
    progress: Show = False,
) -> RetrainResult:
    """Train every candidate on every seed and score it on the test split.

    Results depend neither on the number of workers nor on interruptions. After Ctrl-C the trainings that have ended are
    returned, and the same call resumes.

    Args:
        candidates: by the names that tables show; None for the plain sign.
        data: what to train and validate on; its test split is opened for the scores.
        settings: how to train.
        seeds: at least two, usually :func:`fresh_seeds`.
        out: folder of ``retrain.jsonl``, of the checkpoints and of the teacher. An earlier retraining with the same
            settings in it is resumed, also with more candidates but not with fewer: the correction of the p-values must
            count every function that was tested.
        pset: the set that the trees come from.
        workers: processes; each trains one candidate at a time.
        progress: whether and how progress is shown, see :data:`gaaf_gp.util.console.Show`.

    Returns:
        The trainings that have ended; all of them unless Ctrl-C was pressed.

    Raises:
        GaafError: for a wrong setting, data without a test split, a folder with another retraining, a file that is
            damaged, or a training that ran out of memory or whose worker was lost.
    """
    _check(candidates, data, seeds, workers)
    given, task = given_teacher(settings, data), teaching(settings, data)
    about_teacher = None if given is None else given.settings()
    if task is not None:
        about_teacher = {name: value for name, value in task.settings().items() if name != "data"}
    # wrong settings are refused here, before anything is written
    provenance = {**_provenance(settings, data, seeds, pset), "teacher": about_teacher}
    with Journal(out / JOURNAL, provenance) as journal:
        _check_left_out(journal, candidates)
        loss = given
        try:
            if task is not None and settings.distillation is not None:
                loss = trained_teacher(task, settings.distillation, out / TEACHER, progress=progress)
            schedule = Schedule(settings.stages(data, loss), provenance)
            _run(_Task(schedule, pset, out), candidates, seeds, journal, workers=workers, progress=progress)
        except KeyboardInterrupt:
            pass  # what it ended is to be seen: some trainings are missing
        ended = tuple(TrainingResult.of(entry) for entry in journal.entries)
    return RetrainResult(candidates, tuple(seeds), ended, provenance, () if loss is None else loss.curve)


@dataclass(frozen=True)
class _Task:
    """What a worker process needs of a retraining."""

    schedule: Schedule
    pset: PrimitiveSet
    out: Path


def _run(
    task: _Task,
    candidates: Mapping[str, Candidate | None],
    seeds: Sequence[int],
    journal: Journal,
    *,
    workers: int,
    progress: Show,
) -> None:
    names = {text_of(candidate): name for name, candidate in candidates.items()}
    ended = {(entry["text"], entry["seed"]) for entry in journal.entries}
    jobs = [(text, seed) for seed in seeds for text in names if (text, seed) not in ended]
    epochs, lost = task.schedule.epochs, set[int]()
    done = dict.fromkeys(range(len(jobs)), 0)

    def what(job: tuple[str | None, int]) -> str:
        return f"{names[job[0]]}, seed {job[1]}"

    with (
        Workers(task, min(workers, max(1, len(jobs)))) as pool,
        EpochProgress(epochs * len(names) * len(seeds), show=progress) as shown,
    ):
        shown.reach(epochs * len(ended), known=True)
        try:
            for index, step in pool.run_on(_step, jobs, _unfinished):
                if isinstance(step, WorkerLost):
                    lost.add(index)
                    continue
                if isinstance(step, TrainingResult):
                    journal.append(step.entry())
                done[index] = epochs if isinstance(step, TrainingResult) else len(step.curve)
                shown.reach(epochs * len(ended) + sum(done.values()), f"{what(jobs[index])}: {_said(step)}")
        except BaseException:
            pool.stop()  # every epoch that is over is on disk
            raise
    if lost:
        named = [what(jobs[index]) for index in sorted(lost)]  # in the order of the jobs, not of the accidents
        raise GaafError(
            f"a worker process must live as long as its training, and those of {listed(named)} were killed or crashed "
            "three times: free memory or use fewer workers; the same command goes on"
        )


def _step(task: _Task, text: str | None, seed: int) -> Progressed | TrainingResult:
    """Train one epoch further; after the last one score the test split. Runs in a worker."""
    schedule, candidate = task.schedule, parse_candidate(text, task.pset)
    place = f"{CHECKPOINTS}/{_slug(text)}-{seed}{ENDING}"
    reached = schedule.advance(candidate, seed, task.out / place)
    if reached.failure == OUT_OF_MEMORY:  # the machine's failure, and no result of the candidate
        raise GaafError(
            f"memory must suffice for each training, and that of {text or 'the plain sign'} ran out of it: use fewer "
            "workers, or another folder with smaller batches; the same command goes on"
        )
    if reached.failure is None and len(reached.curve) < schedule.epochs:
        return reached
    accuracy, failure = None, reached.failure
    if failure is None:
        try:
            accuracy = schedule.score(candidate, seed, task.out / place, _test_split(schedule.stages[0].data))
        except FailedError as error:
            failure = str(error)
    return TrainingResult(text, seed, accuracy, failure, reached.curve, reached.seconds, place)


def _unfinished(step: Progressed | TrainingResult) -> bool:
    return isinstance(step, Progressed)


def _said(step: Progressed | TrainingResult) -> str:
    if isinstance(step, TrainingResult) and step.failure is not None:
        return f"failed ({step.failure})"
    return f"{step.curve[-1].accuracy:.2%} after epoch {len(step.curve)}"


_test_split = functools.lru_cache(maxsize=1)(open_test_split)


def _slug(text: str | None) -> str:
    """Return the name of a candidate in file names."""
    if text is None:
        return SIGN
    return text.removeprefix(MARK) if text.startswith(MARK) else hashlib.sha256(text.encode()).hexdigest()[:12]


def _check(candidates: Mapping[str, Candidate | None], data: AnyData, seeds: Sequence[int], workers: int) -> None:
    texts = [text_of(candidate) for candidate in candidates.values()]
    if not texts:
        raise GaafError("a retraining needs at least one candidate, got none: name a baseline or a function")
    for text in texts:
        alike = [name for name, one in zip(candidates, texts, strict=True) if one == text]
        if len(alike) > 1:
            raise GaafError(
                f"each candidate is trained once, and {listed(alike)} are all {text or 'the plain sign'}: leave all "
                "but one out"
            )
    different_seeds(seeds, 2)
    whole_number("workers", workers)
    if not data.has_test_split:
        raise GaafError(
            f"trainings are scored on the test split, but {data.name} has none: add test/CLASS/ with images beside "
            "train/CLASS/"
        )


def _check_left_out(journal: Journal, candidates: Mapping[str, Candidate | None]) -> None:
    texts = {text_of(candidate) for candidate in candidates.values()}
    left_out = dict.fromkeys(entry["text"] for entry in journal.entries if entry["text"] not in texts)
    if left_out:
        names = [PLAIN_SIGN if text is None else text for text in left_out]
        raise GaafError(
            f"p-values are corrected for all functions that were tested, and {journal.path.parent} holds others too: "
            f"name {listed(names)} as well, or choose another folder"
        )


def _provenance(settings: RetrainSettings, data: AnyData, seeds: Sequence[int], pset: PrimitiveSet) -> dict[str, Any]:
    """Return everything that the trainings depend on except the candidates and the teacher."""
    proxy = settings.stages(data)[0].settings()
    for name in ("epochs", "real_weights", "loss"):
        del proxy[name]
    chosen = settings.distillation
    return {
        "format": FORMAT,
        "primitives": pset.name,
        "seeds": list(seeds),
        "epochs": list(settings.lengths),
        "distillation": None if chosen is None else asdict(chosen),
        "proxy": proxy,
        "versions": versions(),
    }
