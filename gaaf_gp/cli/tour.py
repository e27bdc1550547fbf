"""Groups of commands and their help: the first page lists them in the order in which they are used, under headings."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

SECTIONS = {
    "Search": ("evolve", "watch", "resume"),
    "Look at the results": ("report", "compare", "show", "plot"),
    "Know the functions": ("primitives", "catalogue"),
    "Confirm a result": ("retrain",),
    "Work with archives": ("archive",),
}
"""Heading -> names of commands; those that there are not are left out, and others stand under :data:`OTHERS`."""
OTHERS = "Others"
INDENT = 6
"""Characters of a line that are neither name nor text."""


class Group(TyperGroup):
    """A group of commands that shows its help, on standard error and with status 2, if none of them is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments."""
        if not args and not ctx.resilient_parsing:  # resilient: the shell asks how a line may go on
            typer.echo(ctx.get_help(), err=True)
            ctx.exit(2)
        return super().parse_args(ctx, args)


class Tour(Group):
    """A group of commands whose help lists them under headings."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 (typer's signature)
        """Write the commands, a line each."""
        names = [name for name, command in self.commands.items() if not command.hidden]
        known = {name for section in SECTIONS.values() for name in section}
        sections = {**SECTIONS, OTHERS: tuple(name for name in names if name not in known)}
        longest = max(map(len, names), default=0)
        for heading, listed in sections.items():
            rows = [
                (name.ljust(longest), self.commands[name].get_short_help_str(formatter.width - INDENT - longest))
                for name in listed
                if name in names
            ]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)
