"""The section on what makes the gain: figures as ``explain.json`` has them, hostile texts, and what is refused."""

import json

import pytest

from gaaf_gp.errors import GaafError
from gaaf_gp.experiments.report import build_page
from gaaf_gp.experiments.report.why import why
from gaaf_gp.experiments.run_data import find_run, read_run
from tests.experiments.report.test_page import HOSTILE


@pytest.fixture
def run(make_run, fill_run, tmp_path):
    run = make_run(tmp_path / "run")
    fill_run(run, 5, 5)
    return run


def section(page):
    return page.split('<section id="why"')[1].split("</section>")[0]


def test_a_run_that_nobody_asked_about_has_no_section(run):
    data = read_run(find_run(run.end()))
    assert why(data) is None
    assert 'id="why"' not in build_page(data)
    assert "#why" not in build_page(data)


def test_the_section_has_the_figures_of_the_file(run):
    found = run.explain("atan(x)", "atan(x)")
    data = read_run(find_run(run.end()))
    shown = why(data)
    assert shown.found == found
    assert [one.name for one in shown.effects] == ["f minus the plain sign", *(one.name for one in found.effects)]
    gains = [found.gain, *(one.gain for one in found.effects)]
    assert [one.difference for one in shown.effects] == pytest.approx([100 * one.difference.mean for one in gains])
    assert all(abs(end) < shown.reach for one in shown.effects for end in (one.low, one.high))
    said = [one.said for one in shown.effects]
    assert said[:3] == ["significant", "trained alike", "significant"]
    html = section(build_page(data))
    assert found.verdict() in html
    assert html.count("<svg") == sum(one != "trained alike" for one in said) + 1, "and one scale"
    assert html.count("sign(f)") == 4
    assert "m = 1.5 " in html
    assert "Failures" not in html


def test_texts_of_the_file_are_shown_and_never_run(run):
    text = " ".join(HOSTILE)
    run.explain(text, text, failure=text, alike=False)
    data = read_run(find_run(run.end()))
    html = section(build_page(data))
    assert not any(one in html for one in HOSTILE if "<" in one)
    assert "<script" not in html
    assert html.count("Failures") == 1


def test_a_page_is_built_again_when_an_explanation_comes(run):
    place = find_run(run.end())
    assert run.folder / "explain.json" in place.files


def test_a_damaged_file_is_refused_in_one_line(run):
    run.explain("atan(x)", "atan(x)")
    file = run.end() / "explain.json"
    content = json.loads(file.read_text())
    for wrong in ({}, {**content, "effects": []}, {**content, "cells": [{}] * 8}, {**content, "proxy": {}}):
        file.write_text(json.dumps(wrong))
        with pytest.raises(GaafError, match=r"explain\.json must hold an explanation"):
            build_page(read_run(find_run(run.folder)))
    file.write_text("{")
    with pytest.raises(GaafError, match=r"explain\.json must be JSON"):
        build_page(read_run(find_run(run.folder)))
