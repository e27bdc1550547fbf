"""Options and arguments that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

from gaaf_gp.candidates import Evolved, TwoTrees, parse_candidate
from gaaf_gp.errors import GaafError
from gaaf_gp.individual import Individual
from gaaf_gp.loading import load_primitives

FREE = "primitives.gaaf:free"

PrimitivesOption = Annotated[
    str, typer.Option(help="Primitive set: module:function or path/to/file.py:function (the file is run).")
]
ExpressionArgument = Annotated[
    str, typer.Argument(help='A tree, as in "add(sin(x), x)", or two, as in "sin(x) | x": forward | backward.')
]


def evolved(expression: str, primitives: str) -> Evolved:
    """Read one tree or two, of the set that ``primitives`` names.

    Raises:
        GaafError: for anything else.
    """
    found = parse_candidate(expression, load_primitives(primitives))
    if not isinstance(found, Individual | TwoTrees):
        raise GaafError(f'a tree, or two as in "sin(x) | x", is needed here, got {expression!r}, which has none')
    return found
