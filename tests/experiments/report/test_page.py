"""The page without a browser: what is in it, in which order, and what can never be in it."""

import itertools
import json
import re
import sqlite3
from html import escape

import pytest

from gaaf_gp.errors import GaafError
from gaaf_gp.experiments.report import Builder, build_page, page
from gaaf_gp.experiments.run_data import find_run, read_run
from tests import made_results
from tests.experiments.report.parsed import Page

MOST_BYTES = 5_000_000


def built(folder, pset=None, **settings):
    html = build_page(read_run(find_run(folder), pset), **settings)
    return html, Page(html)


@pytest.fixture(scope="module")
def whole(hundred, pset):
    return built(hundred, pset)


def test_a_hundred_individuals_are_far_below_five_megabytes(whole):
    html, found = whole
    size = len(html.encode())
    assert size < MOST_BYTES
    assert size < 1_500_000, "what it took when it was made, and twice as much"
    cards = found.find("details", class_="card")
    assert len(cards) == 100
    drawn = [card for card in cards if "<svg" in html.split(f'id="{card.attributes["id"]}"')[1].split("</details>")[0]]
    assert len(drawn) == 100, "every tree and function"


def test_every_candidate_has_a_row_that_tells_it(whole):
    _html, found = whole
    rows = found.find("details", class_="card")
    assert [one.attributes["id"] for one in rows] == [f"c{rank}" for rank in range(1, 101)]
    values = [float(one.attributes["data-accuracy"]) for one in rows if "full" in one.attributes["data-kind"].split()]
    assert values == sorted(values, reverse=True)
    kinds = [one.attributes["data-kind"].split()[0] for one in rows]
    assert kinds == sorted(kinds, key=["full", "dropped", "failed"].index)
    assert {"full", "dropped", "failed"} == {*kinds}
    card = next(one for one in found.find("details", class_="card") if one.attributes["data-text"] == "max(sin(x), x)")
    for said in ("max(sin(x), x)", r"\max\left", "4 nodes, height 2", "seed 0, 3 epochs", "generation 0, random"):
        assert said in card.text
    failed = next(one for one in found.find("details", class_="card") if "failed:" in one.text)
    assert "loss not finite in epoch 2" in failed.text


def test_it_is_one_file_that_needs_nothing_else(whole):
    html, found = whole
    for tag, name in (
        ("script", "src"),
        ("link", "href"),
        ("img", "src"),
        ("image", "href"),
        ("use", "href"),
        ("a", "href"),
    ):
        for one in found.find(tag):
            assert one.attributes.get(name, "#").startswith(("#", "data:")), one
    assert not re.search(r"https?://|url\((?!#)|@import|javascript:", html)
    assert " style=" not in html
    assert not re.search(r"<[^>]+ on\w+=", html)
    (policy,) = (one.attributes["content"] for one in found.find("meta") if "http-equiv" in one.attributes)
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "connect-src" not in policy
    assert "connect-src 'self'" in page.policy(live=True)


