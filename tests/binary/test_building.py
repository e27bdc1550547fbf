"""What networks are made of: sizes that are refused, settings of their convolutions, an activation for each."""

import pytest
import torch
from torch import Tensor, nn

from gaaf_gp.binary import PAPER, BinaryConv2d, BinaryNetwork, Surrogate, binary_layers
from gaaf_gp.binary.building import activated, check_sizes, convolution_maker
from gaaf_gp.errors import GaafError


class Noise(nn.Module):
    """x + s with an s per channel that is drawn when it is made."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.s = nn.Parameter(torch.randn(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return x + s."""
        return x + self.s.view(-1, 1, 1)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, 1, (4,)), "num_classes must be a whole number of at least 1, got 0"),
        ((2, True, (4,)), "in_channels must be a whole number of at least 1, got True"),
        ((2, 1, ()), r"widths must be a sequence of at least one whole number, got \(\)"),
        ((2, 1, "48"), "widths must be a sequence of at least one whole number, got '48'"),
        ((2, 1, (4, 0)), "widths must be a whole number of at least 1, got 0"),
    ],
)
def test_sizes_that_no_network_has_are_refused(sizes: tuple[object, ...], message: str) -> None:
    with pytest.raises(GaafError, match=message):
        check_sizes(*sizes)  # type: ignore[arg-type]


def test_convolutions_are_the_papers_but_for_what_is_said() -> None:
    plain, own = convolution_maker({})(2, 3, 3), convolution_maker({"pad_value": 1.0, "window": 0.5})(2, 3, 3)
    assert (plain.surrogate, plain.pad_value) == (Surrogate("clipped", 1.3), 0.0)
    assert plain.weight_surrogate.window == own.weight_surrogate.window == PAPER["weight_window"] == 1.3
    assert (own.surrogate, own.pad_value) == (Surrogate("clipped", 0.5), 1.0)


def test_each_convolution_gets_an_activation_for_its_channels_and_nothing_else_changes() -> None:
    torch.manual_seed(3)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), BinaryConv2d(2, 5, 3), BinaryConv2d(5, 4, 3))
    before, state = [one.clone() for one in network.parameters()], torch.get_rng_state()
    assert activated(network, None) is network
    assert activated(network, Noise) is network
    assert torch.equal(torch.get_rng_state(), state)
    made = [layer.activation for layer in binary_layers(network)]
    assert [one.s.shape for one in made if isinstance(one, Noise)] == [(2,), (5,)]
    kept = [one for name, one in network.named_parameters() if "activation" not in name]
    assert all(torch.equal(one, other) for one, other in zip(kept, before, strict=True))


def test_the_classifier_sees_the_mean_of_the_last_feature_map() -> None:
    torch.manual_seed(0)
    stem, stages, classifier = nn.Conv2d(1, 3, 3), nn.Conv2d(3, 4, 2), nn.Linear(4, 2)
    x = torch.randn(5, 1, 9, 7)
    expected = classifier(stages(stem(x)).mean((2, 3)))
    torch.testing.assert_close(BinaryNetwork(stem, stages, classifier)(x), expected)
