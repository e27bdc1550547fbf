"""Every fix that a message names is one that its reader has."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import gaaf_gp
from gaaf_gp.cli import application
from gaaf_gp.experiments.settings import OPTIONS
from gaaf_gp.util.text import signed
from tests.cli.tree import leaves

SOURCES = sorted(Path(gaaf_gp.__file__).parent.rglob("*.py"))
FLAGS = {
    flag
    for _, command in leaves(typer.main.get_command(application()))
    for parameter in command.params
    for flag in (*parameter.opts, *parameter.secondary_opts)
}
OTHERS = {"--help", "--constraint", "--editable"}
"""Of every command, and of pip."""


def messages(path: Path) -> Iterator[str]:
    """Yield the texts of all errors that a module raises, with {} for what they quote."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        raised = node.exc if isinstance(node, ast.Raise) else None
        if isinstance(raised, ast.Call) and raised.args:
            parts = [one for one in ast.walk(raised.args[0]) if isinstance(one, ast.Constant)]
            yield "{}".join(str(one.value) for one in parts if isinstance(one.value, str))


ALL = [(path.name, text) for path in SOURCES for text in messages(path)]


def test_messages_name_options_that_some_command_has():
    assert len(ALL) > 200
    named = {(name, flag) for name, text in ALL for flag in re.findall(r"--[a-z][a-z-]+", text)}
    assert len(named) > 10
    assert {flag for _, flag in named} <= FLAGS | OTHERS, sorted(named)


@pytest.mark.parametrize("module", ["idx.py", "registry.py", "images.py", "load.py", "splitting.py", "folders.py"])
def test_an_argument_that_mends_images_stands_beside_its_option(module):
    """These messages reach users of Python and of the command line alike."""
    arguments = {one.setting.partition(".")[2]: one.flag for one in OPTIONS.values() if "data_settings" in one.setting}
    for name, text in ALL:
        _, _, fix = text.rpartition(": ")
        for argument, flag in arguments.items():
            if name == module and re.search(rf"(give|use|ask for|and) ([a-z ]*\()?{argument}\b", fix):
                assert flag in fix, text


def test_no_module_formats_a_signed_number_by_itself():
    assert signed(-0.001) == "+0.00"
    loose = [path.name for path in SOURCES if re.search(r":\+\.", path.read_text(encoding="utf-8"))]
    assert loose == ["text.py"]
