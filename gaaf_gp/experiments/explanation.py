"""Why a function wins over the plain sign: its threshold, the shape of its slope, or the scale of its slope.

A binary layer uses two things of f: its sign, and its windowed slope s_f, which is the surrogate derivative of the sign
at f(x) times f'(x). The plain sign has sign(x) and s_x. Three factors at two levels each lead from it to f:

- threshold: sign(x), or sign(f(x)), where f changes its sign;
- slope shape: flat, as s_x, or that of s_f;
- slope scale: a mean slope as that of s_x, or as that of s_f, which is ``scale`` = E|s_f| / E|s_x| times as much.

All 2 x 2 x 2 = 8 cells are trained on the same seeds. A cell is a forward tree, whose sign is taken, and a backward
tree, whose windowed slope is:

    shape   scale 1        scale m
    flat    s_x            m s_x
    of f    s_f / m        s_f

The cell (sign(x), flat, 1) is the plain sign and (sign(f), of f, m) is f itself, so that the gain of f is the
difference of two cells. Of two trees f and g it is s_g that takes the place of s_f. If f(1) is negative, -x stands for
x, because then f trains as -f with negated weights.

The mean is over x ~ N(0, 1), at 10,000 quantiles: what a batch norm gives a layer before its own scale and shift are
learned. It does not depend on data or on a network. :func:`gaaf_gp.training.layer_inputs.layer_inputs` measures what
layers really see. The window belongs to the shape: 2x has half the window of x, and x - 0.7 has a shifted one, so with
a window both have another shape than x; with an infinite window 2x differs in its scale only, and x - 0.7 in its
threshold only. The slope is multiplied after the window, and the window stays where it is.

Effects are contrasts of the eight accuracies of a seed, see :mod:`gaaf_gp.experiments.factorial`: a main effect is the
mean difference between the levels of its factor. From this follows, exactly:

    gain of f = threshold + slope shape + slope scale + interaction of all three

Each effect has Student's 95 % interval over the seeds, and a p-value that is corrected for all effects that are tested
(Holm). Cells that behave alike (equal signatures) are trained once; an effect in which they cancel is zero by
construction, and not tested.

What to expect of the scale: Adam divides a gradient by its own size, so that a factor which all gradients of a weight
share has no effect but for rounding and Adam's epsilon. The slope of a layer multiplies the gradients of everything
below it by about the same factor, so in a plain chain of layers scale should do nothing. With shortcuts it can: there
the gradient is a sum over paths through different numbers of signs, and the scale weighs those paths against each
other.

Learnable operators learn in every cell by themselves, from the same start. Forward and backward tree have their own
copies, as two trees always do. Where both are of f, the copies start alike and get the same gradients, so that they
stay alike. Where only the backward tree is of f, its vectors get the gradients that they would get in a forward tree,
though no sign depends on them. The scale is that of the vectors at their start. So for such functions the effects tell
of the function that learns, and not of the one that was learned.
"""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from gaaf_gp.activations.behaviour import OUT_OF_MEMORY, behaviour
from gaaf_gp.binary import Surrogate, windowed_slope
from gaaf_gp.data.load import AnySplit, open_test_split
from gaaf_gp.errors import GaafError, listed, one_line
from gaaf_gp.evaluation.cache import split_name
from gaaf_gp.evaluation.trainer import WORKER_LOST, Job, Trainer
from gaaf_gp.experiments.confirm import Gain, gain_from
from gaaf_gp.experiments.factorial import CELLS, EFFECTS, FACTORS, LEVELS, PLAIN, WHOLE, Effect, Levels, estimate
from gaaf_gp.training.outcome import Outcome, check_plain_sign
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.trees.candidate import (
    PLAIN_SIGN,
    SEPARATOR,
    Candidate,
    TwoTrees,
    identity,
    parse_candidate,
    text_of,
)
from gaaf_gp.trees.compile import Activation
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util.checks import different_seeds, number, positive_number, whole_number
from gaaf_gp.util.console import EpochProgress, Show
from gaaf_gp.util.devices import gradients
from gaaf_gp.util.files import finite, read_mapping, replacing
from gaaf_gp.util.jsonl import Journal
from gaaf_gp.util.provenance import versions
from gaaf_gp.util.text import signed

