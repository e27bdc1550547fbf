"""Measure how the code is arranged: the figures of docs/architecture.md, of this checkout or of another one.

Run ``python scripts/measure_modules.py [CHECKOUT]``.
"""

from __future__ import annotations

import ast
import configparser
import sys
from collections.abc import Iterator
from pathlib import Path

import grimp
import networkx as nx


def main(checkout: Path) -> None:
    """Print lines, modules, layers, the longest chain of imports, and the longest argument lists."""
    sys.path.insert(0, str(checkout))
    modules = sorted((checkout / "gaaf_gp").rglob("*.py"))
    texts = {path.relative_to(checkout).as_posix(): path.read_text(encoding="utf-8") for path in modules}
    chain = _longest_chain("gaaf_gp")
    print("lines", sum(len(text.splitlines()) for text in texts.values()))
    print("modules", len(texts), "of these directly in gaaf_gp", sum(name.count("/") == 1 for name in texts))
    print("layers", _layers(checkout / "setup.cfg"))
    print(f"longest chain of imports, {len(chain)} modules:", " -> ".join(chain))
    for number, function in sorted(_argument_lists(texts), reverse=True)[:5]:
        print(number, "arguments", function)


def _longest_chain(package: str) -> list[str]:
    """Return the longest chain of modules of which each imports the next; a circle counts as one module."""
    imports = grimp.build_graph(package, exclude_type_checking_imports=True)
    graph = nx.DiGraph(
        (name, other) for name in imports.modules for other in imports.find_modules_directly_imported_by(name)
    )
    circles = nx.condensation(graph)
    return [min(circles.nodes[place]["members"]) for place in nx.dag_longest_path(circles)]


def _layers(settings: Path) -> int:
    """Return the number of layers in the import contract of the package."""
    parser = configparser.ConfigParser()
    parser.read(settings, encoding="utf-8")
    return len(parser["importlinter:contract:rooms"]["layers"].split("\n")) - 1


def _argument_lists(texts: dict[str, str]) -> Iterator[tuple[int, str]]:
    """Yield how many arguments each function has, without self and cls, and where it is."""
    for name, text in texts.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                yield sum(one.arg not in ("self", "cls") for one in arguments), f"{name}:{node.name}"


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve())
