"""Put plausible bugs into modules, one at a time, and report which of them the tests of the module do not notice.

Run ``make mutants``, or ``python scripts/mutants.py [MODULE OR FOLDER ...] [--sample 20] [--seed 1]``. The work is done
on a copy of the tree, so the working tree stays as it is. A module's own tests are ``tests/PACKAGE/test_MODULE.py`` and
those that ``OWN_TESTS`` names; slow tests are left out.
"""

import argparse
import ast
import contextlib
import copy
import importlib
import itertools
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIBRARIES = ("torch", "scipy.stats", "deap.gp", "networkx", "matplotlib.figure", "typer")
ROOMS = ("gaaf_gp", "primitives")

LONGEST = 3600
"""Seconds after which tests end in any case."""
OWN_TESTS = {
    "gaaf_gp/statistics.py": ["test_statistics", "test_comparison", "test_winners_curse"],
    "gaaf_gp/archive/births.py": ["test_store", "test_register"],
    "gaaf_gp/archive/rows.py": ["test_store", "test_checking", "test_export"],
    "gaaf_gp/archive/runs.py": ["test_store", "test_register"],
    "gaaf_gp/binary/convert.py": ["test_convert", "test_conversion_report"],
    "gaaf_gp/binary/kernels.py": ["native/test_calls"],
    "gaaf_gp/binary/native/tracing.py": ["test_program"],
    "gaaf_gp/binary/native/unit.py": ["test_program"],
    "gaaf_gp/cli/options.py": ["test_settings_options", "test_program"],
    "gaaf_gp/cli/output.py": ["test_json", "test_program"],
    "gaaf_gp/cli/show.py": ["test_archive", "test_sparkline"],
    "gaaf_gp/cli/tour.py": ["test_program"],
    "gaaf_gp/cli/watch.py": ["test_evolve"],
    "gaaf_gp/data/folders.py": ["test_load", "test_registry"],
    "gaaf_gp/data/source.py": ["test_load", "test_registry", "test_splitting"],
    "gaaf_gp/evaluation/cache.py": ["test_cache", "test_archived_trainer"],
    "gaaf_gp/evaluation/table.py": ["test_table", "test_table_file", "test_function_table"],
    "gaaf_gp/evaluation/trainer.py": ["test_evaluator", "test_asynchronous"],
    "gaaf_gp/experiments/compare.py": ["../cli/test_compare"],
    "gaaf_gp/experiments/plan.py": ["test_experiment", "test_settings"],
    "gaaf_gp/experiments/run_result.py": ["test_run_result", "test_run_folder"],
    "gaaf_gp/plots/backend.py": ["../test_surroundings"],
    "gaaf_gp/trees/holdings.py": ["test_contract"],
    "gaaf_gp/util/spawning.py": ["../parallel/test_starting"],
    "gaaf_gp/experiments/resume.py": ["test_resume", "../cli/test_resume"],
    "gaaf_gp/experiments/run_data.py": ["report/test_run_data", "test_run_result"],
    "gaaf_gp/experiments/report/cards.py": ["test_page", "test_run_data"],
    "gaaf_gp/experiments/report/figures.py": ["test_drawing", "test_page"],
    "gaaf_gp/experiments/report/serving.py": ["../../cli/test_report"],
    "gaaf_gp/experiments/report/summary.py": ["test_summary", "test_page"],
    "gaaf_gp/experiments/report/svg.py": ["test_drawing"],
    "gaaf_gp/parallel/dask.py": ["test_clusters"],
    "gaaf_gp/parallel/processes.py": ["test_executors"],
    "gaaf_gp/parallel/transfer.py": ["test_executors"],
    "gaaf_gp/plots/progress.py": ["test_progress", "test_history", "test_fidelities", "test_difference"],
    "gaaf_gp/search/bloat/control.py": ["test_mixture", "test_refusing", "test_selecting"],
    "gaaf_gp/search/loops.py": ["test_loops", "test_islands", "test_steady", "test_asking"],
    "gaaf_gp/training/outcome.py": ["test_proxy", "test_epochs"],
    "gaaf_gp/training/retraining/teachers.py": ["test_distillation"],
    "gaaf_gp/training/stacked.py": ["test_stacked", "test_stack"],
    "gaaf_gp/trees/candidate.py": ["test_candidate", "test_two_trees"],
    "gaaf_gp/trees/primitive.py": ["test_primitive", "test_probe"],
    "gaaf_gp/trees/simplify.py": ["test_simplify", "test_algebra"],
    "gaaf_gp/util/bfloat16.py": ["test_devices"],
    "gaaf_gp/util/provenance.py": ["test_files"],
    "gaaf_gp/util/text.py": ["test_console"],
    "primitives/operators.py": ["test_gaaf", "test_minimal"],
}
"""Modules whose tests have other names, relative to the folder that mirrors the module's package."""


