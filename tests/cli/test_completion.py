"""Shell completion, as bash asks for it, and the first page of help."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from gaaf_gp.activations.catalogue import catalogue
from gaaf_gp.cli import application, completion, main
from tests.cli.tree import leaves

ROOT = Path(__file__).parents[2]


def offered(capsys, monkeypatch, line):
    """Return what the program offers for the last word of a line, by bash's protocol."""
    words = shlex.split(line) + ([""] if line.endswith(" ") else [])
    monkeypatch.setenv("_GAAF_GP_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "\n".join(shlex.quote(word) if word else "" for word in words))
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 0
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("gaaf-gp ev", ["evolve"]),
        ("gaaf-gp catalogue m", ["measure"]),
        ("gaaf-gp evolve --loop st", ["steady"]),
        ("gaaf-gp evolve --measure ", ["nodes", "cost"]),
        ("gaaf-gp evolve --bloat tar", ["tarpeian"]),
        ("gaaf-gp evolve --bloat tarpeian,lex", ["tarpeian,lexicographic"]),
        ("gaaf-gp evolve --data cifar", ["cifar10", "cifar100"]),
        ("gaaf-gp evolve --network resnet18", ["resnet18"]),
        ("gaaf-gp evolve --progress j", ["json"]),
        ("gaaf-gp evolve --primitives primitives.template", ["primitives.template:make_pset"]),
        ("gaaf-gp primitives --tag per", ["periodic"]),
        ("gaaf-gp evolve --tens", ["--tensorboard"]),
    ],
)
def test_values_are_offered(capsys, monkeypatch, line, found):
    offers = offered(capsys, monkeypatch, line)
    assert set(found) <= set(offers), offers
    last = line.split(" ")[-1]
    assert all(one.startswith(last) for one in offers)


def test_sets_are_found_without_running_anything(capsys, monkeypatch, tmp_path):
    offers = offered(capsys, monkeypatch, "gaaf-gp show --primitives primitives.gaaf")
    assert set(offers) == {f"primitives.gaaf:{name}" for name in ("free", "encoding1", "encoding2")}
    trap = tmp_path / "trap.py"
    trap.write_text(
        "raise SystemExit('it was run')\ndef make() -> PrimitiveSet: ...\ndef other(x) -> PrimitiveSet: ...\n"
    )
    assert completion._makers(trap) == ["make"]


def test_names_of_the_catalogue_are_offered(capsys, monkeypatch):
    assert offered(capsys, monkeypatch, "gaaf-gp catalogue show ") == list(catalogue())
    monkeypatch.setattr(completion, "catalogue", lambda: {"sin-max": 1, "sin-add": 2, "cos": 3})
    assert completion.catalogue_names("sin-") == ["sin-max", "sin-add"]


def test_words_that_bash_takes_apart_are_mended():
    environment = {"COMP_WORDS": "gaaf-gp\nshow\n--primitives\nprimitives.gaaf\n:\nfr", "COMP_CWORD": "5"}
    assert completion.mend_words(environment) == "primitives.gaaf:"
    assert environment == {"COMP_WORDS": "gaaf-gp\nshow\n--primitives\nprimitives.gaaf:fr", "COMP_CWORD": "3"}
    whole = {"COMP_WORDS": "gaaf-gp\nshow\n", "COMP_CWORD": "2"}
    assert completion.mend_words(whole) == ""
    assert whole == {"COMP_WORDS": "gaaf-gp\nshow\n", "COMP_CWORD": "2"}


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A folder with the program by its name, as it is installed."""
    folder = tmp_path_factory.mktemp("bin")
    script = folder / "gaaf-gp"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m gaaf_gp.cli "$@"\n')
    script.chmod(0o755)
    return folder


def bash(program, script):
    environment = {**os.environ, "PATH": f"{program}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, text=True, check=True, env=environment, cwd=ROOT
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_a_real_bash_completes(program):
    found = bash(
        program,
        'eval "$(_GAAF_GP_COMPLETE=source_bash gaaf-gp)"\n'
        "complete -p gaaf-gp >/dev/null || exit 1\n"
        "COMP_WORDS=(gaaf-gp evolve --loop isl); COMP_CWORD=3; _gaaf_gp_completion gaaf-gp\n"
        'echo "${COMPREPLY[@]}"\n'
        "COMP_WORDS=(gaaf-gp show --primitives primitives.gaaf : fr); COMP_CWORD=5; _gaaf_gp_completion gaaf-gp\n"
        'echo "${COMPREPLY[@]}"\n',
    )
    assert found == ["islands", "free"]


def test_the_first_page_is_a_tour(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    out = capsys.readouterr().out
    assert ended.value.code == 0
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "..." not in out.partition("Search:")[2].partition("Examples:")[0], "each line says all it has to say"
    places = [
        out.index(f"\n  {name}") for name in ("evolve", "resume", "compare", "show", "plot", "primitives", "retrain")
    ]
    assert places == sorted(places)
    assert "--install-completion" in out
    assert sum(line.strip().startswith("gaaf-gp ") for line in lines) >= 4


def tree():
    return typer.main.get_command(application())


def test_each_command_has_a_line_and_an_example(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for path, command in leaves(tree()):
        assert len(command.get_short_help_str(62)) > 10, path
        with pytest.raises(SystemExit):
            main([*path, "--help"])
        out = capsys.readouterr().out
        assert re.search(rf"\n    gaaf-gp {' '.join(path)}[ \n]", out), f"{path} has no example"
