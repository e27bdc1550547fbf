"""Modules and names of version 0.1 that changed: the old ones still work, with a DeprecationWarning, until 0.3."""

from __future__ import annotations

import importlib
import sys
import warnings
from types import ModuleType
from typing import Any

MOVED = {
    "gaaf_gp.archived_trainings": ("gaaf_gp.evaluation.cache",),
    "gaaf_gp.augment": ("gaaf_gp.data.augment",),
    "gaaf_gp.behaviour": ("gaaf_gp.activations.behaviour",),
    "gaaf_gp.bloat": ("gaaf_gp.search.bloat",),
    "gaaf_gp.candidates": ("gaaf_gp.trees.candidate",),
    "gaaf_gp.catalogue": ("gaaf_gp.activations.catalogue",),
    "gaaf_gp.commands": ("gaaf_gp.cli", "gaaf_gp.cli.output"),
    "gaaf_gp.commands.retrain": ("gaaf_gp.cli.retrain",),
    "gaaf_gp.comparison": ("gaaf_gp.statistics",),
    "gaaf_gp.compile": ("gaaf_gp.trees.compile",),
    "gaaf_gp.computing": ("gaaf_gp.util.devices", "gaaf_gp.training.step"),
    "gaaf_gp.confirmation": ("gaaf_gp.experiments.confirm",),
    "gaaf_gp.constants": ("gaaf_gp.search.constants",),
    "gaaf_gp.constraints": ("gaaf_gp.search.constraints", "gaaf_gp.util.checks"),
    "gaaf_gp.displays": ("gaaf_gp.util.console",),
    "gaaf_gp.distillation": ("gaaf_gp.training.retraining.distillation",),
    "gaaf_gp.enrichment": ("gaaf_gp.trees.enrichment",),
    "gaaf_gp.evolution": ("gaaf_gp.search.result",),
    "gaaf_gp.evolve": ("gaaf_gp.search.evolve", "gaaf_gp.search.result"),
    "gaaf_gp.executors": ("gaaf_gp.parallel.executors", "gaaf_gp.parallel.transfer"),
    "gaaf_gp.experiment": (
        "gaaf_gp.experiments.experiment",
        "gaaf_gp.experiments.plan",
        "gaaf_gp.experiments.settings",
        "gaaf_gp.util.devices",
    ),
    "gaaf_gp.fitness": ("gaaf_gp.evaluation.evaluator", "gaaf_gp.evaluation.trainer", "gaaf_gp.evaluation.records"),
    "gaaf_gp.function_table": ("gaaf_gp.evaluation.table",),
    "gaaf_gp.generation": ("gaaf_gp.trees.generation",),
    "gaaf_gp.genetic": ("gaaf_gp.search.genetic",),
    "gaaf_gp.graphs": ("gaaf_gp.training.step",),
    "gaaf_gp.individual": ("gaaf_gp.trees.individual",),
    "gaaf_gp.jobs": ("gaaf_gp.evaluation.trainer",),
    "gaaf_gp.journal": ("gaaf_gp.util.jsonl",),
    "gaaf_gp.judges": ("gaaf_gp.evaluation.fitness_function",),
    "gaaf_gp.loading": ("gaaf_gp.trees.load",),
    "gaaf_gp.loops": ("gaaf_gp.search.loops",),
    "gaaf_gp.native": ("gaaf_gp.binary.native",),
    "gaaf_gp.operators": ("gaaf_gp.trees.operators",),
    "gaaf_gp.outputs": ("gaaf_gp.experiments.run_folder",),
    "gaaf_gp.parser": ("gaaf_gp.trees.parser",),
    "gaaf_gp.plot": ("gaaf_gp.plots", "gaaf_gp.training.layer_inputs", "gaaf_gp.statistics"),
    "gaaf_gp.progress": ("gaaf_gp.search.progress", "gaaf_gp.evaluation.records", "gaaf_gp.util.console"),
    "gaaf_gp.proxy": ("gaaf_gp.training.proxy", "gaaf_gp.training.step", "gaaf_gp.training.outcome"),
    "gaaf_gp.pset": ("gaaf_gp.trees.pset",),
    "gaaf_gp.racing": ("gaaf_gp.evaluation.racing",),
    "gaaf_gp.randomness": ("gaaf_gp.util.randomness",),
    "gaaf_gp.recipe": ("gaaf_gp.training.retraining.settings",),
    "gaaf_gp.records": ("gaaf_gp.evaluation.records",),
    "gaaf_gp.results": ("gaaf_gp.experiments.run_folder", "gaaf_gp.util.provenance"),
    "gaaf_gp.retraining": ("gaaf_gp.training.retraining.retrain",),
    "gaaf_gp.search_comparison": ("gaaf_gp.search.best_so_far", "gaaf_gp.statistics"),
    "gaaf_gp.semantics": ("gaaf_gp.activations.behaviour",),
    "gaaf_gp.simplify": ("gaaf_gp.trees.simplify",),
    "gaaf_gp.stacked": ("gaaf_gp.training.stacked",),
    "gaaf_gp.streamed_data": ("gaaf_gp.data.streamed",),
    "gaaf_gp.streaming": ("gaaf_gp.data.decoding",),
    "gaaf_gp.table_evaluator": ("gaaf_gp.evaluation.table",),
    "gaaf_gp.table_file": ("gaaf_gp.evaluation.table",),
    "gaaf_gp.toolbox": ("gaaf_gp.search.toolbox",),
    "gaaf_gp.torchvision_compat": ("gaaf_gp.data.torchvision_compat",),
    "gaaf_gp.traits": ("gaaf_gp.trees.primitive",),
    "gaaf_gp.tree": ("gaaf_gp.trees.tree",),
    "gaaf_gp.winners_curse": ("gaaf_gp.statistics",),
}
"""Old module -> where its names are now."""

RENAMED = {
    "gaaf_gp.evolution:Evolution": "gaaf_gp.search.result:SearchResult",
    "gaaf_gp.evolve:Evolution": "gaaf_gp.search.result:SearchResult",
    "gaaf_gp.graphs:Repeated": "gaaf_gp.training.step:CudaGraphStep",
    "gaaf_gp.recipe:Recipe": "gaaf_gp.training.retraining.settings:RetrainSettings",
    "gaaf_gp.judges:FunctionJudge": "gaaf_gp.evaluation.fitness_function:PlainFitness",
    "gaaf_gp.judges:Judge": "gaaf_gp.evaluation.fitness_function:FitnessFunction",
    "gaaf_gp.judges:as_judge": "gaaf_gp.evaluation.fitness_function:as_fitness_function",
}
"""Old module and name -> module and name now."""


class _Moved(ModuleType):
    """Stands for a module that moved."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        renamed, _, new = RENAMED.get(f"{self.__name__}:{name}", f":{name}").partition(":")
        for place in (renamed,) if renamed else MOVED[self.__name__]:
            module = importlib.import_module(place)
            if hasattr(module, new):
                warnings.warn(
                    f"{self.__name__}.{name} has moved to {place}.{new}: import it from there",
                    DeprecationWarning,
                    stacklevel=2,
                )
                return getattr(module, new)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


def keep_old_paths() -> None:
    """Let ``import`` find the modules of :data:`MOVED`."""
    for name in MOVED:
        sys.modules.setdefault(name, _Moved(name, __doc__))
