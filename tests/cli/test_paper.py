"""The command of the paper's searches does by default what a script has chosen; tests/runs/test_paper.py runs it."""

import inspect
from pathlib import Path

import pytest

from gaaf_gp.cli import paper
from gaaf_gp.cli.paper import PaperSearch
from gaaf_gp.experiments.settings import Settings
from gaaf_gp.search.genetic import PUBLISHED, REPAIRED

CHOSEN = PaperSearch(
    primitives="primitives.gaaf:encoding1",
    data="cifar10",
    evaluations=77,
    population=5,
    children=3,
    threshold=0.25,
    epochs=4,
    seed=9,
    out=Path("out/some"),
)


def test_the_choices_are_the_defaults() -> None:
    defaults = {name: one.default for name, one in inspect.signature(CHOSEN.command()).parameters.items()}
    assert {"data": "cifar10", "evaluations": 77, "population": 5, "epochs": 4, "seed": 9}.items() <= defaults.items()
    assert not defaults["published"]
    assert defaults["out"] is None, "the next free name after out/some"


def test_options_and_choices_reach_the_search(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: dict[str, object] = {}

    def genetic(pset: object, evaluator: object, **settings: object) -> None:
        seen.update(settings)

    def run(settings: Settings, *, search: object, notes: dict[str, object]) -> dict[str, object]:
        assert callable(search)
        search(settings, None, None, "lines")
        seen.update(notes=notes, settings=settings)
        return {}

    monkeypatch.setattr(paper, "genetic", genetic)
    monkeypatch.setattr(paper, "run", run)
    monkeypatch.setattr(paper.outputs, "hall_rows", lambda _: [])
    monkeypatch.setattr(paper.outputs, "print_summary", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    for published, repairs in ((True, PUBLISHED), (False, REPAIRED)):
        CHOSEN.command()(published=published, evaluations=8, workers=1, batch_size=16, limit=60, random_search=False)
        assert seen["repairs"] == repairs
        assert (seen["evaluations"], seen["population_size"], seen["generations"]) == (8, 5, None)
        assert (seen["children"], seen["threshold"], seen["seed"], seen["progress"]) == (3, 0.25, 9, "lines")
        notes, settings = seen["notes"], seen["settings"]
        assert isinstance(notes, dict)
        assert isinstance(settings, Settings)
        assert (notes["search"], notes["children"], notes["threshold"]) == ("genetic", 3, 0.25)
        assert any(notes["repairs"].values()) != published
        assert (settings.out, settings.data, settings.racing) == (Path("out/some"), "cifar10", False)
        assert settings.proxy == {"epochs": 4, "batch_size": 16}
        assert (settings.data_settings, settings.random_search, settings.workers) == ({"limit": 60}, False, 1)
