"""A run as its archive has it: what was judged, who was bred of whom, and who was in the population."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from gaaf_gp.archive import VALIDATION, Archive, Birth, Evaluation, Generation, Register, Run, RunEntry
from gaaf_gp.errors import GaafError, one_line
from gaaf_gp.evaluation.records import Memory, Record, record_of
from gaaf_gp.experiments import resume, run_folder
from gaaf_gp.experiments.explanation import EXPLANATION
from gaaf_gp.experiments.run_result import RunResult
from gaaf_gp.training.outcome import WORST_ACCURACY, Outcome
from gaaf_gp.trees.candidate import MARK, PLAIN_SIGN, Candidate, TwoTrees, parse_candidate
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util.files import read_mapping


def to_records(entries: Sequence[RunEntry], config: Mapping[str, Any]) -> dict[str, Record]:
    """Return text -> record, in the order in which the candidates were first answered.

    Errors and fitness are those that all trainings together give: what extra seeds changed is in them. What ranks below
    others only because it left a race earlier has its plain accuracy.

    Args:
        entries: of one run, on the split of the search.
        config: of the run.
    """
    outcomes: dict[str, dict[int, Outcome]] = {}
    rejected: dict[str, str | None] = {}
    trained_as: dict[str, str] = {}
    whole = 0
    for entry in entries:
        outcomes_here = outcomes.setdefault(entry.text, {})
        if entry.evaluation is None:
            rejected[entry.text] = entry.failure
            continue
        evaluation = entry.evaluation
        whole = max(whole, round(evaluation.epochs / evaluation.fidelity))
        outcome = evaluation.outcome(entry.epochs)
        before = outcomes_here.get(evaluation.seed)
        if before is None or outcome.failure or outcome.epochs >= before.epochs:
            outcomes_here[evaluation.seed] = outcome
        trained_as[entry.text] = evaluation.text
    records: dict[str, Record] = {}
    for text, by_seed in outcomes.items():
        if not by_seed:
            records[text] = Record(text, WORST_ACCURACY, (), rejected[text], fidelity=0.0)
        else:
            records[text] = record_of(text, list(by_seed.values()), whole)
    return _revalued(records, trained_as, config)


def _revalued(
    records: dict[str, Record], trained_as: Mapping[str, str], config: Mapping[str, Any]
) -> dict[str, Record]:
    """Let the records know of each other: whose training is whose, and what the seeds did to all."""
    order = list(records)
    first = next((record.outcomes[0].seed for record in records.values() if record.outcomes), config.get("seed"))
    memory = Memory(records, [first] if isinstance(first, int) else [])
    for text, source in trained_as.items():
        if source != text and source in records:
            memory.add_twin(text, source)
    memory.revalue()
    return {text: records[text] for text in order}


def search_texts(
    entries: Sequence[RunEntry],
    births: Sequence[Birth],
    result: RunResult | None,
    config: Mapping[str, Any],
) -> Collection[str]:
    """Return the texts that the search itself judged, and not random search after it.

    Those are the ones that were born in it. A search without a register has as many as ``result.json`` counts or, while
    it goes on, as its settings allow, and they come first.
    """
    if births:
        return {birth.text for birth in births}
    texts = list(dict.fromkeys(entry.text for entry in entries))
    budget = config.get("evaluations") if result is None else result.evaluations
    number = budget if isinstance(budget, int) else len(texts)
    return set(texts[:number])


@dataclass(frozen=True)
class Place:
    """Where a run is.

    Attributes:
        folder: of its files; that of the archive if there is nothing but that.
        archive: the file of its trainings.
        config: what ``config.json`` holds, empty without one.
        key: of the run in the archive, or the beginning of it; None for the one that began last.
    """

    folder: Path
    archive: Path
    config: Mapping[str, Any]
    key: str | None

    @property
    def files(self) -> tuple[Path, ...]:
        """What changes when the run goes on."""
        log = self.archive.with_name(self.archive.name + "-wal")
        names = (run_folder.CONFIG, run_folder.RESULT, EXPLANATION)
        return self.archive, log, *(self.folder / name for name in names)


def find_run(path: Path, key: str | None = None) -> Place:
    """Return where a run is.

    Args:
        path: its folder, or an archive.
        key: of the run, or enough of its beginning; by default that of ``config.json``, or the last of the archive.

    Raises:
        GaafError: there is neither, or no archive yet.
    """
    if path.is_file():
        return Place(path.parent, path, {}, key)
    if not path.is_dir():
        raise GaafError(f"there is no folder {path}: give that of a run, which gaaf-gp evolve --out makes")
    config = resume.read_config(path) if (path / run_folder.CONFIG).exists() else {}
    archive, own = archive_of(path, config), config.get(resume.RUN)
    if archive is None:
        raise GaafError(
            f"a run must have its archive, and {path} has no {run_folder.ARCHIVE} (yet): wait until it has begun, or "
            "give the path of the archive"
        )
    return Place(path, archive, config, key or (own if isinstance(own, str) else None))


def archive_of(folder: Path, config: Mapping[str, Any]) -> Path | None:
    """Return the file of a run's trainings, None if there is none; it may have moved together with the folder."""
    named = config.get("archive")
    candidates = [Path(named), folder / named, folder / Path(named).name] if isinstance(named, str) and named else []
    return next((path for path in (*candidates, folder / run_folder.ARCHIVE) if path.is_file()), None)


