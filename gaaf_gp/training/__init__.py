"""Training: one candidate trained in a binary network; :mod:`gaaf_gp.training.retraining` does it at full length.

- ``Proxy``: the training task of a search: data, network, epochs
- ``DEFAULT_EPOCHS``: epochs of a proxy that says nothing else
- ``Outcome``: how one training ended
- ``Epoch``: loss and accuracy of one epoch
- ``TrainingState``: weights and optimiser between two epochs
- ``Budget``: limits of time and memory of a training
- ``train_stacked``: many candidates trained at once, for GPUs
- ``layer_inputs``: what the layers of a trained network see
"""

from gaaf_gp.training.budget import Budget
from gaaf_gp.training.layer_inputs import layer_inputs
from gaaf_gp.training.outcome import Epoch, Outcome, TrainingState
from gaaf_gp.training.proxy import DEFAULT_EPOCHS, Proxy
from gaaf_gp.training.stacked import train_stacked

__all__ = [
    "DEFAULT_EPOCHS",
    "Budget",
    "Epoch",
    "Outcome",
    "Proxy",
    "TrainingState",
    "layer_inputs",
    "train_stacked",
]
