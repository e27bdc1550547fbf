"""What makes the gain of a function, as the page shows it: the cells and the effects of ``explain.json``."""

from __future__ import annotations

from dataclasses import dataclass

from gaaf_gp.experiments.confirm import Gain
from gaaf_gp.experiments.explanation import Explanation, read_explanation
from gaaf_gp.experiments.report.summary import Against, compared, reach_of
from gaaf_gp.experiments.run_data import RunData


@dataclass(frozen=True)
class Why:
    """What the section shows.

    Attributes:
        found: the explanation.
        effects: the gain of f and its seven effects, differences in points of per cent.
        reach: half the width of the scale of differences, points.
    """

    found: Explanation
    effects: tuple[Against, ...]
    reach: float


def why(data: RunData) -> Why | None:
    """Return why a function of a run won, None where nobody asked.

    Raises:
        GaafError: ``explain.json`` is damaged.
    """
    found = read_explanation(data.place.folder) if data.place.config else None  # else it may be of another run
    if found is None:
        return None
    effects = tuple(compared(one.name, "", None, one.gain, _said(one.gain, one.tested)) for one in found.effects)
    gain = compared("f minus the plain sign", "", None, found.gain, _said(found.gain, True))
    return Why(found, (gain, *effects), reach_of((gain, *effects)))


def _said(gain: Gain, tested: bool) -> str:
    if not tested:
        return "trained alike"
    return "significant" if gain.significant else "not significant"