def test_it_can_be_read_out(whole):
    _, found = whole
    assert [one.attributes["lang"] for one in found.find("html")] == ["en"]
    headings = [int(one.tag[1]) for one in found.all if re.fullmatch("h[1-6]", one.tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(headings))
    assert len(found.find("main")) == len(found.find("header")) == len(found.find("footer")) == 1
    first = next(one for one in found.all if one.tag == "a")
    assert (first.attributes["class"], first.attributes["href"]) == ("skip", "#main")
    identities = [one.attributes["id"] for one in found.all if "id" in one.attributes]
    assert len(identities) == len(set(identities))
    for one in found.find("a"):
        assert one.attributes["href"][1:] in identities
    for one in found.find("svg", role="img"):
        assert one.children[0].tag == "title"
        assert one.children[0].text
    for one in found.all:
        for name in ("aria-labelledby", "for"):
            assert one.attributes.get(name, identities[0]) in identities
    assert [one.attributes.get("scope") for one in found.find("th")].count(None) == 0
    assert found.find("p", id="count")[0].attributes["aria-live"] == "polite"


def test_the_summary_says_what_was_gained_and_how_certain_it_is(whole):
    _, found = whole
    (text,) = (one.text for one in found.find("section", id="summary"))
    for said in (
        "The evolved activation is better than the plain sign (+5.00 points", "95 % interval +1.00 to +9.00",
        "Against 2 competitors: better than plain sign.", "About 1.20 points of that are luck.",
        "plain sign", "+5.00", "+1.00 to +9.00", "0.02", "better",
        "RSign", "failed", "too few trainings", "4 rejected untrained: constant sign", "mean of 2 trainings",
    ):  # fmt: skip
        assert said in text


def test_settings_versions_and_the_command(whole, hundred):
    _, found = whole
    (text,) = (one.text for one in found.find("section", id="settings"))
    assert "gaaf-gp evolve --population 10 --epochs 3" in text
    assert "gaaf-gp resume" not in text
    for said in ("proxy.epochs", "torch", "deap", "limits.height", "archive.sqlite"):
        assert said in text


def test_the_front_names_its_functions_for_mouse_and_keyboard(whole):
    _, found = whole
    links = [one for one in found.find("a") if "data-tip" in one.attributes]
    assert len(links) >= 2
    for one in links:
        assert one.attributes["aria-label"].startswith(one.attributes["data-tip"] + ": ")
        assert "cost" in one.attributes["data-more"]
    others = [one for one in found.find("circle") if "data-tip" in one.attributes]
    full = [one for one in found.all if one.attributes.get("data-kind", "").split()[:1] == ["full"]]
    assert len(links) + len(others) == len(full)
    assert sum("front" in one.attributes["data-kind"].split() for one in full) == len(links)


def test_one_drawing_serves_light_and_dark(whole):
    html, _ = whole
    assert "prefers-color-scheme: dark" in html
    assert "prefers-reduced-motion" in html
    figures = re.findall(r'<svg[^>]*aria-labelledby="figure-[^>]*>.*?</svg>', html, re.DOTALL)
    assert len(figures) == 5
    assert "<li>Ancestors of the winner: the winner was not bred of others" in html, "no panel for one box"
    for figure in figures:
        assert "var(--ink)" in figure
        assert "#fdfcf1" not in figure
        assert "<path" in figure
        assert "<text" in figure


@pytest.mark.parametrize("status", ["running", "interrupted", "failed"])
def test_a_run_that_goes_on_is_not_confirmed(tmp_path, make_run, fill_run, pset, status):
    run = make_run(tmp_path / "a b")
    every = fill_run(run, 30, 10)
    run.register.born("cos(x)", 3, "mutation", every[:1])  # on its way
    folder = run.end(status)
    html, found = built(folder, pset)
    assert "Not confirmed yet" in html
    assert "1 bred and not judged yet" in html
    assert f"gaaf-gp resume &#39;{folder}&#39;" in html
    assert {"running": "running, or killed", "failed": "ended with an error"}.get(status, status) in html
    assert len(found.find("details", class_="card")) == 30


def test_it_is_read_while_another_connection_writes(tmp_path, make_run, fill_run, pset):
    run = make_run(tmp_path / "run")
    fill_run(run, 20, 10)
    builder = Builder()
    before = builder.build(read_run(find_run(run.folder), pset))
    run.generation(2, ["cos(x)", "sin(x)"], ["cos(x)", "sin(x)"], ["max(sin(x), x)"])
    after = builder.build(read_run(find_run(run.folder), pset))
    run.end()
    assert before.count('class="card"') == 20
    assert after.count('class="card"') == 22
    assert "3 generations" in after


def test_nothing_yet_and_nothing_but_failures(tmp_path, make_run, pset):
    empty = make_run(tmp_path / "empty")
    html, _ = built(empty.folder, pset)
    assert "no training has ended yet" in html
    assert html.count("Not drawn:") == 1
    assert html.partition("Not drawn:")[2].partition("</ul>")[0].count("<li>") == 7
    empty.end()
    failing = make_run(tmp_path / "failing")
    for text in ("sin(x)", "cos(x)", "tan(x)"):
        failing.register.born(text, 0, "random")
        failing.train(text, failure="out of memory")
    failing.archive.note(failing.key, "sub(x, x)", 0, failure="constant sign")
    html, found = built(failing.end(), pset)
    assert "no candidate has been trained in full without failing" in html
    assert "3 failed" in html
    assert len(found.find("details", class_="card")) == 3


def test_two_trees(tmp_path, make_run, pset):
    run = make_run(tmp_path / "two", two_trees=True)
    for place, text in enumerate(("sin(x) | x", "max(sin(x), x) | @x", "cube(x) | atan(x)")):
        run.register.born(text, 0, "random")
        run.train(text, 0.4 + place / 100)
    run.register.generation(0, 3, ["sin(x) | x"])
    html, found = built(run.end(), pset)
    assert "Forward tree." in html
    assert len(found.find("figure", class_="tree")) == 6
    assert "g(x), backward" in html
    assert "--two-trees" in html


def test_an_archive_alone_and_one_without_a_register(tmp_path, make_run, fill_run, pset):
    run = make_run(tmp_path / "run")
    fill_run(run, 20, 10)
    folder = run.end()
    (folder / "config.json").unlink()
    html, _ = built(folder / "archive.sqlite", pset)
    assert "Not confirmed here" in html
    db = sqlite3.connect(folder / "archive.sqlite")
    db.executescript("DELETE FROM births; DELETE FROM generations")
    db.close()
    html, found = built(folder, pset)
    assert len(found.find("details", class_="card")) == 20
    assert html.count("the archive has no register of this search") == 3


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><b>",
    "{{ 7 * 7 }}",
    "$\\frac{1$ $x$",
)