EXPLANATION, JOURNAL = "explain.json", "explain.jsonl"
"""Files of a folder: the explanation, and the trainings that have ended."""
FORMAT = 1
POINTS = 10_000
"""Quantiles of N(0, 1) that a mean slope is over."""
LARGEST_SCALE = 1e30
"""Of a mean slope, and its inverse the least one: more than that and a slope leaves the range of bfloat16."""


@dataclass(frozen=True)
class Cell:
    """One of the eight combinations.

    Attributes:
        threshold: "sign(x)" or "sign(f)".
        shape: of the slope, "flat" or "of f".
        scale: of the slope, "1" or "m".
        text: what was trained, the plain sign as ``@sign``; equal texts share their trainings.
        accuracies: for each seed, 0 to 1; None where the training failed.
        mean: of those that did not fail, None if all did.
        failures: reasons, each once.
    """

    threshold: str
    shape: str
    scale: str
    text: str
    accuracies: tuple[float | None, ...]
    mean: float | None
    failures: tuple[str, ...]


@dataclass(frozen=True)
class Explanation:
    """What makes the gain of a function over the plain sign; accuracies and effects from -1 to 1.

    Attributes:
        text: canonical text of the function.
        infix: formula.
        learns: whether it has learnable operators, see the module.
        plain_slope: mean windowed slope of x over N(0, 1).
        slope: the same of f, of two trees of the backward one.
        split: whose accuracy it is, "test" or "validation".
        proxy: settings of the training task.
        seeds: of every cell.
        complete: those on which no training failed, which all effects are of.
        cells: all eight, the plain sign first and f last.
        gain: f minus the plain sign, not corrected.
        effects: seven, those of single factors first; p-values are corrected for all that are tested.
    """

    text: str
    infix: str
    learns: bool
    plain_slope: float
    slope: float
    split: str
    proxy: Mapping[str, Any]
    seeds: tuple[int, ...]
    complete: tuple[int, ...]
    cells: tuple[Cell, ...]
    gain: Gain
    effects: tuple[Effect, ...]

    @property
    def scale(self) -> float:
        """Mean slope of f as a multiple of that of x: m."""
        return self.slope / self.plain_slope

    def as_json(self) -> dict[str, Any]:
        """Return all fields and ``scale``, fit for JSON; :func:`explanation_from` reads it."""
        return {**asdict(self), "scale": self.scale, "verdict": self.verdict()}

    def verdict(self) -> str:
        """Return in a few sentences what the effects say."""
        if self.gain.difference is None:
            return "Too few trainings succeeded: there are no intervals."
        points, low, high = (100 * one for one in (self.gain.difference.mean, self.gain.difference.low,
                                                   self.gain.difference.high))  # fmt: skip
        judged = "significant" if self.gain.significant else "not significant"
        sentences = [
            f"f minus the plain sign is {signed(points)} points of {self.split} accuracy (95 % interval {signed(low)} "
            f"to {signed(high)}), {judged}."
        ]
        tested = [one for one in self.effects if one.tested]
        strong = [f"{one.name} ({_points(one.gain)})" for one in tested if one.gain.significant]
        weak = [one.name for one in tested if not one.gain.significant and one.name in FACTORS]
        absent = [one.name for one in self.effects if not one.tested and one.name in FACTORS]
        if strong:
            sentences.append(f"Significant: {listed(strong)}.")
        if weak:
            sentences.append(f"No significant effect: {listed(weak)}.")
        if absent:
            sentences.append(f"No effect by construction, because the cells train alike: {listed(absent)}.")
        return " ".join(sentences)


def explain(
    candidate: Candidate | None,
    proxy: Proxy,
    pset: PrimitiveSet,
    *,
    seeds: Sequence[int],
    test: bool = False,
    workers: int = 1,
    folder: Path | None = None,
    progress: Show = False,
) -> Explanation:
    """Train the eight cells between the plain sign and a function on the same seeds, and return the effects.

    Args:
        candidate: a tree, or a forward and a backward tree.
        proxy: the training task.
        pset: the set that the trees come from.
        seeds: two or more different ones, of every cell; best those that no search used.
        test: compare accuracies on the test split and not on the validation split.
        workers: processes; the result does not depend on their number.
        folder: where every training that ends is written down (``explain.jsonl``), so that the same call continues
            after an interruption. More seeds may be asked for later.
        progress: whether and how progress is shown, see :data:`gaaf_gp.util.console.Show`.

    Raises:
        GaafError: the candidate has nothing to explain (no tree, a constant sign, a slope of zero or without a mean, or
            it behaves as the plain sign), fewer than two seeds, a folder with the trainings of something else, or a
            training ran out of memory or lost its worker.
    """
    chosen, workers = different_seeds(seeds, 2), whole_number("workers", workers)
    design = _designed(candidate, proxy, pset)
    score = open_test_split(proxy.data) if test else None
    about = {
        "format": FORMAT,
        "function": design.text,
        "primitives": pset.name,
        "proxy": finite(proxy.settings()),
        "split": split_name(proxy.scored(score)),
        "versions": versions(),
    }
    with ExitStack() as stack:
        entries: list[dict[str, Any]] = []
        keep: Callable[[dict[str, Any]], None] = entries.append
        if folder is not None:
            journal = stack.enter_context(Journal(folder / JOURNAL, about))
            entries, keep = journal.entries, journal.append
        _train(design, proxy, chosen, entries, keep, score=score, workers=workers, progress=progress)
    return _explained(design, chosen, entries, proxy, "test" if test else "validation")


