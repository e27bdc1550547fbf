"""``gaaf-gp show``: what a tree is, or two of them."""

from __future__ import annotations

from typing import Any

import typer

from gaaf_gp.activations.behaviour import positive_share, screen
from gaaf_gp.cli.options import FREE, ExpressionArgument, JsonOption, PrimitivesOption, evolved
from gaaf_gp.cli.output import print_json
from gaaf_gp.trees.candidate import TwoTrees
from gaaf_gp.trees.simplify import simplify


def show(expression: ExpressionArgument, primitives: PrimitivesOption = FREE, as_json: JsonOption = False) -> None:
    """Say what a tree is, or two of them.

    Its formula, LaTeX, size, height and cost, how often its sign is positive, and whether it would be trained.
    """
    individual = evolved(expression, primitives)
    simple = simplify(individual)
    found: dict[str, Any] = {
        "text": str(individual),
        "formula": individual.infix(),
        "latex": individual.latex(),
        "size": individual.size,
        "height": individual.height,
        "cost": individual.cost,
        "positive": positive_share(individual.forward if isinstance(individual, TwoTrees) else individual),
        "rejected": screen(individual),
        "simply": None,
    }
    if simple.canonical != individual.canonical:
        found["simply"] = {"text": str(simple), "formula": simple.infix(), "size": simple.size}
    if as_json:
        print_json(found)
        return
    for name, value in _rows(found):
        typer.echo(f"{name:<9} {value}")


def _rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    rejected, simple = found["rejected"], found["simply"]
    rows = [
        ("text", found["text"]),
        ("formula", found["formula"]),
        ("LaTeX", found["latex"]),
        ("size", f"{found['size']} nodes"),
        ("height", str(found["height"])),
        ("cost", f"{found['cost']:g} additions per element"),
        ("positive", f"{found['positive']:.1%} of the signs for x ~ N(0, 1)"),
        ("screen", "would be trained" if rejected is None else f"would be rejected: {rejected}"),
    ]
    if simple is not None:
        rows.insert(2, ("simply", f"{simple['formula']}, {simple['size']} nodes: {simple['text']}"))
    return rows