def test_hostile_texts_stay_texts(tmp_path, make_run):
    script = HOSTILE[0]
    config = {"search": script, "pset": list(HOSTILE), "evaluations": script, script: {script: [script, None]}}
    run = make_run(tmp_path / "<b>run", config=config)
    for place, text in enumerate(HOSTILE):
        run.register.born(text, 0, "random", [HOSTILE[0]] if place else [])
        run.train(
            text,
            0.4 + place / 50,
            formula=text * 3,
            metrics={"nodes": 1e300, "cost": float(place), "height": float("nan")},
        )
        run.train("@sign", seed=place)
    run.register.generation(0, 5, list(HOSTILE))
    run.train("rejected", failure=script)
    run.write("result.json", made_results.content(verdict=script, standing=script, rejected={script: 3}))
    html, found = built(run.end())
    assert len(found.find("script")) == len(found.find("style")) == 1
    assert not found.find("img")
    assert not found.find("b")
    assert any("{{ 7 * 7 }}" in one.text for one in found.find("code"))
    assert escape(script) in html
    assert script not in html
    names = {name for one in found.all for name in one.attributes}
    assert not [name for name in names if name.startswith("on")]


def test_a_result_that_is_none_is_refused_in_one_line(tmp_path, make_run):
    run = make_run(tmp_path / "run")
    folder = run.end()
    for content in (
        '{"test": {"competitors": 3}}',
        '{"test": [1]}',
        "[]",
        '{"seconds": "long"}',
        "{",
        '{"rejected": 7}',
    ):
        (folder / "result.json").write_text(content)
        with pytest.raises(GaafError, match=r"result.json must (be|hold) .*: restore a copy") as refused:
            built(folder)
        assert "\n" not in str(refused.value)


def test_only_the_best_have_cards(hundred, pset):
    html, found = built(hundred, pset, most=7)
    assert len(found.find("details", class_="card")) == 7
    assert "The best 7 of 100 are shown." in html
    identities = {one.attributes.get("id") for one in found.all}
    assert all(one.attributes["href"][1:] in identities for one in found.find("a"))


def test_the_same_run_gives_the_same_page(hundred, pset):
    pages = [re.sub(r"Made by gaaf-gp on [\d: -]+", "", built(hundred, pset, most=5)[0]) for _ in range(2)]
    assert pages[0] == pages[1]
    assert json.loads((hundred / "config.json").read_text())["run"] in pages[0]
