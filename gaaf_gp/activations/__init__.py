"""Activations: candidates as the activations of a network, how they behave, and the catalogue of winners.

- ``activation_factory``: candidate -> what makes the activation of each layer
- ``two_signs``: a forward and a backward function as one activation
- ``behaviour``: sign, windowed derivative and failure of a candidate, without training
- ``Behaviour``: what ``behaviour`` returns
- ``load_activation``: the activation of a catalogue entry
- ``CatalogueEntry``: a function that won, and where it was measured
- ``Response``: f, its sign and its gradient over x, for plots
"""

from gaaf_gp.activations.behaviour import Behaviour, behaviour
from gaaf_gp.activations.catalogue import CatalogueEntry, load_activation
from gaaf_gp.activations.factory import activation_factory, two_signs
from gaaf_gp.activations.response import Response

__all__ = [
    "Behaviour",
    "CatalogueEntry",
    "Response",
    "activation_factory",
    "behaviour",
    "load_activation",
    "two_signs",
]
