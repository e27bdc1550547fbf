"""The search part of the benchmark of bloat: ``evolve()`` on free trees with every choice, in files that go on.

The proxy is the default one on images of half the width and height: less than half the time, and less noise. All
trainings are in ``archive.sqlite``, shared by all searches, so that a function which two of them meet is trained once;
each finished search is a line of ``search.jsonl``. What a search says of its own best is lucky, so the best of every
search is trained again in the default proxy, on seeds and at a size of images that no search saw: these trainings are
in the archive too, and what each search's best is worth by them is in ``fresh.jsonl``. That is still the validation
split: the test split is not opened here.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from deap import gp

from benchmarks.bloat_choices import CHOICES, Choice
from benchmarks.harness import Say
from gaaf_gp import Evaluator, GaafError, Individual, Limits, Proxy, evolve, load_data, parse
from gaaf_gp.activations import Behaviour
from gaaf_gp.archive import Archive
from gaaf_gp.errors import listed
from gaaf_gp.evaluation import ArchivedTrainings, FitnessFunction, Record
from gaaf_gp.evaluation.records import OnRecord
from gaaf_gp.search import SearchResult
from gaaf_gp.search.best_so_far import Watched
from gaaf_gp.trees import DEFAULT_LIMITS, Candidate
from gaaf_gp.util.jsonl import Journal
from gaaf_gp.util.provenance import versions
from primitives import gaaf

ARCHIVE, FILE, WORTH = "archive.sqlite", "search.jsonl", "fresh.jsonl"
EVALUATIONS, SEEDS = 100, 10
IMAGE_SIZE = 14
SEEN, FRESH = (0,), (1, 2, 3)
"""Seeds of the trainings that searches see, and of those that measure what they found."""
TOURNAMENT = 4
"""The default of ``evolve()``."""
WIDE = Limits(height=17, size=150)


def cheap_proxy(limit: int | None = None) -> Proxy:
    """Return what searches are measured by; ``limit`` is for tests."""
    return Proxy(load_data(image_size=IMAGE_SIZE, limit=limit))


def default_proxy(limit: int | None = None) -> Proxy:
    """Return what their best are measured by."""
    return Proxy(load_data(limit=limit))


class Timed(Watched):
    """Watches a fitness function, and keeps apart what evaluations take and what the search takes by itself.

    Every search looks at the behaviour of its candidates anew, as it would alone.

    Attributes:
        seconds: processor time of this process within evaluations.
    """

    def __init__(self, fitness_function: FitnessFunction, proxy: Proxy) -> None:
        super().__init__(fitness_function)
        self.seconds = 0.0
        self._proxy = proxy
        self._behaviours: dict[str, Behaviour] = {}

    def evaluate(self, individuals: Sequence[gp.PrimitiveTree], on_record: OnRecord | None = None) -> list[Record]:
        """Return a record for each individual."""
        started = time.process_time()
        try:
            return super().evaluate(individuals, on_record)
        finally:
            self.seconds += time.process_time() - started

    def behaviour(self, individual: gp.PrimitiveTree | Candidate) -> Behaviour:
        """Return how f behaves."""
        text = individual.canonical
        if text not in self._behaviours:
            self._behaviours[text] = self._proxy.behaviour(individual)
        return self._behaviours[text]


def measure(
    folder: Path,
    seeds: int = SEEDS,
    *,
    evaluations: int = EVALUATIONS,
    choices: Sequence[str] = tuple(CHOICES),
    limit: int | None = None,
    workers: int = 1,
    say: Say = print,
) -> list[dict[str, Any]]:
    """Do what the files lack, and return all searches.

    Args:
        folder: of the files.
        seeds: searches of each choice, with the seeds from 0.
        evaluations: of each search.
        choices: names in ``CHOICES``.
        limit: images of both proxies, for tests.
        workers: processes that train.
        say: is told about every search.

    Raises:
        GaafError: a choice is none of a search, or a file was begun with other settings.
        KeyboardInterrupt: a search was interrupted; what it trained is kept.
    """
    unknown = [choice for choice in choices if choice not in CHOICES]
    if unknown:
        raise GaafError(f"a search has one of {listed(CHOICES, len(CHOICES))}, got {unknown[0]!r}: choose one of them")
    pset, proxy, last = gaaf.free(), cheap_proxy(limit), default_proxy(limit)
    notes = {"format": 1, "primitives": pset.name, "versions": versions()}
    settings = {**notes, "evaluations": evaluations, "tournament": TOURNAMENT, "proxy": proxy.settings()}
    with ExitStack() as stack:
        journal = stack.enter_context(Journal(folder / FILE, settings))
        wanted = [(choice, seed) for seed, choice in itertools.product(range(seeds), choices)]
        missing = [one for one in wanted if one not in {_which(entry) for entry in journal.entries}]
        archive = stack.enter_context(Archive(folder / ARCHIVE))
        key = stack.enter_context(archive.running("benchmarks.bloat_search", settings, versions()))
        if missing:
            shared = stack.enter_context(Evaluator(proxy, pset, seeds=SEEN, workers=workers))
            shared.record_in(ArchivedTrainings(archive, proxy, pset, key))
        for number, (choice, seed) in enumerate(missing, 1):
            journal.append({"choice": choice, "seed": seed, **search(shared, CHOICES[choice], seed, evaluations)})
            say(f"search {number} of {len(missing)}: {choice}, seed {seed}; {len(archive)} trainings until now")
        settings = {**settings, "proxy": last.settings(), "seeds": list(FRESH)}
        worth = stack.enter_context(Journal(folder / WORTH, settings))
        untold = [one for one in journal.entries if _which(one) not in {_which(entry) for entry in worth.entries}]
        if untold:
            say(f"the best of {len(untold)} searches again, on seeds {FRESH} of the default proxy")
            fresh = stack.enter_context(Evaluator(last, pset, seeds=FRESH, workers=workers))
            fresh.record_in(ArchivedTrainings(archive, last, pset, key))
            records = fresh.evaluate([parse(entry["text"], pset) for entry in untold])
            for entry, record in zip(untold, records, strict=True):
                worth.append({"choice": entry["choice"], "seed": entry["seed"], "fresh": record.accuracy})
        return joined(journal.entries, worth.entries)


def joined(searches: Sequence[dict[str, Any]], worth: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the searches whose best was trained again, with what it is worth as ``fresh``."""
    fresh = {_which(entry): entry["fresh"] for entry in worth}
    return [{**entry, "fresh": fresh[_which(entry)]} for entry in searches if _which(entry) in fresh]


