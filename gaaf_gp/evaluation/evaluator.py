"""Fitness: candidates are evaluated once each, on paired seeds, in as many processes as wanted.

The canonical text of a candidate is its identity, and its behaviour is a second one: trees that train alike share one
training, and those that training could not repair get none. A failed candidate has a declared worst fitness and keeps
its reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import TracebackType

from deap import gp

from gaaf_gp.activations.behaviour import Behaviour
from gaaf_gp.archive import Register
from gaaf_gp.data.load import AnySplit
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.asynchronous import Pipeline, stream
from gaaf_gp.evaluation.cache import ArchivedTrainer, ArchivedTrainings
from gaaf_gp.evaluation.racing import Curve, Racing, race
from gaaf_gp.evaluation.records import Evaluated, OnRecord, Record, evaluate_new, to_train
from gaaf_gp.evaluation.trainer import WORKER_LOST, Job, Trainer
from gaaf_gp.parallel.executors import ExecutorLike
from gaaf_gp.training.outcome import Outcome, check_plain_sign
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.trees.candidate import Candidate
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util.checks import any_seed, different_seeds, whole_number
from gaaf_gp.util.devices import devices_of

__all__ = ["WORKER_LOST", "Evaluator", "OnRecord", "Record"]

AHEAD = 16
"""Candidates on their way in a stream: enough for as many workers, and few enough to be bred from what is known."""


class Evaluator:
    """Evaluates individuals by training them in a proxy; ``evaluator(individual)`` returns DEAP's fitness tuple.

    Extra seeds are the numbers that follow the largest of ``seeds``, the same for all candidates: 1 and 2 after 0. A
    candidate gets the next one where it contests a place, see :func:`gaaf_gp.evaluation.records.contenders`.

    Args:
        proxy: the training task.
        pset: the set that individuals come from.
        seeds: each candidate is trained once per seed, and all candidates on the same seeds.
        workers: number of processes; results are the same for any.
        executor: other workers: an executor of ``concurrent.futures``, a function that makes one, ``"dask"`` for a
            cluster of ``workers`` processes, ``"dask://HOST:PORT"``, or a client of Dask
            (:class:`gaaf_gp.parallel.executors.Workers`).
        devices: where workers train, one after another in turn, such as ``"cuda:0,cuda:1"`` or a sequence; None for
            where the data of the proxy are. Devices of another kind than the data's are refused: results would differ.
        racing: rules by which the new candidates of one call drop out early; None trains all of them in full.
        extra_seeds: most seeds that are added for one candidate.
        places: the last place that lives on in a search (its elite); first place is always contested.
        at_once: candidates that are trained as one stack, see :func:`gaaf_gp.training.stacked.train_stacked`. On a
            GPU, small networks wait for launches, and 32 cost little more than one; with the CPU's compiled kernels
            nothing is stacked. The size of a stack decides how a result is rounded, so stacks are filled up with
            copies.

    Attributes:
        records: canonical text -> record, in the order in which candidates were first given.

    Raises:
        GaafError: without a seed, with repeated seeds, fewer than one worker or place, or a negative number of extra
            seeds.
    """

    def __init__(
        self,
        proxy: Proxy,
        pset: PrimitiveSet,
        *,
        seeds: Sequence[int] = (0,),
        workers: int = 1,
        executor: ExecutorLike | None = None,
        devices: str | Sequence[str] | None = None,
        racing: Racing | None = None,
        extra_seeds: int = 0,
        places: int = 1,
        at_once: int = 1,
    ) -> None:
        if racing is not None:
            racing.resolved(proxy.epochs)  # refuses rungs beyond the schedule
        self.proxy = proxy
        self.pset = pset.check_activations()
        self.seeds = different_seeds(seeds)
        extra_seeds = whole_number("extra_seeds", extra_seeds, 0)
        self.extra = tuple(max(self.seeds) + 1 + place for place in range(extra_seeds))
        self.racing = racing
        self.places = whole_number("places", places)
        self.at_once = whole_number("at_once", at_once)
        self._sound = False  # whether a candidate was trained without failing, or the plain sign was
        self._known = Evaluated(proxy, self.pset, self.seeds, self.extra, self.places)
        self.records = self._known.records
        in_turn = () if devices is None else devices_of(devices)
        if in_turn and not in_turn[0].startswith(proxy.data.device.type):
            raise GaafError(f"devices must be of the kind of the data's, {proxy.data.device}, got {devices!r}")
        self._trainer: Trainer | ArchivedTrainer = Trainer(proxy, pset, workers, self.at_once, executor, in_turn)

    @property
    def workers(self) -> int:
        """Number of processes."""
        return self._trainer.workers

    def __call__(self, individual: gp.PrimitiveTree | Candidate) -> tuple[float]:
        """Return ``(fitness,)`` of one candidate, from memory if it was evaluated before.

        Stock ``gp.PrimitiveTree`` objects made of the set's nodes are welcome too.
        """
        return (self.evaluate([individual])[0].fitness,)

    def behaviour(self, individual: gp.PrimitiveTree | Candidate) -> Behaviour:
        """Return how a candidate behaves in the proxy's network; computed once for each canonical text."""
        return self._known.behaves(self._known.individual(individual))

    def evaluate(
        self, individuals: Sequence[gp.PrimitiveTree | Candidate], on_record: OnRecord | None = None
    ) -> list[Record]:
        """Return a record for each individual, training those that are new, side by side.

        A candidate that training could not repair is not trained, and one that behaves as another takes its record.
        With ``racing`` the new candidates race each other. Then extra seeds are spent; they may change the records of
        earlier candidates too. What was trained in full stays known after an interruption, a race that it broke off
        does not.

        Args:
            individuals: trees, two of them, baselines; any number, duplicates allowed.
            on_record: called once for each new candidate when it is evaluated, in any order.

        Raises:
            GaafError: all candidates that were trained until now failed, and so did the plain sign: the task is at
                fault. It is raised again for the same candidates.
        """
        candidates = [self._known.individual(individual) for individual in individuals]
        evaluate = partial(self._evaluate_new, on_record=on_record or _ignore)
        records = evaluate_new(self.records, candidates, evaluate)
        self._check_task(records)
        return records

    def stream(
        self,
        candidates: Iterable[gp.PrimitiveTree | Candidate],
        on_record: OnRecord | None = None,
        *,
        ahead: int = AHEAD,
        in_order: bool = True,
    ) -> Iterator[Record]:
        """Yield a record for each candidate, drawing the next one whenever fewer than ``ahead`` are on their way.

        So candidates may be bred from what was found until then, and no worker waits for the slowest. Extra seeds are
        spent on the way. Close the generator to give up what is on its way; trainings that had finished stay known.

        Args:
            candidates: the same as for :meth:`evaluate`; it may wait for records that were yielded.
            on_record: called once for each new candidate when it is evaluated.
            ahead: candidates on their way; more than there are workers, so that none idles.
            in_order: whether records come in the order of the candidates, whatever the number of workers, or as they
                arrive, which never waits for a slow one, and cannot be repeated.

        Raises:
            GaafError: if ``ahead`` is below 1, or with ``racing``, which compares the candidates of one call; or the
                first candidate failed, and so did the plain sign.
        """
        ahead = whole_number("ahead", ahead)
        if self.racing is not None:
            raise GaafError(
                "candidates that come one after another cannot race, which a generation does: leave racing out "
                "(--no-racing)"
            )
        line = Pipeline(self._trainer.flow(), self.records, in_order)
        drawn = map(self._known.individual, candidates)
        for record in stream(self._known, line, drawn, ahead, on_record or _ignore):
            self._check_task([record])
            yield record

    def train(
        self,
        individuals: Sequence[gp.PrimitiveTree | Candidate | None],
        seeds: Sequence[int],
        score: AnySplit | None = None,
    ) -> list[list[Outcome]]:
        """Return for each individual (None: plain sign) its outcomes on ``seeds``, without using or filling the memory.

        Args:
            individuals: candidates and baselines; they are trained in full.
            seeds: usually fresh ones, to confirm what a search found.
            score: the split whose accuracy is returned; the validation split by default.
        """
        texts = [None if individual is None else self._text(individual) for individual in individuals]
        seeds = [any_seed(seed) for seed in seeds]
        jobs = [Job(text, seed, score) for text in texts for seed in seeds]
        results = dict(self._run(jobs))
        return [[results[row * len(seeds) + place] for place in range(len(seeds))] for row in range(len(texts))]

    def _evaluate_new(self, new: Mapping[str, Candidate], on_record: OnRecord) -> None:
        memory = self._known
        behaviours = {text: memory.behaves(candidate) for text, candidate in new.items()}
        fresh, twins = to_train(behaviours, memory.first, partial(memory.reject, on_record=on_record))
        try:
            self._compete(list(fresh.values()), on_record)
        finally:
            memory.first.update((signature, text) for signature, text in fresh.items() if text in self.records)
        for text, first in twins.items():
            memory.share(text, first, on_record)
        if self.extra:
            self._add_seeds()

    def _check_task(self, records: Sequence[Record]) -> None:
        """Where all that were trained have failed, train the plain sign: what fails for it is the task's fault.

        Raises:
            GaafError: it failed too.
        """
        failures = [record.failure for record in records if record.outcomes]
        if self._sound or not failures:
            return
        if None not in failures:
            check_plain_sign(self.train([None], self.seeds[:1])[0])
        self._sound = True

    def _compete(self, texts: list[str], on_record: OnRecord) -> None:
        """Train new candidates that behave differently, all in full or in a race."""
        saved: dict[str, list[Outcome]] = {}
        if self.racing is None or not texts:
            self._advance(texts, None, saved, on_record)
            return
        reached = race(
            self.racing,
            texts,
            self.proxy.epochs,
            lambda names, epochs: self._advance(names, epochs, saved, on_record),
            self._known.memory.finished,
        )
        dropped = [self._known.record_of(text, saved[text]) for text in reached if text not in self.records]
        for record in self._known.memory.end_race(reached, dropped, self.places):
            on_record(record)

    def _advance(
        self, texts: list[str], epochs: int | None, saved: dict[str, list[Outcome]], on_record: OnRecord
    ) -> dict[str, Curve]:
        """Train candidates up to an epoch and keep those that are finished or failed; return the others' curves too."""
        jobs = [
            Job(text, seed, epochs=epochs, saved=saved[text][place].state if text in saved else None)
            for text in texts
            for place, seed in enumerate(self.seeds)
        ]
        waiting: dict[str, dict[int, Outcome]] = {text: {} for text in texts}
        curves: dict[str, Curve] = {}
        for index, outcome in self._run(jobs):
            text = texts[index // len(self.seeds)]
            waiting[text][outcome.seed] = outcome
            if len(waiting[text]) < len(self.seeds):
                continue
            saved[text] = [waiting[text][seed] for seed in self.seeds]
            record = self._known.record_of(text, saved[text])
            if record.failure is None:
                curves[text] = record.curve
            if record.complete:
                # At once: what is evaluated stays so even if the rest is interrupted.
                self._known.keep(record, on_record)
        return curves

    def _add_seeds(self) -> None:
        """Train contenders on one more seed each, those with the fewest first, until no place is contested."""
        order = (self.seeds + self.extra).index
        while wanted := self._known.wanted():
            fewest = min((job.seed for job in wanted), key=order)
            jobs = [job for job in wanted if job.seed == fewest]
            try:
                for index, outcome in self._run(jobs):
                    self._known.add(str(jobs[index].text), outcome)
            except BaseException:
                self._known.memory.revalue()
                raise

    def _run(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Outcome]]:
        yield from self._trainer.run(jobs)

    def _text(self, tree: gp.PrimitiveTree | Candidate) -> str:
        return self._known.individual(tree).canonical

    def record_in(self, trainings: ArchivedTrainings) -> None:
        """From now on ask an archive before anything is trained, and write every training down as it arrives.

        Args:
            trainings: of this proxy and set.

        Raises:
            GaafError: it records in an archive already.
        """
        if not isinstance(self._trainer, Trainer):
            raise GaafError("an Evaluator records in one archive at a time, got a second one: make another Evaluator")
        self._trainer = ArchivedTrainer(self._trainer, trainings, self._known.signature)
        self._known.trainings = trainings

    @property
    def register(self) -> Register | None:
        """What a search writes its births and generations to; None without an archive."""
        trainings = self._known.trainings
        return None if trainings is None else trainings.register

    def recalled(self, record: Record) -> bool:
        """Return whether nothing was trained for a record, because an archive had all of its outcomes."""
        trainer, text = self._trainer, record.same_as or record.text
        return isinstance(trainer, ArchivedTrainer) and bool(record.outcomes) and text not in trainer.trained

    def stop(self) -> None:
        """End the worker processes at once; the trainings in them are lost."""
        self._trainer.stop()

    def close(self) -> None:
        """Let the worker processes finish what they train, and end them."""
        self._trainer.close()

    def __enter__(self) -> Evaluator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _ignore(_record: Record) -> None:
    pass
