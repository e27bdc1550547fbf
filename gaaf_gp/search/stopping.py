"""When a search ends: after so many evaluations or seconds, at a target, or when it has long found nothing better."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from gaaf_gp.errors import GaafError
from gaaf_gp.search.result import SearchResult


@dataclass
class Stop:
    """What ends a search; it is asked after every generation, or whenever a candidate arrives.

    Attributes:
        evaluations: distinct candidates to train.
        seconds: wall time, None for no limit. What is in training then is finished.
        target: fitness of the best at which it is good enough, None for none.
        stagnation: evaluations without a better best, None for any number.

    Raises:
        GaafError: a setting is out of its range.
    """

    evaluations: int
    seconds: float | None = None
    target: float | None = None
    stagnation: int | None = None
    started: float = field(default_factory=time.perf_counter)
    _best: float = -math.inf
    _since: int = 0

    def __post_init__(self) -> None:
        for name, number in (("evaluations", self.evaluations), ("stagnation", self.stagnation)):
            optional = name == "stagnation" and number is None
            if not optional and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
                raise GaafError(f"{name} must be a whole number of at least 1, got {number!r}")
        if self.seconds is not None and not self.seconds > 0:
            raise GaafError(f"the seconds of a search must be positive or None, got {self.seconds!r}")
        if self.target is not None and not math.isfinite(self.target):
            raise GaafError(f"the target of a search must be a number or None, got {self.target!r}")

    @property
    def out_of_time(self) -> bool:
        """Whether the seconds are over."""
        return self.seconds is not None and time.perf_counter() - self.started >= self.seconds

    def reason(self, found: SearchResult) -> str:
        """Return why the search ends now, in words; nothing if it goes on."""
        done, best = len(found.records), found.best
        if best is not None and best.fitness > self._best:
            self._best, self._since = best.fitness, done
        reasons = (
            (found.interrupted, "interrupted"),
            (found.exhausted, "no new candidate could be found"),
            (done >= self.evaluations, f"{self.evaluations} evaluations"),
            (self.target is not None and self._best >= self.target, f"the target of {self.target} was reached"),
            (
                self.stagnation is not None and done - self._since >= self.stagnation,
                f"nothing better in {done - self._since} evaluations",
            ),
            (self.out_of_time, f"{self.seconds} seconds"),
        )
        return next((text for ends, text in reasons if ends), "")