def _which(entry: dict[str, Any]) -> tuple[str, int]:
    return entry["choice"], entry["seed"]


def search(evaluator: Evaluator, choice: Choice, seed: int, evaluations: int) -> dict[str, Any]:
    """Run one search and return what came of it, fit for JSON.

    Returns:
        ``best``, validation accuracy (0 to 1) of the best as the search saw it, its ``text`` and ``size``;
        ``evaluations``; ``behaviours``, how many different ones; ``rejected``, candidates that cost no evaluation, by
        reason; ``course``, for each generation the evaluations until then and the mean size; ``mean_size``, over all
        generations; ``training_seconds``, wall time of the trainings asked for, wherever they were first needed;
        ``overhead_seconds``, processor time of the search without them.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    course: list[tuple[int, float]] = []

    def watched(found: SearchResult) -> None:
        course.append((len(found.records), statistics.fmean(map(len, found.population))))

    pset = evaluator.pset
    timed = Timed(evaluator, evaluator.proxy)
    started = time.process_time()
    limits = WIDE if choice.wide else DEFAULT_LIMITS
    found = evolve(
        pset,
        timed,
        evaluations=evaluations,
        bloat=choice.make(TOURNAMENT),
        limits=limits,
        seed=seed,
        on_generation=watched,
    )
    seconds = time.process_time() - started - timed.seconds
    if found.interrupted:
        raise KeyboardInterrupt
    best: Individual = found.hall_of_fame[0]
    return {
        "best": best.fitness.values[0],
        "text": best.canonical,
        "size": len(best),
        "evaluations": len(timed.asked),
        "behaviours": len({one.signature for one in timed.asked}),
        "rejected": dict(found.rejected),
        "course": course,
        "mean_size": statistics.fmean(size for _, size in course),
        "training_seconds": sum(record.seconds for record in found.records),
        "overhead_seconds": seconds,
    }
