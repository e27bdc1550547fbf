"""The first page of help: commands in the order in which they are used, under headings."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

SECTIONS = {
    "Search": ("evolve", "watch", "resume"),
    "See what came out": ("report", "compare", "show", "plot"),
    "Know the functions": ("primitives", "catalogue"),
    "Make sure": ("retrain",),
    "Keep what was trained": ("archive",),
}
"""Heading -> names of commands; those that there are not are left out, and others stand under :data:`OTHERS`."""
OTHERS = "Others"
INDENT = 6
"""Characters of a line that are neither name nor text."""


class Tour(TyperGroup):
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
