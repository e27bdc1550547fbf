"""What a shell offers for the values of options: names that are known without loading or running anything."""

from __future__ import annotations

import ast
import importlib.util
import io
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from gaaf_gp.activations.catalogue import catalogue
from gaaf_gp.binary import NETWORKS
from gaaf_gp.data.registry import DATASETS
from gaaf_gp.errors import GaafError
from gaaf_gp.search.bloat import CONTROLS, SIZES
from gaaf_gp.search.loops import LOOPS
from gaaf_gp.trees.describe import TAGS
from gaaf_gp.util.devices import PRECISIONS

SETS = "primitives"
"""The package of the vocabulary, whose files are read and not run."""
MAKES = "PrimitiveSet"
"""What a function must say that it returns, to be offered as a set."""

ASKED, BASH = "_GAAF_GP_COMPLETE", "complete_bash"
"""Of the environment: what asks the program to complete a line, for bash."""
WORDS, PLACE = "COMP_WORDS", "COMP_CWORD"
"""The words of that line, and which of them is to be completed."""

Complete = Callable[[str], list[str]]


def beginning(names: Iterable[str]) -> Complete:
    """Return a completion with the names that begin as the word does."""
    known = list(names)
    return lambda incomplete: [name for name in known if name.startswith(incomplete)]


def beginning_last(names: Iterable[str]) -> Complete:
    """Return a completion of the last of several names with commas; those that stand already are not offered again."""
    known = list(names)

    def complete(incomplete: str) -> list[str]:
        given, comma, last = incomplete.rpartition(",")
        used = given.split(",")
        return [given + comma + name for name in known if name.startswith(last) and name not in used]

    return complete


def catalogue_names(incomplete: str) -> list[str]:
    """Return the names of the bundled catalogue."""
    try:
        return [name for name in catalogue() if name.startswith(incomplete)]
    except GaafError:  # a shell is no place for an error
        return []


def primitive_sets(incomplete: str) -> list[str]:
    """Return the sets of the package ``primitives``, found by reading its source."""
    package = importlib.util.find_spec(SETS)
    folders = [] if package is None else package.submodule_search_locations or []
    names = [
        f"{SETS}.{path.stem}:{function}"
        for folder in folders
        for path in sorted(Path(folder).glob("*.py"))
        for function in _makers(path)
    ]
    return [name for name in names if name.startswith(incomplete)]


@contextmanager
def whole_words(environment: MutableMapping[str, str]) -> Iterator[None]:
    """Put together what bash takes apart at colons, so that "primitives.gaaf:fr" is one word.

    Bash then replaces only what stands behind the last colon, so what stands ahead of it is taken off what is offered.
    """
    before = mend_words(environment) if environment.get(ASKED) == BASH else ""
    if not before:
        yield
        return
    said = io.StringIO()
    try:
        with redirect_stdout(said):
            yield
    finally:
        for line in said.getvalue().splitlines():
            print(line.removeprefix(before))


def mend_words(environment: MutableMapping[str, str]) -> str:
    """Join words at colons, and return what stands ahead of the last colon of the word that is completed."""
    words, place = environment.get(WORDS, "").split("\n"), environment.get(PLACE, "")
    if ":" not in words or not place.isdecimal():
        return ""
    mended: list[str] = []
    at, before = 0, ""
    for index, word in enumerate(words):
        if mended and (word == ":" or words[index - 1] == ":"):
            mended[-1] += word
        else:
            mended.append(word)
        if index == int(place):
            at, before = len(mended) - 1, mended[-1][: mended[-1].rfind(":") + 1]
    environment[WORDS], environment[PLACE] = "\n".join(mended), str(at)
    return before


def _makers(path: Path) -> list[str]:
    """Return the public functions of a file that return a set and need no argument."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    return [
        one.name
        for one in tree.body
        if isinstance(one, ast.FunctionDef)
        and not one.name.startswith("_")
        and isinstance(one.returns, ast.Name)
        and one.returns.id == MAKES
        and len(one.args.args) == len(one.args.defaults)
    ]


loops = beginning(LOOPS)
controls = beginning_last(CONTROLS)
sizes = beginning(SIZES)
networks = beginning(NETWORKS)
precisions = beginning(PRECISIONS)
data_sets = beginning(DATASETS)
tags = beginning(TAGS)