@dataclass(frozen=True)
class Mutant:
    """One changed place of a module.

    Attributes:
        module: path of the module, relative to the root.
        line: of the place, in the module as it is.
        change: what stood there, and what stands there now.
        source: the whole module with the change, without comments.
    """

    module: str
    line: int
    change: str
    source: str


def tests_of(module: str) -> list[str]:
    """Return the test files of a module, as paths relative to the root; none if it has no tests of its own."""
    path = Path(module)
    folder = Path("tests", *path.parts[1 if path.parts[0] == "gaaf_gp" else 0 : -1])
    names = OWN_TESTS.get(module, [f"test_{path.stem}"])
    files = [Path(os.path.normpath(folder / f"{name}.py")) for name in names]
    return [file.as_posix() for file in files if (ROOT / file).is_file()]


def modules_in(places: list[str]) -> list[str]:
    """Return the modules that are named or lie in the named folders, without tables of contents."""
    paths = [path for place in places for path in ([ROOT / place] if place.endswith(".py") else _python(ROOT / place))]
    return [path.relative_to(ROOT).as_posix() for path in paths]


def _python(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if not path.stem.startswith("__"))


# what is changed

COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip
OPPOSITES = {"min": "max", "max": "min", "any": "all", "all": "any", "minimum": "maximum", "maximum": "minimum"}


def changes_of(node: ast.AST) -> Iterator[ast.AST]:  # noqa: PLR0912
    """Yield what could stand in place of a node if its author had made one slip."""
    match node:
        case ast.Compare():
            for place, operator in enumerate(node.ops):
                yield _with(node, ops=_replaced(node.ops, place, COMPARISONS[type(operator)]()))
        case ast.BinOp() if type(node.op) in OPERATORS:
            yield _with(node, op=OPERATORS[type(node.op)]())
        case ast.AugAssign():
            if type(node.op) in OPERATORS:
                yield _with(node, op=OPERATORS[type(node.op)]())
            yield ast.Pass()
        case ast.BoolOp():
            yield _with(node, op=ast.And() if isinstance(node.op, ast.Or) else ast.Or())
            for place in range(len(node.values)):
                rest = _without(node.values, place)
                yield rest[0] if len(rest) == 1 else _with(node, values=rest)
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node.operand
        case ast.Constant(value=bool()):
            yield ast.Constant(not node.value)
        case ast.Constant(value=int()):
            yield ast.Constant(node.value + 1)
        case ast.Constant(value=float()):
            yield ast.Constant(node.value * 1.5 if node.value else 1.0)
        case ast.If() | ast.While() | ast.IfExp():
            yield _with(node, test=_negated(node.test))
        case ast.comprehension():
            for place, condition in enumerate(node.ifs):
                yield _with(node, ifs=_without(node.ifs, place))
                yield _with(node, ifs=_replaced(node.ifs, place, _negated(condition)))
        case ast.Return(value=ast.Constant(value=None)):
            return
        case ast.Return(value=ast.AST()):
            yield _with(node, value=None)
        case ast.Raise() | ast.Continue() | ast.Break() | ast.Expr(value=ast.Call()):
            yield ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield ast.Pass()
        case ast.Call():
            yield from _changed_calls(node)


