"""Add a function that won to the catalogue of the package, from the retraining that measured it.

    gaaf-gp retrain --expression "max(sin(x), x)" --data fashion10k --epochs 30 --seeds 10 --out out/retrain
    python scripts/add_to_catalogue.py sin-max out/retrain --candidate f1 --found "gaaf-gp evolve, seed 0"

A function that is there already gets the gain beside its others. Only what is better than the plain sign beyond doubt,
by the p-value that is corrected for all functions tested beside it, gets in.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from gaaf_gp import GaafError, Individual
from gaaf_gp.activations import CatalogueEntry
from gaaf_gp.activations.catalogue import FILE, MOST_BYTES, catalogue, gain_of, save_catalogue
from gaaf_gp.cli import script
from gaaf_gp.errors import one_line
from gaaf_gp.trees import Baseline, TwoTrees, parse_candidate
from gaaf_gp.trees.load import load_recorded
from gaaf_gp.util.files import plain_json, read_limited

CATALOGUE = Path(__file__).resolve().parents[1] / "gaaf_gp" / "activations" / FILE


def main(
    name: Annotated[str, typer.Argument(help="What the function is to be called, such as sin-max.")],
    folder: Annotated[Path, typer.Argument(help="Folder of gaaf-gp retrain, with its result.json.")],
    found: Annotated[str, typer.Option(help="How it was found: the command, its seed and its budget.")],
    candidate: Annotated[str, typer.Option(help="Its name in that folder.")] = "f1",
    tag: Annotated[list[str] | None, typer.Option(help="A word for it; may be repeated.")] = None,
    file: Annotated[Path, typer.Option(help="The catalogue.")] = CATALOGUE,
) -> None:
    """Add a function to the catalogue, with the gain that a retraining measured."""
    result = read_result(folder / "result.json")
    gain = gain_of(result, candidate)
    if not (gain.points > 0 and gain.p_holm <= 1 - gain.confidence):
        raise GaafError(f"the catalogue is of functions that won, and {candidate} is not shown to have: {gain}")
    text, primitives = result["candidates"][candidate]["text"], result["primitives"]
    pset = load_recorded(primitives, folder)
    given = parse_candidate(text, pset)
    if given is None or isinstance(given, Baseline):
        raise GaafError(f"the catalogue is of evolved functions, and {candidate} is {text}: choose another")
    tree = parse_candidate(given.canonical, pset)
    assert isinstance(tree, Individual | TwoTrees)  # the same one, its formula in the order of its identity
    known = dict(catalogue(file))
    if name in known and known[name].expression != tree.canonical:
        raise GaafError(f"names in the catalogue are unique, and {name!r} is {known[name].expression}: choose another")
    tags = tuple(dict.fromkeys([*traits_of(tree), *(tag or [])]))
    entry = CatalogueEntry(
        name, tree.canonical, primitives, tree.infix(), tree.latex(), tags, {"found": found}, (gain,)
    )
    if name in known:
        others = [one for one in known[name].gains if one != gain]
        entry = replace(known[name], gains=(*others, gain))
    known[name] = entry
    save_catalogue(list(known.values()), file)
    print(f"{name}: {entry.formula}, {gain}")


def read_result(path: Path) -> dict[str, Any]:
    """Return what a ``result.json`` holds.

    Raises:
        GaafError: if it cannot be read.
    """
    try:
        content = plain_json(read_limited(path, MOST_BYTES))
    except (OSError, ValueError) as error:
        raise GaafError(
            f"a gain is read from the result.json of gaaf-gp retrain, and reading {path} ended with {one_line(error)}: "
            "name its folder"
        ) from error
    if not isinstance(content, Mapping):
        raise GaafError(f"a gain is read from the result.json of gaaf-gp retrain, and {path} is none: name its folder")
    return dict(content)


def traits_of(candidate: Individual | TwoTrees) -> list[str]:
    """Return the words that a tree has for itself: its encoding, periodic, learnable, two trees."""
    trees = [candidate.forward, candidate.backward] if isinstance(candidate, TwoTrees) else [candidate]
    words = ["two trees"] if len(trees) > 1 else []
    for tree in trees:
        traits = [tree.pset.traits[node.name] for node in tree if node.name in tree.pset.traits]
        words += ["periodic"] * any(one.periodic for one in traits)
        words += ["learnable"] * any(one.learnable for one in traits)
        words.append(tree.pset.name.rpartition(":")[2])
    return list(dict.fromkeys(words))


if __name__ == "__main__":
    script(main)
