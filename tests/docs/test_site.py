"""The site is built strictly, by a real process, without a warning; its links lead somewhere; it needs no network."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

import gaaf_gp
from gaaf_gp.search import bloat

ROOT = Path(__file__).resolve().parents[2]
RESOURCES = {"script": "src", "img": "src", "source": "src", "iframe": "src", "link": "href"}
"""Element -> the attribute by which it names what a browser fetches with the page."""
FETCHED = {"stylesheet", "icon", "preload", "modulepreload", "preconnect", "dns-prefetch"}
"""Kinds of <link> that a browser follows by itself."""
PACKAGES = [
    module.name
    for module in pkgutil.walk_packages(gaaf_gp.__path__, "gaaf_gp.")
    if module.ispkg
    and module.name not in ("gaaf_gp.binary.native", "gaaf_gp.cli", "gaaf_gp.experiments.report", "gaaf_gp.util")
]
"""Packages whose public names are for users' programs."""


class Page(HTMLParser):
    """What a page names: anchors, links that a reader follows, resources that a browser fetches, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.resources: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element names."""
        given = dict(attrs)
        self.ids |= {value for key in ("id", "name") if (value := given.get(key))}
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        named = given.get(RESOURCES.get(tag, ""))
        if named and (tag != "link" or set(str(given.get("rel")).split()) & FETCHED):
            self.resources.append(named)
        if tag == "img":
            self.pictures.append(given)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build the site, and return its folder and all that the build printed."""
    site = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--clean", "--site-dir", str(site)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return site, done.stdout + done.stderr


@pytest.fixture(scope="module")
def pages(built):
    """Return the pages by their place within the site."""
    site, _ = built
    found = {path.relative_to(site).as_posix(): path for path in site.rglob("*.html")}
    return {name: Page(path.read_text(encoding="utf-8")) for name, path in found.items()}


def external(url: str) -> bool:
    """Whether a URL leads away from the site."""
    return bool(urlsplit(url).scheme or urlsplit(url).netloc)


def targets(name: str, urls: list[str]) -> Iterator[tuple[str, str]]:
    """Yield file and anchor, within the site, of each URL on a page that stays on the site."""
    for url in urls:
        if not external(url):
            parts = urlsplit(url)
            file = os.path.normpath(Path(name).parent / unquote(parts.path)) if parts.path else name
            yield file, unquote(parts.fragment)


def test_nothing_is_warned_of(built):
    _, printed = built
    assert "WARNING" not in printed
    assert "ERROR" not in printed
    assert "Documentation built" in printed


def test_every_page_of_docs_has_its_place(built, pages):
    sources = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    assert {source.with_suffix(".html").as_posix() for source in sources} <= set(pages)
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    named = re.findall(r"[\w/.-]+\.md", str(navigation))
    assert {source.as_posix() for source in sources} <= set(named)


def test_links_and_anchors_lead_somewhere(built, pages):
    site, _ = built
    checked = 0
    for name, page in pages.items():
        if name == "404.html":  # its links begin at the root of wherever the site is
            continue
        for file, anchor in targets(name, page.links):
            there = os.path.normpath(f"{file}/index.html") if (site / file).is_dir() else file
            assert (site / there).is_file(), f"{name} links to {file}"
            if anchor and anchor != "__skip":
                assert anchor in pages[there].ids, f"{name} links to {file}#{anchor}"
            checked += 1
    assert checked > 1000


def test_pictures_are_there_and_are_described(built, pages):
    site, _ = built
    found = [(name, one) for name, page in pages.items() for one in page.pictures]
    assert len(found) > 15
    for name, picture in found:
        assert picture.get("alt"), f"{name}: {picture.get('src')}"
        ((file, _),) = targets(name, [str(picture["src"])])
        assert (site / file).stat().st_size > 0, f"{name}: {file}"


def test_a_browser_fetches_nothing_from_elsewhere(built, pages):
    site, _ = built
    assert [(name, url) for name, page in pages.items() for url in page.resources if external(url)] == []
    for name, page in pages.items():
        for file, _ in () if name == "404.html" else targets(name, page.resources):
            assert (site / file).is_file(), f"{name} needs {file}"
    styles = list(site.rglob("*.css"))
    assert styles
    for style in styles:
        named = re.findall(r"(?:url\(|@import\s+)[\"']?([^\"')]+)", style.read_text(encoding="utf-8"))
        assert [url for url in named if external(url) and not url.startswith("data:")] == [], style.name


def test_roles_of_docstrings_read_well(built, pages):
    site, _ = built
    reference = list((site / "reference").glob("*.html"))
    assert len(reference) >= 10
    text = "".join(path.read_text(encoding="utf-8") for path in reference)
    text = re.sub(r"<details class=\"mkdocstrings-source\">.*?</details>", "", text, flags=re.DOTALL)  # code as it is
    assert re.findall(r":(?:mod|func|class|meth|data|attr):", text) == []
    assert text.count('class="autorefs autorefs-internal"') > 100


def test_the_reference_has_every_public_name():
    reference = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "reference").glob("*.md"))
    listed = {name.rpartition(".")[2] for name in re.findall(r"^::: (gaaf_gp\S+)$", reference, re.MULTILINE)}
    for package in [gaaf_gp, *map(importlib.import_module, PACKAGES)]:
        assert sorted(set(package.__all__) - listed) == [], package.__name__
    assert {made.__name__ for made in bloat.CONTROLS.values()} <= listed


def test_files_outside_docs_have_a_place(built):
    site, _ = built
    assert (site / "project" / "primitives" / "template.py.html").is_file()
    notebooks = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
    for name in notebooks:
        there = site / "project" / "notebooks" / name
        assert there.read_bytes() == (ROOT / "notebooks" / name).read_bytes()
