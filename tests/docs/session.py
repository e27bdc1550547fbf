"""Do what a page says, in the present folder: write its files, run its Python in one namespace and its commands.

    python tests/docs/session.py PAGE PRINTED

PRINTED becomes a file of JSON: line of the page -> what the block there printed.
"""

import contextlib
import io
import json
import linecache
import shlex
import subprocess
import sys
from pathlib import Path

from pages import blocks, runs  # of this folder, which Python puts first


def main(page: Path, printed: Path) -> None:
    """Go through the page from top to bottom."""
    sys.path[0] = str(Path.cwd())  # as for a script of the reader's own
    namespace: dict[str, object] = {"__name__": "__main__"}
    outputs: dict[int, str] = {}
    for block in blocks(page):
        if block.title and not block.why:
            Path(block.title).write_text(block.text, encoding="utf-8")
        if not runs(block):
            continue
        if block.language == "console":
            outputs[block.line] = "".join(map(done, block.commands()))
            continue
        name = f"{page.name}:{block.line}"
        linecache.cache[name] = (len(block.text), None, block.text.splitlines(keepends=True), name)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(block.text, name, "exec"), namespace)
        outputs[block.line] = out.getvalue()
    printed.write_text(json.dumps(outputs), encoding="utf-8")


def done(command: str) -> str:
    """Run a command, which must end well, and return what it printed."""
    ended = subprocess.run(shlex.split(command), capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        sys.exit(f"{command}\nended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
    return ended.stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
