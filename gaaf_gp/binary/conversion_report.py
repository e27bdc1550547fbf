"""What became of each layer of a converted model, and why, as a record and as a table to read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Became = Literal["binary", "real", "removed"]


@dataclass(frozen=True)
class LayerReport:
    """What became of one layer, or of one ReLU.

    Attributes:
        name: its first name in the model, as in ``named_modules``.
        kind: its class before the conversion.
        weights: how many weights it has, biases and the like not counted.
        became: "binary", "real" for left as it is, "removed" for a ReLU that is gone.
        note: why; for binary layers what is special about them, mostly nothing.
    """

    name: str
    kind: str
    weights: int
    became: Became
    note: str = ""


@dataclass(frozen=True)
class ConversionReport:
    """What became of the layers of a model; ``str()`` is a table.

    Attributes:
        layers: one entry per layer with weights and per ReLU that matters, in the order of registration.
        order: where "first" and "last" come from: the calls for an example, or the order of registration.
        warnings: what is likely to keep the binary model from learning, one sentence each.
    """

    layers: tuple[LayerReport, ...]
    order: Literal["execution", "registration"]
    warnings: tuple[str, ...] = ()

    def names(self, became: Became) -> list[str]:
        """Return the names of all that became ``became``."""
        return [layer.name for layer in self.layers if layer.became == became]

    @property
    def share(self) -> float:
        """The share of the weights that are binary, from 0 to 1."""
        total = sum(layer.weights for layer in self.layers)
        return sum(layer.weights for layer in self.layers if layer.became == "binary") / total if total else 0.0

    def __str__(self) -> str:
        weighted = [layer for layer in self.layers if layer.became != "removed"]
        rows = [("layer", "kind", "weights", "now", "note")]
        for layer in self.layers:
            weights = f"{layer.weights:,}" if layer.weights else ""
            rows.append((layer.name, layer.kind, weights, layer.became, layer.note))
        binary = len(self.names("binary"))
        lines = [
            *_aligned(rows),
            "",
            f"{binary} of {len(weighted)} layers are binary, with {self.share:.1%} of the weights; "
            f"ReLUs removed: {len(self.layers) - len(weighted)}; first and last by order of {self.order}",
            *(f"warning: {warning}" for warning in self.warnings),
        ]
        return "\n".join(lines)


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            # numbers end below each other
            cell.rjust(width) if place == 2 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
