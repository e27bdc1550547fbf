"""The command line ``gaaf-gp``: one module for each command, :mod:`gaaf_gp.cli.program` puts them together.

- ``main``: run the program
- ``application``: the program as a typer app
- ``script``: a function as a command of its own
- ``finish``: print what a run found, and how to go on with it
- ``COMMANDS``: the commands by name
- ``NAME``: the name of the program
- ``INTERRUPTED``: exit status after Ctrl-C
"""

from gaaf_gp.cli.output import INTERRUPTED, finish
from gaaf_gp.cli.program import COMMANDS, NAME, application, main, script

__all__ = [
    "COMMANDS",
    "INTERRUPTED",
    "NAME",
    "application",
    "finish",
    "main",
    "script",
]
