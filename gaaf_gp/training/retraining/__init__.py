"""Retraining: functions trained at full length on fresh seeds, and compared.

- ``retrain``: train functions and baselines, and test them
- ``fresh_seeds``: seeds that no search has used
- ``Recipe``: epochs, schedule, stages and teacher of a retraining
- ``Retrained``: all trainings of a retraining, and their comparison
- ``Trained``: one training of a retraining
- ``Distillation``: learning from a real-valued teacher
"""

from gaaf_gp.training.retraining.distillation import Distillation
from gaaf_gp.training.retraining.recipe import Recipe
from gaaf_gp.training.retraining.result import Retrained, Trained
from gaaf_gp.training.retraining.retrain import fresh_seeds, retrain

__all__ = [
    "Distillation",
    "Recipe",
    "Retrained",
    "Trained",
    "fresh_seeds",
    "retrain",
]
