"""Retraining: functions trained at full length on fresh seeds, and compared.

- ``retrain``: train functions and baselines, and test them
- ``fresh_seeds``: seeds that no search has used
- ``RetrainSettings``: epochs, stages, teacher and proxy of a retraining
- ``RetrainResult``: all trainings of a retraining, and their comparison
- ``TrainingResult``: one training of a retraining
- ``Distillation``: learning from a real-valued teacher
"""

from gaaf_gp.training.retraining.distillation import Distillation
from gaaf_gp.training.retraining.result import RetrainResult, TrainingResult
from gaaf_gp.training.retraining.retrain import fresh_seeds, retrain
from gaaf_gp.training.retraining.settings import RetrainSettings

__all__ = [
    "Distillation",
    "RetrainResult",
    "RetrainSettings",
    "TrainingResult",
    "fresh_seeds",
    "retrain",
]
