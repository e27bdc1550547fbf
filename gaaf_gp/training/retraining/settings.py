"""Settings of a retraining: its length, its stages, its teacher, and those of the proxy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from gaaf_gp.data.load import AnyData
from gaaf_gp.errors import GaafError, listed
from gaaf_gp.training.outcome import Loss
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.training.retraining.distillation import Distillation
from gaaf_gp.util.checks import plain_number, whole_fields

_OWN = ("data", "epochs", "real_weights", "loss")
"""Settings of a Proxy that follow from those of the retraining."""


@dataclass(frozen=True)
class RetrainSettings:
    """How every candidate of a retraining is trained.

    Attributes:
        epochs: of a whole training, all stages together.
        two_stage: the share of them, from 0 to below 1, that runs first, with binary activations and real weights. The
            second stage starts from its weights, with binary ones, a new optimiser and a new schedule. 0 for one stage.
        distillation: the teacher, None for none; it teaches in both stages.
        proxy: further arguments of :class:`gaaf_gp.Proxy`: network, batch size, learning rate, ...

    Raises:
        GaafError: for a setting out of its range, or one that a Proxy does not have.
    """

    epochs: int
    two_stage: float = 0.0
    distillation: Distillation | None = None
    proxy: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        whole_fields(self, epochs=1)
        share = plain_number(self.two_stage)
        if share is None or not 0 <= share < 1:
            raise GaafError(
                f"two_stage must be a share of the epochs, from 0 to below 1, got {self.two_stage!r}: 0.5 for half"
            )
        if self.two_stage and self.epochs < 2:
            raise GaafError(f"two stages need at least 2 epochs, got {self.epochs}: train longer, or in one stage")
        known = [one.name for one in fields(Proxy) if one.name not in _OWN]
        unknown = [name for name in self.proxy if name not in known]
        if unknown:
            raise GaafError(
                f"a retraining passes settings on to Proxy, which has no {listed(unknown)} to pass; known: "
                f"{listed(known, 20)}"
            )

    @property
    def lengths(self) -> tuple[int, ...]:
        """Epochs of each stage."""
        if not self.two_stage:
            return (self.epochs,)
        first = min(max(1, round(self.two_stage * self.epochs)), self.epochs - 1)
        return first, self.epochs - first

    def stages(self, data: AnyData, loss: Loss | None = None) -> tuple[Proxy, ...]:
        """Return the training tasks, in order.

        Args:
            data: what they train and validate on.
            loss: of all stages; None for cross-entropy.

        Raises:
            GaafError: a setting of the Proxy is out of its range.
        """
        lengths = self.lengths
        return tuple(
            Proxy(data, epochs=epochs, real_weights=place < len(lengths) - 1, loss=loss, **self.proxy)
            for place, epochs in enumerate(lengths)
        )
