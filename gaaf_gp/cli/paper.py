"""The command of runs/paper_encoding1.py and runs/paper_encoding2.py: the choices of a search become its options."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from rich.console import Console
from typer import Option

from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.experiments import run_folder
from gaaf_gp.experiments.experiment import Search, run
from gaaf_gp.experiments.settings import Settings
from gaaf_gp.search.genetic import PUBLISHED, REPAIRED, Repairs, genetic
from gaaf_gp.search.result import SearchResult
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util.console import Show
from gaaf_gp.util.devices import available_cores


@dataclass(frozen=True, kw_only=True)
class PaperSearch:
    """A run of the paper's genetic algorithm, with confirmation.

    Attributes:
        primitives: the set, as :func:`gaaf_gp.trees.load.load_primitives` takes it.
        data: data set or folder, as ``gaaf-gp evolve`` takes it.
        evaluations: fitness values that the algorithm may ask for.
        population: individuals of the population.
        children: of a generation.
        threshold: accuracy (0 to 1) that a first individual must exceed.
        epochs: that a candidate is trained for.
        seed: of the search, the split and the training.
        out: folder for the results; where it is taken, the next free name.
    """

    primitives: str
    data: str
    evaluations: int
    population: int
    children: int
    threshold: float
    epochs: int
    seed: int
    out: Path

    def command(self) -> Callable[..., None]:
        """Return the command, for :func:`gaaf_gp.cli.script`; what it does by default is what is chosen here."""

        def main(
            published: Annotated[
                bool, Option("--published", help="Run the algorithm with its known weaknesses.")
            ] = False,
            data: Annotated[str, Option(help="Data set or folder, as gaaf-gp evolve takes it.")] = self.data,
            evaluations: Annotated[
                int, Option(help="Fitness values that the algorithm may ask for.")
            ] = self.evaluations,
            population: Annotated[int, Option(help="Individuals of the population.")] = self.population,
            epochs: Annotated[int, Option(help="Epochs that a candidate is trained for.")] = self.epochs,
            batch_size: Annotated[int, Option(help="Images per training step.")] = 128,
            random_search: Annotated[
                bool,
                Option("--random-search/--no-random-search", help="Spend as many evaluations on random search too."),
            ] = True,
            limit: Annotated[int | None, Option(help="Use at most this many images for the search.")] = None,
            seed: Annotated[int, Option(help="One seed gives one result, but for --published.")] = self.seed,
            workers: Annotated[int | None, Option(help="Worker processes.", show_default="all cores")] = None,
            out: Annotated[
                Path | None, Option(help="New or empty folder.", show_default=f"{self.out}, or the next")
            ] = None,
        ) -> None:
            """Search with the paper's genetic algorithm, and confirm the winner on fresh seeds."""
            settings = Settings(
                out=run_folder.next_free(self.out) if out is None else out,
                primitives=self.primitives,
                data=data,
                evaluations=evaluations,
                workers=available_cores() if workers is None else workers,
                seed=seed,
                population=population,
                random_search=random_search,
                racing=False,  # every fitness is that of a full training, as in the paper
                proxy={"epochs": epochs, "batch_size": batch_size},
                data_settings={"limit": limit},
            )
            self._run(settings, PUBLISHED if published else REPAIRED)

        return main

    def _run(self, settings: Settings, repairs: Repairs) -> None:
        own = {"children": self.children, "threshold": self.threshold, "repairs": asdict(repairs)}
        result = run(settings, search=self.search(repairs), notes={"search": "genetic", **own})
        run_folder.print_summary(result, run_folder.hall_rows(settings.out), settings.out, Console())

    def search(self, repairs: Repairs) -> Search:
        """Return the algorithm as :func:`gaaf_gp.experiments.experiment.run` takes it; the evaluations alone end it."""

        def search(settings: Settings, pset: PrimitiveSet, evaluator: Evaluator, shown: Show) -> SearchResult:
            return genetic(
                pset,
                evaluator,
                evaluations=settings.evaluations,
                population_size=settings.population,
                generations=None,
                children=self.children,
                threshold=self.threshold,
                repairs=repairs,
                seed=settings.seed,
                progress=shown,
            )

        return search
