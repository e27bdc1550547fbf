"""The page: one file of HTML that needs nothing else, made of a run, its figures and a template."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from gaaf_gp.experiments import resume
from gaaf_gp.experiments.report.cards import Drawn, filters, make_cards
from gaaf_gp.experiments.report.drawing import scatter
from gaaf_gp.experiments.report.figures import FIGURES, RunFigure
from gaaf_gp.experiments.report.repeating import commands, shown_folder
from gaaf_gp.experiments.report.summary import summarise
from gaaf_gp.experiments.report.svg import PAGE, page_svg
from gaaf_gp.experiments.report.why import why
from gaaf_gp.experiments.run_data import RunData

MOST = 100
"""Candidates that have a card."""
WIDE = ("genealogy",)
"""Figures that keep their size, and are scrolled where they do not fit."""
APART = ("front",)
"""Figures that the template draws itself."""
HIDDEN = (resume.SETTINGS, resume.RUN, "versions", "pset")
"""What ``config.json`` says twice, or elsewhere on the page."""


class Builder:
    """Makes the page of a run, again and again while it goes on: what was drawn once is not drawn anew.

    Args:
        most: candidates that have a card, the best ones.
        live: whether the page asks its server for a newer one.
    """

    def __init__(self, *, most: int = MOST, live: bool = False) -> None:
        self.most = most
        self.live = live
        self._drawings: dict[str, Drawn] = {}

    def build(self, data: RunData, now: datetime | None = None, *, tag: str = "", problem: str = "") -> str:
        """Return the page.

        Args:
            data: the run.
            now: when it is made; by default now.
            tag: names what a live page shows.
            problem: why it is not up to date.

        Raises:
            GaafError: what the run found cannot be read.
        """
        cards = make_cards(data, self._drawings, self.most)
        texts = {card.record.text: card.rank for card in cards}
        found = scatter(data)
        return _environment().get_template("page.html.j2").render(
            name=shown_folder(data.place.folder),
            data=data,
            summary=summarise(data),
            why=why(data),
            best=cards[0] if cards and data.best is not None else None,
            cards=cards,
            ranks=texts,
            left_out=len(data.records) - len(cards),
            scatter=found,
            figures=[_drawn(one, data) for one in FIGURES],
            commands=commands(data),
            settings=_settings(data.config),
            primitives=data.config.get("pset"),
            live=self.live,
            tag=tag,
            problem=problem,
            made=(now or datetime.now(UTC)).isoformat(sep=" ", timespec="seconds")[:19],
            style=_source("page.css"),
            script=_source("page.js"),
            policy=policy(self.live),
        )  # fmt: skip


def build_page(data: RunData, *, most: int = MOST) -> str:
    """Return the page of a run; see :class:`Builder`."""
    return Builder(most=most).build(data)


def policy(live: bool) -> str:
    """Return the Content Security Policy of a page: nothing but what is in it, and, while it is live, its server."""
    parts = ["default-src 'none'", "img-src data:"]
    for name, file in (("style", "page.css"), ("script", "page.js")):
        digest = base64.b64encode(hashlib.sha256(_source(file).encode()).digest()).decode()
        parts.append(f"{name}-src 'sha256-{digest}'")
    parts += ["connect-src 'self'"] if live else []
    return "; ".join([*parts, "base-uri 'none'", "form-action 'none'"])


def _drawn(figure: RunFigure, data: RunData) -> dict[str, Any]:
    """Return a figure as the template takes it: with its SVG, or with what is missing."""
    about: dict[str, Any] = {
        "name": figure.name, "title": figure.title, "caption": figure.caption, "svg": None, "missing": "",
        "wide": figure.name in WIDE,
    }  # fmt: skip
    if figure.name not in APART:
        drawing = figure.draw(data, PAGE)
        if isinstance(drawing, str):
            about["missing"] = drawing
        else:
            about["svg"] = page_svg(drawing, f"figure-{figure.name.replace('_', '-')}", figure.title)
    return about


def _settings(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return settings as rows: dotted names, and values as text."""
    rows: list[tuple[str, str]] = []
    for name, value in config.items():
        if not prefix and name in HIDDEN:
            continue
        if isinstance(value, Mapping) and value and prefix.count(".") < 3:
            rows += _settings(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", _worded(value)))
    return rows


def _worded(value: object) -> str:
    if value is None or value in ([], {}, ""):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(_worded, value)) if isinstance(value, list) else str(value)


@cache
def _source(name: str) -> str:
    return resources.files("gaaf_gp.experiments.report").joinpath(name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FunctionLoader(_source), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters.update(filters())
    return made
