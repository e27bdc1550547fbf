"""What mkdocs does not do by itself: files outside docs/ that pages link to get a place on the site.

Pages are read on a forge too, where a link such as ``../runs/quickstart.py`` works. The site has no such file, so each
one that is linked to becomes a page under project/: Markdown as it is, other text as code, everything else (a notebook
too) as a file to fetch. Links are followed through those pages as well, and one that leads nowhere is left alone, so
that a strict build refuses it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
DOCS = "docs"
OUTSIDE = "project"
"""Folder of the site that holds what lies outside docs/."""
LISTED = ("CONTRIBUTING.md", "CHANGELOG.md")
"""Files outside docs/ that the navigation names."""
LANGUAGES = {".py": "python", ".c": "c", ".h": "c", ".cfg": "ini", ".toml": "toml", ".yml": "yaml", ".sh": "sh"}
_FENCED = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(?<=\]\()(?P<path>[^)\s:#]+)(?P<anchor>#[^)\s]*)?(?=\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files outside docs/ that pages link to, and those that they link to."""
    found = set(LISTED)
    waiting = [_source(file.src_uri) for file in files.documentation_pages()] + list(LISTED)
    while waiting:
        source = waiting.pop()
        for path in _outside(source) - found:
            found.add(path)
            if path.endswith(".md"):
                waiting.append(path)
    for path in sorted(found):
        files.append(_generated(path, config))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Lead links to files outside docs/ to their places on the site, and those of such files back into docs/."""
    here = page.file.src_uri
    source = PurePosixPath(_source(here))
    if source.suffix != ".md":  # code
        return markdown

    def led(match: re.Match[str]) -> str:
        path = _resolved(source, match["path"])
        if not (ROOT / path).is_file():
            return match[0]
        there = path.removeprefix(f"{DOCS}/") if path.startswith(f"{DOCS}/") else _place(path)
        return os.path.relpath(there, PurePosixPath(here).parent) + (match["anchor"] or "")

    return "".join(part if part.startswith("```") else _LINK.sub(led, part) for part in _FENCED.split(markdown))


def _source(src_uri: str) -> str:
    """Return where the text of a page lies in the repository."""
    if not src_uri.startswith(f"{OUTSIDE}/"):
        return f"{DOCS}/{src_uri}"
    inner = src_uri.removeprefix(f"{OUTSIDE}/")
    return inner if (ROOT / inner).is_file() else inner.removesuffix(".md")


def _resolved(source: PurePosixPath, target: str) -> str:
    return os.path.normpath(source.parent / target)


def _outside(source: str) -> set[str]:
    """Return the files of the repository outside docs/ that a Markdown file links to."""
    text = (ROOT / source).read_text(encoding="utf-8") if source.endswith(".md") else ""
    prose = "".join(part for part in _FENCED.split(text) if not part.startswith("```"))
    paths = {_resolved(PurePosixPath(source), match["path"]) for match in _LINK.finditer(prose)}
    return {path for path in paths if not path.startswith((f"{DOCS}/", "..")) and (ROOT / path).is_file()}


def _place(path: str) -> str:
    """Return the place on the site of a file outside docs/."""
    suffix = PurePosixPath(path).suffix
    as_code = suffix in LANGUAGES or suffix == ""
    return f"{OUTSIDE}/{path}.md" if as_code else f"{OUTSIDE}/{path}"


def _generated(path: str, config: MkDocsConfig) -> File:
    place, suffix = _place(path), PurePosixPath(path).suffix
    inclusion = InclusionLevel.INCLUDED if path in LISTED else InclusionLevel.NOT_IN_NAV
    if place == f"{OUTSIDE}/{path}":
        return File.generated(config, place, abs_src_path=str(ROOT / path), inclusion=inclusion)
    code = (ROOT / path).read_text(encoding="utf-8")
    content = f"---\nsearch:\n  exclude: true\n---\n# {path}\n\n````{LANGUAGES.get(suffix, 'text')}\n{code}````\n"
    return File.generated(config, place, content=content, inclusion=inclusion)