def _changed_calls(node: ast.Call) -> Iterator[ast.AST]:
    """Yield a call with two arguments swapped, with one left out, and of the opposite function."""
    if len(node.args) > 1 and not (
        isinstance(node.func, ast.Name) and node.func.id in ("isinstance", "map", "getattr")
    ):
        yield _with(node, args=[node.args[1], node.args[0], *node.args[2:]])
        yield _with(node, args=node.args[:-1])
    for place in range(len(node.keywords)):
        yield _with(node, keywords=_without(node.keywords, place))
    match node.func:
        case ast.Name(id=name) if name in OPPOSITES:
            yield _with(node, func=ast.Name(OPPOSITES[name], ast.Load()))
        case ast.Attribute(value=value, attr=name) if name in OPPOSITES:
            yield _with(node, func=ast.Attribute(value, OPPOSITES[name], ast.Load()))


def _with(node: ast.AST, **fields: object) -> ast.AST:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _replaced(values: list, place: int, value: object) -> list:  # type: ignore[type-arg]
    return [*values[:place], value, *values[place + 1 :]]


def _without(values: list, place: int) -> list:  # type: ignore[type-arg]
    return values[:place] + values[place + 1 :]


def _negated(test: ast.expr) -> ast.expr:
    return (
        test.operand if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) else ast.UnaryOp(ast.Not(), test)
    )


# where it is changed


def mutants_of(module: str, text: str, chosen: Collection[int] | None = None) -> Iterator[Mutant]:
    """Yield the mutants of a module, in the order of :func:`number_of`; only those with the chosen numbers."""
    tree, number = ast.parse(text), -1
    for parent, field, place, node in list(_places(tree)):
        for changed in changes_of(node):
            number += 1
            if chosen is None or number in chosen:
                _put(parent, field, place, changed)
                line = node.target.lineno if isinstance(node, ast.comprehension) else node.lineno  # type: ignore[attr-defined]
                yield Mutant(module, line, f"{_short(node)}  ->  {_short(changed)}", ast.unparse(tree))
                _put(parent, field, place, node)


def number_of(text: str) -> int:
    """Return how many mutants a module has."""
    return sum(1 for *_, node in _places(ast.parse(text)) for _ in changes_of(node))


def _places(node: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """Yield every node that may be changed and where it stands: types, messages, imports and names listed stay."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "type_params") or _kept(value):
            continue
        for place, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST) and not _kept(child):
                yield node, field, place, child
                yield from _places(child) if not isinstance(child, ast.Raise) else ()


def _kept(node: object) -> bool:
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.JoinedStr():
            return True
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name == "__all__" or _is_type(node.value)
    return False


def _is_type(node: ast.expr) -> bool:
    """Return whether an expression is an alias of types, such as ``Callable[[int], str]`` or ``str | None``."""
    match node:
        case ast.Subscript(value=ast.Name(id=name)):
            return name[0].isupper() or name in ("dict", "list", "tuple", "set", "type")
        case ast.BinOp(op=ast.BitOr()):
            return all(isinstance(side, ast.Name | ast.Subscript | ast.Constant) for side in (node.left, node.right))
    return False


def _put(parent: ast.AST, field: str, place: int | None, node: ast.AST) -> None:
    if place is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[place] = node


def _short(node: ast.AST, most: int = 70) -> str:
    line = ast.unparse(node).strip().split("\n")[0]
    return line if len(line) <= most else f"{line[: most - 3]}..."


# whether it is noticed


def copied_tree(target: Path) -> None:
    """Copy the files that git knows or does not ignore, as they are now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def passes(tree: Path, tests: list[str], seconds: float) -> bool | None:
    """Return whether tests pass in a copy of the tree; None if they took longer than they may.

    They run in a fork of this process, which has loaded the libraries but no module of the tree, so that a mutant does
    not pay for that again. What they start themselves ends with them.
    """
    process = os.fork()
    if not process:
        signal.alarm(math.ceil(min(seconds, LONGEST)) + 5)  # if this process is killed, an endless mutant ends as well
        _run_tests(tree, tests)
    begin = time.monotonic()
    while os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() - begin > seconds:
            break
        time.sleep(0.02)
    else:
        seconds = float("inf")
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)
    status = os.waitpid(process, 0)[1]
    return os.waitstatus_to_exitcode(status) == 0 if seconds == float("inf") else None


