"""Races: many candidates start, and only the promising ones are trained to the end.

Successive halving over epochs: all candidates of a race are trained for a few epochs, the best share goes on to the
next rung, and so on (Jamieson and Talwalkar 2016; Li et al. 2017, Hyperband, one bracket). All of them see the same
seeds, so that they are compared in pairs. The decisions depend on accuracies alone and are made when a rung is
complete: neither the order nor the number of worker processes matters, and a race can be run on a table of curves.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gaaf_gp.errors import GaafError
from gaaf_gp.util.checks import plain_number, whole_fields, whole_number

Curve = Sequence[float]
"""Accuracy after each epoch, the mean over the seeds."""


@dataclass(frozen=True)
class Racing:
    """The rules of a race.

    Args:
        rungs: epochs at which candidates drop out, rising; None for the full number divided by 1/``keep`` again and
            again: 1, 3 of 9. The full number of epochs always ends the race and need not be named.
        keep: share of the candidates that goes on from a rung, rounded up. Equal accuracies go on together.
        least: at least so many go on.
        catch_up: also stop those that would have to gain more than any candidate ever did to reach the best.
        safety: that largest gain is taken times this.
        enough: fully trained candidates that must have been seen before ``catch_up`` stops any.

    Raises:
        GaafError: for rules out of their range.
    """

    rungs: tuple[int, ...] | None = None
    keep: float = 1 / 3
    least: int = 2
    catch_up: bool = False
    safety: float = 1.5
    enough: int = 10

    def __post_init__(self) -> None:
        keep, safety = plain_number(self.keep), plain_number(self.safety)
        if keep is None or not 0 < keep < 1:
            raise GaafError(f"keep must be a share between 0 and 1, got {self.keep!r}: 1/3 is usual")
        whole_fields(self, least=1, enough=1)
        if safety is None or not safety >= 1:
            raise GaafError(f"safety must be at least 1, got {self.safety!r}: 1 trusts the largest gain seen")
        if self.rungs is not None:
            rungs = tuple(whole_number("a rung, in epochs,", rung) for rung in self.rungs)
            if not rungs or list(rungs) != sorted(set(rungs)):
                raise GaafError(f"rungs must be rising whole numbers of epochs, got {rungs!r}: (1, 3) for example")
            object.__setattr__(self, "rungs", rungs)

    def resolved(self, epochs: int) -> tuple[int, ...]:
        """Return the rungs of a schedule of ``epochs`` epochs, which is the last one.

        Raises:
            GaafError: if a rung lies beyond it.
        """
        if self.rungs is None:
            rungs = [epochs]
            while rungs[0] > 1:
                rungs.insert(0, max(1, math.floor(rungs[0] * self.keep + 1e-9)))
            return tuple(rungs)
        if self.rungs[-1] > epochs:
            raise GaafError(f"rungs must lie within the {epochs} epochs of a training, got {list(self.rungs)}")
        return (*(rung for rung in self.rungs if rung < epochs), epochs)

    def survivors(self, accuracies: Mapping[str, float]) -> list[str]:
        """Return who goes on from a rung, in the order given: the best share, with all that equal its last."""
        wanted = max(self.least, math.ceil(len(accuracies) * self.keep - 1e-9))
        if wanted >= len(accuracies):
            return list(accuracies)
        cut = sorted(accuracies.values(), reverse=True)[wanted - 1]
        return [name for name, accuracy in accuracies.items() if accuracy >= cut]


@dataclass
class Finished:
    """What is known of fully trained candidates: how much they gained after each epoch, and what must be beaten.

    Attributes:
        threshold: the accuracy to reach, of the best known or of the last that lives on; None while there is none.
    """

    threshold: float | None = None
    _gains: list[float] = field(default_factory=list)
    _seen: int = 0

    def add(self, curve: Curve) -> None:
        """Take in the curve of a fully trained candidate."""
        gains = [max(0.0, curve[-1] - accuracy) for accuracy in curve]
        self._gains = [max(pair) for pair in zip(gains, self._gains, strict=True)] if self._seen else gains
        self._seen += 1

    def within_reach(self, racing: Racing, curve: Curve) -> bool:
        """Return whether a candidate with this curve so far may still reach the threshold."""
        if not racing.catch_up or self._seen < racing.enough or self.threshold is None:
            return True
        return curve[-1] + racing.safety * self._gains[len(curve) - 1] >= self.threshold


def race(
    racing: Racing,
    names: Sequence[str],
    epochs: int,
    advance: Callable[[list[str], int], Mapping[str, Curve]],
    finished: Finished | None = None,
) -> dict[str, int]:
    """Run one race and return the epochs that each candidate was trained for, without those that failed.

    Args:
        racing: the rules.
        names: the candidates, in an order of their own; ties do not depend on it.
        epochs: of the full schedule.
        advance: trains the candidates named up to an epoch and returns their curves from the first epoch on, leaving
            out those that failed.
        finished: what is known of earlier candidates, for ``catch_up``. It is not changed.
    """
    reached: dict[str, int] = {}
    alive = list(names)
    for rung in racing.resolved(epochs):
        if not alive:
            break
        curves = advance(alive, rung)
        for name in alive:
            reached[name] = rung
            if name not in curves:
                del reached[name]
        going = racing.survivors({name: curves[name][-1] for name in alive if name in curves})
        alive = [name for name in going if finished is None or finished.within_reach(racing, curves[name])]
    return reached


def ceilings(reached: Mapping[str, int], values: Mapping[str, float]) -> dict[str, float]:
    """Return for each candidate that dropped out the value that its fitness must not exceed.

    It is the least value of all that went further in its race, their own ceilings included.

    Args:
        reached: what :func:`race` returned.
        values: accuracy at the last epoch of each, or what stands for it.
    """
    found: dict[str, float] = {}
    lowest = math.inf
    for rung in sorted(set(reached.values()), reverse=True):
        here = [name for name, at in reached.items() if at == rung]
        if math.isfinite(lowest):
            found.update((name, lowest) for name in here)
        lowest = min(lowest, *(values[name] for name in here))
    return found


@dataclass(frozen=True)
class Simulation:
    """What a race on known curves comes to.

    Attributes:
        winner: the best of the fully trained by the accuracy of the last epoch; ties go to the first in the table.
        epochs: epochs trained, summed over candidates and seeds.
        reached: epochs that each candidate was trained for.
    """

    winner: str
    epochs: int
    reached: dict[str, int]


def simulate(curves: Mapping[str, Sequence[Curve]], racing: Racing, batch: int | None = None) -> Simulation:
    """Race candidates whose full curves are known, without training.

    Args:
        curves: for each candidate, for each seed, the accuracy after every epoch; all of one length.
        racing: the rules.
        batch: candidates of one race, in the order of the table, as the generations of a search; None for all.

    Raises:
        GaafError: for an empty table, or curves of different lengths.
    """
    lengths = {len(curve) for seeds in curves.values() for curve in seeds}
    if len(lengths) != 1 or 0 in lengths or len({len(seeds) for seeds in curves.values()}) != 1:
        raise GaafError(
            f"a table of curves must hold candidates with as many seeds and epochs each, got {len(curves)} candidates "
            f"with {sorted(lengths)} epochs: leave out the unfinished ones"
        )
    (epochs,) = lengths
    means = {name: [statistics.fmean(values) for values in zip(*seeds, strict=True)] for name, seeds in curves.items()}
    names, finished, reached = list(curves), Finished(), dict[str, int]()
    size = len(names) if batch is None else batch
    for start in range(0, len(names), size):
        at = race(
            racing, names[start : start + size], epochs, lambda texts, e: {n: means[n][:e] for n in texts}, finished
        )
        for name in (name for name, epoch in at.items() if epoch == epochs):
            finished.add(means[name])
            finished.threshold = max(means[name][-1], finished.threshold or 0.0)
        reached |= at
    complete = [name for name, epoch in reached.items() if epoch == epochs]
    spent = sum(epoch * len(curves[name]) for name, epoch in reached.items())
    return Simulation(max(complete, key=lambda name: means[name][-1]), spent, reached)
