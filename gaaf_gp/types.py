"""The marker types of the trees.

A typed tree is built by matching what a primitive returns with what another takes. Three kinds are enough for an
activation function; a set that forces a template derives its own types from them (``class Leaf(Feature)``), and a
subtype may stand wherever its base is asked for. None of these classes is ever instantiated: a tensor flows instead.
"""


class Feature:
    """A tensor of activations of shape (N, C, ...): batch, channels, then any number of space dimensions."""


class Channel:
    """A learnable vector with one value per channel, shaped to broadcast over a Feature: (1, C, 1, ...)."""


class Scalar:
    """An evolved constant: one number, the same for all channels, not changed by training. A 0-dim tensor."""


KINDS: tuple[type, ...] = (Feature, Channel, Scalar)


def kind_of(marker: type) -> type | None:
    """Return which of Feature, Channel and Scalar ``marker`` is or derives from, or None."""
    return next((kind for kind in KINDS if isinstance(marker, type) and issubclass(marker, kind)), None)
