"""CITATION.cff is valid YAML with what its format asks for, and agrees with the package and the paper."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest
import yaml

from gaaf_gp import __version__

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def citation():
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_required_fields_are_there(citation):
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
    assert citation["type"] == "software"
    assert citation["authors"] == [{"name": "The gaaf-gp developers"}]


def test_it_agrees_with_the_package(citation):
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    assert citation["version"] == __version__ == settings["metadata"]["version"]
    assert citation["license"] == settings["metadata"]["license"]
    assert citation["title"] == settings["metadata"]["name"]
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith(f"{citation['license']} License")


def test_the_paper_is_cited(citation):
    (paper,) = citation["references"]
    assert {"type", "title", "authors"} <= set(paper)
    assert paper["type"] == "article"
    assert paper["title"].startswith("GAAF: Searching Activation Functions for Binary Neural Networks")
    assert [author["family-names"] for author in paper["authors"]] == ["Li", "Geng", "Stein", "Li", "Yu"]
    assert all(author["given-names"] for author in paper["authors"])
    assert (paper["journal"], paper["volume"], paper["year"]) == ("Tsinghua Science and Technology", 28, 2023)
    assert re.fullmatch(r"10\.\d{4,}/\S+", paper["doi"])
    assert {"type": "other", "value": "arXiv:2206.03291"} in paper["identifiers"]


def test_the_readme_names_the_same_paper(citation):
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert citation["references"][0]["title"] in readme
    assert "2206.03291" in readme