class _Scaled(torch.autograd.Function):
    """The input as it is; its gradient is multiplied."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.scale, None


@dataclass(frozen=True)
class ScaledSlope:
    """A primitive that returns its argument and multiplies the gradient: the slope of a tree without its value.

    Attributes:
        scale: the factor.
    """

    scale: float

    def __call__(self, x: Tensor) -> Tensor:
        """Return ``x``, of any shape and floating dtype."""
        return cast(Tensor, _Scaled.apply(x, self.scale))  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class _Design:
    """What is trained for each cell.

    Attributes:
        text: of the function.
        infix: formula.
        learns: whether it has learnable operators.
        slopes: mean slopes of x and of f.
        pset: the set with the primitives that the cells need beside.
        cells: levels to candidates; cells that train alike have one candidate.
    """

    text: str
    infix: str
    learns: bool
    slopes: tuple[float, float]
    pset: PrimitiveSet
    cells: Mapping[Levels, Candidate | None]


def _designed(candidate: Candidate | None, proxy: Proxy, pset: PrimitiveSet) -> _Design:
    if not isinstance(candidate, Individual | TwoTrees):
        raise GaafError(
            f"only a tree or two trees can be explained, got {text_of(candidate) or 'the plain sign'}: choose a "
            "function of a primitive set"
        )
    about = behaviour(candidate, proxy.surrogate)  # -f has -x beside it, also where padding tells f and -f apart
    if about.failure is not None:
        raise GaafError(
            f"a function to explain must be one that can be trained, but {candidate.canonical} fails "
            f"({about.failure}): choose another one"
        )
    pair = TwoTrees(candidate, candidate) if isinstance(candidate, Individual) else candidate
    x, g = identity(negated=about.orientation < 0), parse(pair.backward.canonical, pair.backward.pset)
    slopes = mean_slope(x, proxy.surrogate), mean_slope(g, proxy.surrogate)
    scale = slopes[1] / slopes[0]
    if not 1 / LARGEST_SCALE <= scale <= LARGEST_SCALE:
        raise GaafError(
            f"a function to explain must have a slope at the inputs x ~ N(0, 1) of a layer, but the mean slope of "
            f"{g.canonical} within the window is {slopes[1]:.3g}: choose another one"
        )
    more, texts = _texts(pair, x, scale, about.orientation, pset)
    cells = {levels: parse_candidate(text, more) for levels, text in texts.items()}
    cells[WHOLE] = parse_candidate(candidate.canonical, more)
    signatures = {levels: proxy.behaviour(cast(Candidate, one)).signature for levels, one in cells.items()}
    signatures[PLAIN] = proxy.behaviour(identity()).signature
    if signatures[PLAIN] == signatures[WHOLE]:
        raise GaafError(
            f"a function to explain must differ from the plain sign, and {candidate.canonical} has its sign and its "
            "slope: choose another one"
        )
    cells[PLAIN] = None
    # of cells that train alike the first is trained, but f itself where it is one of them
    chosen = {signature: levels for levels, signature in reversed(signatures.items())} | {signatures[WHOLE]: WHOLE}
    alike = {levels: cells[chosen[signature]] for levels, signature in signatures.items()}
    nodes = (*pair.forward, *pair.backward)
    learns = any(more.traits[node.name].learnable for node in nodes if node.name in more.traits)
    return _Design(candidate.canonical, candidate.infix(), learns, slopes, more, alike)


def _texts(
    pair: TwoTrees, x: Individual, scale: float, orientation: int, pset: PrimitiveSet
) -> tuple[PrimitiveSet, dict[Levels, str]]:
    """Return what each cell is as text, and the set that reads it: a copy with two primitives more."""
    more, (flat, scaled) = _extended(pset, orientation * scale, 1 / scale)
    f, g = pair.canonical.split(SEPARATOR)
    plain, _ = TwoTrees(x, x).canonical.split(SEPARATOR)
    backward = {
        (False, False): plain,
        (False, True): f"{flat}({more.arguments[0]})",
        (True, False): g if scale == 1 else str(_through(parse(g, more), scaled)),
        (True, True): g,
    }
    return more, {levels: (f if levels[0] else plain) + SEPARATOR + backward[levels[1:]] for levels in CELLS}


def mean_slope(tree: Individual, surrogate: Surrogate) -> float:
    """Return the mean absolute windowed slope of a tree over x ~ N(0, 1), learnable operators as they start.

    Args:
        tree: f.
        surrogate: of the sign; it has the window.

    Returns:
        E|g(f(x)) f'(x)| at 10,000 quantiles of x; NaN or infinite if a slope is.
    """
    places = (torch.arange(POINTS, dtype=torch.float64) + 0.5) / POINTS
    with gradients():
        x = torch.special.ndtri(places).float().view(-1, 1).requires_grad_()
        slope = windowed_slope(Activation(tree, 1)(x), x, surrogate)
    return float(slope.abs().double().mean())


def _extended(pset: PrimitiveSet, *scales: float) -> tuple[PrimitiveSet, tuple[str, ...]]:
    """Return a copy of the set with a primitive for each scale, the first of them as a whole tree, and their names."""
    make, arguments = pset.__reduce__()
    more: PrimitiveSet = make(*arguments)
    kind, names = more.mapping[more.arguments[0]].ret, []
    for scale, wanted, ret in zip(scales, ("flat_slope", "scaled_slope"), (more.ret, kind), strict=True):
        names.append(next(name for name in _longer(wanted) if name not in {*more.mapping, *more.context}))
        more.addPrimitive(ScaledSlope(scale), [kind], ret, name=names[-1], cost=0.0)
    return more, tuple(names)


def _longer(name: str) -> Iterator[str]:
    return (name + "_" * number for number in itertools.count())


def _through(tree: Individual, name: str) -> Individual:
    """Return the tree with a primitive before each x: its slope by x changes, the gradients of its vectors do not."""
    pset = tree.pset
    pairs = ([pset.mapping[name], node] if node.name == pset.arguments[0] else [node] for node in tree)
    return Individual(itertools.chain(*pairs), pset)


def _train(
    design: _Design,
    proxy: Proxy,
    seeds: Sequence[int],
    entries: Sequence[Mapping[str, Any]],
    keep: Callable[[dict[str, Any]], None],
    *,
    score: AnySplit | None,
    workers: int,
    progress: Show,
) -> None:
    """Train what has not been trained, and keep each training as it ends."""
    texts = dict.fromkeys(map(text_of, design.cells.values()))
    ended = {(entry["text"], entry["seed"]) for entry in entries}
    jobs = [Job(text, seed, score) for seed in seeds for text in texts if (text, seed) not in ended]
    total = len(texts) * len(seeds)
    trainer = Trainer(proxy, design.pset, min(workers, max(1, len(jobs))), 1)
    with EpochProgress(total * proxy.epochs, show=progress) as shown:
        done = total - len(jobs)
        shown.reach(done * proxy.epochs, known=True)
        try:
            for index, outcome in trainer.run(jobs):
                _check_machine(outcome, jobs[index])
                if jobs[index].text is None:
                    check_plain_sign([outcome])
                keep(_entry(jobs[index], outcome))
                done += 1
                shown.reach(done * proxy.epochs, outcome.failure or f"{outcome.accuracy:.2%}")
        except BaseException:
            trainer.stop()
            raise
        trainer.close()


def _check_machine(outcome: Outcome, job: Job) -> None:
    if outcome.failure in (WORKER_LOST, OUT_OF_MEMORY):  # no result of the function
        raise GaafError(
            f"each training must have memory and its worker, and that of {job.text or 'the plain sign'} on seed "
            f"{job.seed} ended with: {outcome.failure}: use fewer workers; the same command goes on"
        )


def _entry(job: Job, outcome: Outcome) -> dict[str, Any]:
    accuracy = None if outcome.failure else outcome.accuracy
    return {"text": job.text, "seed": job.seed, "accuracy": accuracy, "failure": outcome.failure}


def _explained(
    design: _Design, seeds: tuple[int, ...], entries: Sequence[Mapping[str, Any]], proxy: Proxy, split: str
) -> Explanation:
    by_training = {(entry["text"], entry["seed"]): entry for entry in entries}
    rows = {levels: [by_training[text_of(one), seed] for seed in seeds] for levels, one in design.cells.items()}
    values = {levels: [entry["accuracy"] for entry in row] for levels, row in rows.items()}
    whole = [place for place in range(len(seeds)) if all(row[place] is not None for row in values.values())]
    used = {levels: [cast(float, row[place]) for place in whole] for levels, row in values.items()}
    alike = {levels: text_of(one) for levels, one in design.cells.items()}
    gain, effects = estimate(used, alike)
    return Explanation(
        text=design.text,
        infix=design.infix,
        learns=design.learns,
        plain_slope=design.slopes[0],
        slope=design.slopes[1],
        split=split,
        proxy=finite(proxy.settings()),
        seeds=seeds,
        complete=tuple(seeds[place] for place in whole),
        cells=tuple(_cell(levels, text_of(design.cells[levels]), rows[levels]) for levels in CELLS),
        gain=gain,
        effects=effects,
    )


def _cell(levels: Levels, text: str | None, row: Sequence[Mapping[str, Any]]) -> Cell:
    accuracies = tuple(entry["accuracy"] for entry in row)
    good = [one for one in accuracies if one is not None]
    failures = dict.fromkeys(entry["failure"] for entry in row if entry["failure"] is not None)
    mean = statistics.fmean(good) if good else None
    threshold, shape, scale = (LEVELS[place][level] for place, level in enumerate(levels))
    return Cell(threshold, shape, scale, text or PLAIN_SIGN, accuracies, mean, tuple(failures))


def _points(gain: Gain) -> str:
    return "none" if gain.difference is None else f"{signed(100 * gain.difference.mean)} points"


def explanation_from(content: Mapping[str, Any]) -> Explanation:
    """Return what :meth:`Explanation.as_json` gave.

    Raises:
        ValueError, TypeError, LookupError, AttributeError: it is something else.
    """
    cells, effects = content["cells"], content["effects"]
    if len(cells) != len(CELLS) or len(effects) != len(EFFECTS) or not {"network", "epochs"} <= content["proxy"].keys():
        raise ValueError("cells, effects or settings are missing")
    return Explanation(
        text=str(content["text"]),
        infix=str(content["infix"]),
        learns=bool(content["learns"]),
        plain_slope=positive_number("a mean slope", content["plain_slope"], finite=True),
        slope=positive_number("a mean slope", content["slope"], finite=True),
        split=str(content["split"]),
        proxy=dict(content["proxy"]),
        seeds=tuple(content["seeds"]),
        complete=tuple(content["complete"]),
        cells=tuple(map(_cell_from, cells)),
        gain=gain_from(content["gain"]),
        effects=tuple(Effect(str(one["name"]), gain_from(one["gain"]), bool(one["tested"])) for one in effects),
    )


def _cell_from(content: Mapping[str, Any]) -> Cell:
    threshold, shape, scale, text = (str(content[name]) for name in ("threshold", "shape", "scale", "text"))
    accuracies = tuple(None if one is None else number("an accuracy", one, 0, 1) for one in content["accuracies"])
    mean = None if content["mean"] is None else number("an accuracy", content["mean"], 0, 1)
    return Cell(threshold, shape, scale, text, accuracies, mean, tuple(map(str, content["failures"])))


def write_explanation(found: Explanation, folder: Path) -> None:
    """Write ``explain.json``; one that is there is replaced."""
    with replacing(folder / EXPLANATION) as file:
        file.write((json.dumps(found.as_json(), indent=2, allow_nan=False) + "\n").encode())


def read_explanation(folder: Path) -> Explanation | None:
    """Return what ``explain.json`` of a folder holds, None if there is none.

    Raises:
        GaafError: it is damaged.
    """
    path = folder / EXPLANATION
    try:
        content = read_mapping(path, "an explanation")
    except FileNotFoundError:
        return None
    try:
        return explanation_from(content)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise GaafError(
            f"{path} must hold an explanation, and reading it ended with {one_line(error)}: run gaaf-gp explain again"
        ) from error
