"""Fitness over several training tasks: a function that wins in one network only does not win here."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType

from deap import gp

from gaaf_gp.activations.behaviour import Behaviour
from gaaf_gp.archive import Register
from gaaf_gp.data.load import AnySplit
from gaaf_gp.errors import GaafError, listed
from gaaf_gp.evaluation.cache import ArchivedTrainings
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.evaluation.racing import Racing, ceilings, race
from gaaf_gp.evaluation.records import OnRecord, Record, as_candidate, evaluate_new, to_train
from gaaf_gp.parallel.executors import ExecutorLike
from gaaf_gp.statistics import standard_error
from gaaf_gp.training.outcome import WORST_ACCURACY, Outcome, check_plain_sign
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.trees.candidate import Candidate
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util.checks import whole_number

NOISE_SEEDS = 5
"""Trainings of the plain sign that measure the noise of a task."""

LEAST = 1e-9
"""Fitness of a candidate that did not fail, at least: one that failed ranks below all others."""


@dataclass(frozen=True)
class Scale:
    """What the plain sign reaches in each task, and the unit in which differences to it are counted.

    The fitness of accuracies a_t in tasks t is A + H mean_t((a_t - s_t) / n_t), where s_t is the accuracy of the plain
    sign on the same seeds and n_t the noise of the task; H is the harmonic mean of the n_t, and A the mean of the s_t
    with weights 1/n_t. So it ranks by the mean paired difference to the plain sign in units of noise, and reads as an
    accuracy: over all tasks it is the mean of the a_t with weights 1/n_t.

    Attributes:
        sign: accuracy of the plain sign in each task, the mean over the search's seeds (0 to 1).
        noise: standard deviation of the accuracy of one training over seeds, in each task (0 to 1, above 0).
    """

    sign: tuple[float, ...]
    noise: tuple[float, ...]

    def fitness(self, accuracies: Sequence[float]) -> float:
        """Return the fitness of the accuracies in the first tasks, one or more, as if the others agreed with them."""
        centre = statistics.fmean(self.sign, weights=[1 / noise for noise in self.noise])
        return centre + statistics.harmonic_mean(self.noise) * statistics.fmean(self.differences(accuracies))

    def differences(self, accuracies: Sequence[float]) -> tuple[float, ...]:
        """Return the difference to the plain sign in each of the first tasks, in units of noise."""
        return tuple((own - sign) / noise for own, sign, noise in zip(accuracies, self.sign, self.noise, strict=False))


class Panel:
    """Evaluates individuals in several tasks; ``panel(individual)`` returns DEAP's fitness tuple.

    It is a :class:`~gaaf_gp.evaluation.FitnessFunction`, as :class:`~gaaf_gp.Evaluator` is, and stands in its place in
    ``evolve`` and in a toolbox. The fitness is the mean over the tasks of the difference to the plain sign in units of
    the task's noise, on a scale that reads as an accuracy: see :class:`Scale`. With one task it is the accuracy there.
    Each task's own accuracy is in :attr:`~gaaf_gp.evaluation.Record.tasks`. A candidate that fails in one task fails.

    With ``race`` all new candidates of one call are trained in the first task, and only the best share of them in the
    next, so give the cheapest task first. A race changes no accuracy: what dropped out just has none in later tasks,
    and never ranks above one that went further. ``panel.objectives(individual)`` returns the tasks' accuracies
    one by one, for DEAP's NSGA-II; a task that was not reached counts 0.

    Args:
        tasks: name -> training task, cheapest first.
        pset: the set that individuals come from.
        seeds: each candidate is trained once per seed and task.
        workers: number of processes of each task, which work one task after another; results are the same for any.
        executor: as of :class:`~gaaf_gp.Evaluator`.
        devices: as there.
        race: share of the new candidates of a call that goes on to the next task, above 0 and below 1; None for all.
        noise_seeds: trainings of the plain sign in each task, from which its noise is estimated, at least 2. They have
            the seeds that follow the largest of ``seeds``.

    Attributes:
        records: canonical text -> record, in the order in which candidates were first given.
        extra: no seeds: none are added.

    Raises:
        GaafError: without a task, or for an argument out of its range.
    """

    extra: tuple[int, ...] = ()

    def __init__(
        self,
        tasks: Mapping[str, Proxy],
        pset: PrimitiveSet,
        *,
        seeds: Sequence[int] = (0,),
        workers: int = 1,
        executor: ExecutorLike | None = None,
        devices: str | Sequence[str] | None = None,
        race: float | None = None,
        noise_seeds: int = NOISE_SEEDS,
    ) -> None:
        if not isinstance(tasks, Mapping) or not tasks:
            raise GaafError(f"a panel needs one or more tasks by name, got {tasks!r}: give {{'thin': Proxy(...), ...}}")
        wrong = [name for name, proxy in tasks.items() if not isinstance(proxy, Proxy)]
        if wrong:
            raise GaafError(
                f"each task of a panel must be a Proxy, which {listed(wrong)} is not: pass Proxy(data, ...)"
            )
        steps = tuple(range(1, len(tasks)))
        self.racing = None if race is None or not steps else Racing(rungs=steps, keep=race)
        self.tasks = dict(tasks)
        self.pset = pset.check_activations()
        self.records: dict[str, Record] = {}
        self.evaluators = {
            name: Evaluator(proxy, pset, seeds=seeds, workers=workers, executor=executor, devices=devices)
            for name, proxy in tasks.items()
        }
        self.seeds = self._last.seeds
        number = whole_number("noise_seeds", noise_seeds, 2)
        self._noise_seeds = tuple(max(self.seeds) + 1 + place for place in range(number))
        self._scale: Scale | None = None
        self._first: dict[str, str] = {}

    @property
    def _last(self) -> Evaluator:
        return list(self.evaluators.values())[-1]

    @property
    def proxy(self) -> Proxy:
        """The last task, in which a winner is confirmed."""
        return self._last.proxy

    @property
    def workers(self) -> int:
        """Number of processes of each task."""
        return self._last.workers

    @property
    def scale(self) -> Scale:
        """What the plain sign reaches, and the noise; measured when it is first asked for.

        The noise of a task is the standard deviation of the plain sign's accuracy over ``noise_seeds``, and at least
        the error of counting: sqrt(p (1 - p) / images), or 1 / images where that is 0.

        Raises:
            GaafError: the plain sign fails in a task.
        """
        if self._scale is None:
            measured = [self._measured(name) for name in self.evaluators]
            self._scale = Scale(tuple(sign for sign, _ in measured), tuple(noise for _, noise in measured))
        return self._scale

    def _measured(self, name: str) -> tuple[float, float]:
        evaluator = self.evaluators[name]
        outcomes = evaluator.train([None], (*self.seeds, *self._noise_seeds))[0]
        check_plain_sign(outcomes, name)
        accuracies = [outcome.accuracy for outcome in outcomes]
        sign = statistics.fmean(accuracies[: len(self.seeds)])
        images = len(evaluator.proxy.data.val)
        counting = max((sign * (1 - sign) / images) ** 0.5, 1 / images)
        return sign, max(statistics.stdev(accuracies[len(self.seeds) :]), counting)

    def __call__(self, individual: gp.PrimitiveTree | Candidate) -> tuple[float]:
        """Return ``(fitness,)`` of one candidate, from memory if it was evaluated before."""
        return (self.evaluate([individual])[0].fitness,)

    def objectives(self, individual: gp.PrimitiveTree | Candidate) -> tuple[float, ...]:
        """Return the accuracy in each task (0 to 1), for selection by several objectives; 0 in all if it failed."""
        reached = dict(self.evaluate([individual])[0].tasks)
        return tuple(reached.get(name, WORST_ACCURACY) for name in self.tasks)

    def behaviour(self, individual: gp.PrimitiveTree | Candidate) -> Behaviour:
        """Return how a candidate behaves: alike where it behaves alike in all tasks, and failed where it fails in one.

        The orientation is that of the last task.
        """
        measured = [evaluator.behaviour(individual) for evaluator in self.evaluators.values()]
        failed = [behaviour for behaviour in measured if behaviour.failure is not None]
        if failed or len({behaviour.signature for behaviour in measured}) == 1:
            return (failed or measured)[-1]
        joined = "\n".join(behaviour.signature for behaviour in measured)
        return replace(measured[-1], signature=hashlib.sha256(joined.encode()).hexdigest())

    def evaluate(
        self, individuals: Sequence[gp.PrimitiveTree | Candidate], on_record: OnRecord | None = None
    ) -> list[Record]:
        """Return a record for each individual, training those that are new; see :meth:`gaaf_gp.Evaluator.evaluate`."""
        candidates = [as_candidate(individual, self.pset) for individual in individuals]
        return evaluate_new(self.records, candidates, partial(self._evaluate_new, on_record=on_record or _ignore))

    def train(
        self,
        individuals: Sequence[gp.PrimitiveTree | Candidate | None],
        seeds: Sequence[int],
        score: AnySplit | None = None,
    ) -> list[list[Outcome]]:
        """Return for each individual its outcomes on ``seeds``, over all tasks, without using or filling the memory.

        Args:
            individuals: candidates and baselines; None for the plain sign.
            seeds: usually fresh ones.
            score: the split whose accuracy is returned, in the last task alone; by default the fitness of the
                validation splits of all tasks.
        """
        if score is not None:
            return self._last.train(individuals, seeds, score)
        trained = [evaluator.train(individuals, seeds) for evaluator in self.evaluators.values()]
        return [
            [self._joined([rows[row][place] for rows in trained]) for place in range(len(seeds))]
            for row in range(len(individuals))
        ]

    def _evaluate_new(self, new: Mapping[str, Candidate], on_record: OnRecord) -> None:
        def reject(text: str, failure: str) -> None:
            self._keep(Record(text, WORST_ACCURACY, (), failure, fidelity=0.0), on_record)

        behaviours = {text: self.behaviour(candidate) for text, candidate in new.items()}
        fresh, twins = to_train(behaviours, self._first, reject)
        try:
            self._compete({text: new[text] for text in fresh.values()}, on_record)
        finally:
            self._first.update((signature, text) for signature, text in fresh.items() if text in self.records)
        for text, first in twins.items():
            self._keep(replace(self.records[first], text=text, same_as=first), on_record)

    def _compete(self, fresh: Mapping[str, Candidate], on_record: OnRecord) -> None:
        """Train candidates that behave differently, task by task; those that drop out on the way come last."""
        if not fresh:
            return
        names, scale = list(self.evaluators), self.scale
        results: dict[str, list[Record]] = {text: [] for text in fresh}

        def arrived(record: Record, place: int) -> None:
            reached = results[record.text]
            if len(reached) == place:
                reached.append(record)
                if len(reached) == len(names) or record.failure:
                    self._keep(self._record(record.text, reached), on_record)  # at once: Ctrl-C may come

        def advance(texts: list[str], last: int) -> dict[str, list[float]]:
            for place in range(len(results[texts[0]]), last):
                alive = [fresh[text] for text in texts if not (results[text] and results[text][-1].failure)]
                for record in self.evaluators[names[place]].evaluate(alive, partial(arrived, place=place)):
                    arrived(record, place)
            return {
                text: [
                    scale.fitness([record.accuracy for record in results[text][: place + 1]]) for place in range(last)
                ]
                for text in texts
                if results[text][-1].failure is None
            }

        whole = Racing(rungs=(len(names),)) if self.racing is None else self.racing
        reached = race(whole, list(fresh), len(names), advance)
        records = {text: self._record(text, results[text]) for text in reached}
        limits = ceilings(reached, {text: record.accuracy for text, record in records.items()})
        for text, record in records.items():
            if text not in self.records:
                self._keep(replace(record, value=min(record.accuracy, limits[text])), on_record)

    def _record(self, text: str, results: Sequence[Record]) -> Record:
        """Return the record of what a candidate reached in the first tasks, one or more."""
        accuracies = [record.accuracy for record in results]
        tasks = tuple(zip(self.tasks, accuracies, strict=False))
        outcomes = tuple(self._joined(list(parts)) for parts in zip(*(r.outcomes for r in results), strict=True))
        failure = results[-1].failure
        if failure is not None:
            return Record(text, WORST_ACCURACY, outcomes, failure, tasks=tasks)
        error = standard_error([outcome.accuracy for outcome in outcomes])
        share = len(results) / len(self.tasks)
        value = max(self.scale.fitness(accuracies), LEAST)
        return Record(text, value, outcomes, None, error, share, tasks=tasks)

    def _joined(self, outcomes: Sequence[Outcome]) -> Outcome:
        """Return the outcomes of one seed in the first tasks as one, whose accuracy is the fitness."""
        seconds = sum(outcome.seconds for outcome in outcomes)
        failure = next((outcome.failure for outcome in outcomes if outcome.failure), None)
        if failure is not None:
            return Outcome(outcomes[0].seed, WORST_ACCURACY, (), seconds, failure)
        return Outcome(outcomes[0].seed, self.scale.fitness([outcome.accuracy for outcome in outcomes]), (), seconds)

    def _keep(self, record: Record, on_record: OnRecord) -> None:
        if record.text not in self.records:
            self.records[record.text] = record
            on_record(record)

    def record_in(self, trainings: Mapping[str, ArchivedTrainings]) -> None:
        """From now on ask an archive before anything is trained, see :meth:`gaaf_gp.Evaluator.record_in`.

        Args:
            trainings: those of each task, by its name.
        """
        for name, evaluator in self.evaluators.items():
            evaluator.record_in(trainings[name])

    @property
    def register(self) -> Register | None:
        """What a search writes its births and generations to; None without an archive."""
        return self._last.register

    def recalled(self, record: Record) -> bool:
        """Return whether nothing was trained for a record, because an archive had all of it."""
        named = [(self.evaluators[name], name) for name, _ in record.tasks]
        return bool(named) and all(
            evaluator.recalled(evaluator.records[record.same_as or record.text]) for evaluator, _ in named
        )

    def stop(self) -> None:
        """End the worker processes at once; the trainings in them are lost."""
        for evaluator in self.evaluators.values():
            evaluator.stop()

    def close(self) -> None:
        """Let the worker processes finish what they train, and end them."""
        for evaluator in self.evaluators.values():
            evaluator.close()

    def __enter__(self) -> Panel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _ignore(_record: Record) -> None:
    pass