def read_result(folder: Path) -> RunResult | None:
    """Return the result of a run, None while it has none.

    Raises:
        GaafError: ``result.json`` is damaged.
    """
    path = folder / run_folder.RESULT
    try:
        content = read_mapping(path, "results")
    except FileNotFoundError:
        return None
    try:
        return RunResult.from_json(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise GaafError(
            f"{path} must hold the results of a run of gaaf-gp evolve, and reading them ended with {one_line(error)}: "
            "restore a copy"
        ) from error


@dataclass(frozen=True)
class About:
    """What is known of a candidate without its set.

    Attributes:
        formula: as a person writes it; the canonical text where nobody wrote one down.
        size: number of nodes, None if it is not known, as are the next two.
        height: in edges.
        cost: in additions per element.
    """

    formula: str
    size: int | None = None
    height: int | None = None
    cost: float | None = None


@dataclass(frozen=True)
class RunData:
    """A run, read at one moment.

    Attributes:
        place: where it is.
        run: of the archive: key, command, settings, versions, status.
        result: what it found; None while it has no result.
        pset: the set of its candidates; None where it may not be loaded: then there are no trees, only texts.
        records: what the search judged, in order, text by text; seeds added later are in them.
        drawn: the same of random search, without what the search had before.
        sign: validation accuracy of the plain sign for each seed.
        sign_curves: seed -> the same after each epoch.
        known: text -> one of its trainings that tells about it; of a twin, that of its first.
        tested: trainings scored on another split than that of the search, such as the test split.
        births: see :class:`gaaf_gp.archive.Birth`; none of a search that keeps no register.
        generations: see :class:`gaaf_gp.archive.Generation`.
        last: when the last training was written down, UTC in ISO format; empty before the first.
    """

    place: Place
    run: Run
    result: RunResult | None
    pset: PrimitiveSet | None
    records: Mapping[str, Record]
    drawn: Mapping[str, Record]
    sign: Mapping[int, float]
    sign_curves: Mapping[int, tuple[float, ...]]
    known: Mapping[str, Evaluation]
    tested: tuple[Evaluation, ...]
    births: tuple[Birth, ...]
    generations: tuple[Generation, ...]
    last: str
    _parsed: dict[str, Candidate | None] = field(default_factory=dict, repr=False, compare=False)

    @property
    def config(self) -> Mapping[str, Any]:
        """The settings that the run began with."""
        return self.run.config

    @property
    def epochs(self) -> int | None:
        """Epochs of a training in full, None if no training tells."""
        whole = [round(evaluation.epochs / evaluation.fidelity) for evaluation in self.known.values()]
        return max(whole, default=None)

    @property
    def baseline(self) -> float | None:
        """Validation accuracy of the plain sign on the seeds that every candidate has."""
        return next(iter(self.sign.values()), None)

    def sign_beside(self, record: Record) -> float | None:
        """Return the mean accuracy of the plain sign on the seeds of a record, None if one of them is missing."""
        seeds = record.by_seed
        return (
            sum(self.sign[seed] for seed in seeds) / len(seeds) if seeds and seeds.keys() <= self.sign.keys() else None
        )

    @cached_property
    def ranked(self) -> list[Record]:
        """All records of the search: those trained in full, best first; those that were not, best first; failures."""
        return sorted(
            self.records.values(), key=lambda record: (record.failure is not None, not record.complete, -record.fitness)
        )

    @property
    def best(self) -> Record | None:
        """The best that was trained in full, None before there is one."""
        first = self.ranked[0] if self.ranked else None
        return first if first is not None and first.failure is None and first.complete else None

    @property
    def budget(self) -> int | None:
        """Evaluations that the search may spend, None if that is not known."""
        budget = self.config.get("evaluations")
        return budget if isinstance(budget, int) else None

    def candidate(self, text: str) -> Candidate | None:
        """Return what a text says, None where the set is not known or cannot read it."""
        if text not in self._parsed:
            try:
                self._parsed[text] = None if self.pset is None else parse_candidate(text, self.pset)
            except GaafError:
                self._parsed[text] = None
        return self._parsed[text]

    def evolved(self, text: str) -> Individual | TwoTrees | None:
        """Return the tree or the two trees of a text, None for all else."""
        candidate = self.candidate(text)
        return candidate if isinstance(candidate, Individual | TwoTrees) else None

    def about(self, text: str) -> About:
        """Return formula and sizes of a candidate: of its tree, or else as they were written down."""
        tree = self.evolved(text)
        if tree is not None:
            return About(tree.infix(), tree.size, tree.height, tree.cost)
        evaluation = self.known.get(text)
        if evaluation is None or evaluation.text != text:
            return About("x" if text == PLAIN_SIGN else text)
        size, height, cost = (_finite(evaluation.metrics.get(name)) for name in ("nodes", "height", "cost"))
        return About(
            evaluation.formula or text,
            None if size is None else int(size),
            None if height is None else int(height),
            cost,
        )


def run_of(place: Place) -> Run:
    """Return the run itself: its settings, and what became of it.

    Raises:
        GaafError: as :func:`read_run`.
    """
    with Archive(place.archive, readonly=True, verify=False) as archive:
        return _run(archive, place)


def read_run(place: Place, pset: PrimitiveSet | None = None, *, verify: bool = True) -> RunData:
    """Read a run; a process that writes to it is not disturbed.

    Args:
        place: where it is.
        pset: the set of its candidates, if it may be loaded.
        verify: look through the whole archive for damage first.

    Raises:
        GaafError: the archive is damaged or of another version, has no run or not this one, or ``result.json`` cannot
            be read.
    """
    with Archive(place.archive, readonly=True, verify=verify) as archive:
        run = _run(archive, place)
        entries = list(archive.history(run.key))
        register = Register(archive, run.key)
        births, generations = tuple(register.births()), tuple(register.generations())
    result = read_result(place.folder) if place.config else None  # beside an archive alone may lie another run's
    seen = [entry for entry in entries if entry.evaluation is None or entry.evaluation.split == VALIDATION]
    trained = [entry for entry in seen if not entry.text.startswith(MARK) or "|" in entry.text]
    searched = search_texts(trained, births, result, run.config)
    numbers = {birth.text: birth.number for birth in births}
    records = to_records(trained, run.config)
    return RunData(
        place,
        run,
        result,
        pset,
        dict(
            sorted(
                ((t, record) for t, record in records.items() if t in searched),
                key=lambda pair: numbers.get(pair[0], 0),
            )
        ),
        {text: record for text, record in records.items() if text not in searched},
        *_sign(seen),
        {entry.text: entry.evaluation for entry in trained if entry.evaluation is not None},
        tuple(
            entry.evaluation
            for entry in entries
            if entry.evaluation is not None and entry.evaluation.split != VALIDATION
        ),
        births,
        generations,
        max((entry.evaluation.created for entry in entries if entry.evaluation is not None), default=""),
    )


def _run(archive: Archive, place: Place) -> Run:
    runs = archive.runs()
    if not runs:
        raise GaafError(f"{place.archive} must hold a run, and it holds none (yet): wait until one has begun")
    return runs[-1] if place.key is None else archive.run(place.key)


def _sign(entries: list[RunEntry]) -> tuple[dict[int, float], dict[int, tuple[float, ...]]]:
    values, curves = {}, {}
    for entry in entries:
        if entry.text == PLAIN_SIGN and entry.evaluation is not None and entry.evaluation.failure is None:
            values[entry.evaluation.seed] = entry.evaluation.accuracy
            curves[entry.evaluation.seed] = entry.evaluation.curve
    return values, curves


def _finite(value: float | None) -> float | None:
    return value if value is not None and abs(value) < 1e12 else None  # NaN is not
