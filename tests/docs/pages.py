"""Pages of Markdown as what a reader would type: their blocks in order, and what they say is printed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r"^(?P<mark><!-- not run: (?P<why>[^>]+) -->\n+)?```(?P<language>\w+)(?P<rest>[^\n]*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: "python", "console", "text", ...
        title: name of the file that it is the content of; empty for what is run.
        text: what is in it.
        line: of the page, of its first line.
        why: why it is not run; empty if it is.
    """

    language: str
    title: str
    text: str
    line: int
    why: str

    def commands(self) -> list[str]:
        """Return the commands of a console, those over several lines joined."""
        lines = re.sub(r"\\\n\s*", "", self.text).splitlines()
        return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        title = _TITLE.search(match["rest"])
        line = text.count("\n", 0, match.start("text")) + 1
        found.append(Block(match["language"], title[1] if title else "", match["text"], line, match["why"] or ""))
    return found


def runs(block: Block) -> bool:
    """Whether a block is code or commands that a reader would run."""
    return block.language in ("python", "console") and not block.why and not block.title


def agrees(printed: str, said: str) -> bool:
    """Whether what was printed is what the page says, in which ``...`` stands for anything within a line."""
    pattern = r".*".join(map(re.escape, said.strip().split("...")))
    return re.fullmatch(pattern, printed.strip()) is not None