def _run_tests(tree: Path, tests: list[str]) -> NoReturn:
    """Run tests without a word, as the leader of a group of processes, and end this process with their result."""
    status = 1
    try:
        os.setsid()
        os.chdir(tree)
        os.environ |= {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
        sys.path.insert(0, str(tree))
        sys.dont_write_bytecode = True
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        status = pytest.main(["-n", "0", "-x", "-q", "-p", "no:cacheprovider", "-m", "not slow", *tests])
    finally:
        os._exit(status)


NOTICED = ("noticed", "too slow")


def measure(mutants: list[Mutant], tree: Path, least: float = 30) -> Iterator[tuple[Mutant, str]]:
    """Yield each mutant with its result, trying it in a copy of the tree.

    Results are "noticed", "too slow" (a test that never ends is noticed, too), "not noticed", "no tests", and "fails
    unchanged" where the tests of the module fail without any change. A mutant may take ``least`` seconds and five times
    as long as the module's tests take without one.
    """
    limits: dict[str, float | None] = {}
    for mutant in mutants:
        path, tests = tree / mutant.module, tests_of(mutant.module)
        text = path.read_text(encoding="utf-8")
        if mutant.module not in limits:
            begin = time.monotonic()
            sound = bool(tests) and _result(path, ast.unparse(ast.parse(text)), tree, tests, 600) == "not noticed"
            limits[mutant.module] = least + 5 * (time.monotonic() - begin) if sound else None
        limit = limits[mutant.module]
        if tests and limit is not None:
            yield mutant, _result(path, mutant.source, tree, tests, limit)
        else:
            yield mutant, "fails unchanged" if tests else "no tests"


def _result(path: Path, source: str, tree: Path, tests: list[str], seconds: float) -> str:
    text = path.read_text(encoding="utf-8")
    path.write_text(source, encoding="utf-8")
    try:
        return {True: "not noticed", False: "noticed", None: "too slow"}[passes(tree, tests, seconds)]
    finally:
        path.write_text(text, encoding="utf-8")


def room(module: str) -> str:
    """Return what a module is counted under: its package in ``gaaf_gp``, or its name if it lies there alone."""
    parts = Path(module).with_suffix("").parts
    return parts[1] if parts[0] == "gaaf_gp" else parts[0]


def sampled(modules: list[str], number: int, seed: int) -> list[Mutant]:
    """Return ``number`` mutants of every room, drawn without preference among all places of its modules."""
    texts = {module: (ROOT / module).read_text(encoding="utf-8") for module in modules}
    rooms: dict[str, list[tuple[str, int]]] = {}
    for module, text in texts.items():
        rooms.setdefault(room(module), []).extend((module, place) for place in range(number_of(text)))
    rng, drawn = random.Random(seed), []
    for everything in rooms.values():
        chosen: dict[str, set[int]] = {}
        for module, place in rng.sample(everything, min(number, len(everything))):
            chosen.setdefault(module, set()).add(place)
        drawn += [mutant for module in sorted(chosen) for mutant in mutants_of(module, texts[module], chosen[module])]
    return drawn


def rate(name: str, results: list[str]) -> str:
    """Return in a line how many of the mutants of a room were noticed, from the result of each."""
    noticed = sum(result in NOTICED for result in results)
    return f"{name:12} {noticed:4} of {len(results):4} noticed" + (f", {noticed / len(results):.0%}" if results else "")


def main(arguments: list[str] | None = None) -> None:
    """Measure a sample, and print what was not noticed and the rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("places", nargs="*", default=list(ROOMS), help="modules or folders; all of them if left out")
    parser.add_argument("--sample", type=int, default=12, help="mutants of each room (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample (default: %(default)s)")
    parser.add_argument("--least", type=float, default=30, help="seconds that a mutant may take (default: %(default)s)")
    options = parser.parse_args(arguments)
    for library in LIBRARIES:
        importlib.import_module(library)
    drawn = sampled(modules_in(options.places), options.sample, options.seed)
    every: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        copied_tree(Path(folder))
        measured = measure(drawn, Path(folder), options.least)
        for name, pairs in itertools.groupby(measured, key=lambda pair: room(pair[0].module)):
            results = []
            for mutant, result in pairs:
                results.append(result)
                if result != "noticed":
                    print(f"{mutant.module}:{mutant.line}: {result}: {mutant.change}", flush=True)
            print(rate(name, results), flush=True)
            every += results
    print(rate("all", every))


if __name__ == "__main__":
    main()
