"""The inputs on which functions are judged: every one that layers read, and several settings of what is learned."""

import torch

from gaaf_gp.binary import bfloat16_inputs
from gaaf_gp.trees.grid import compared, in_full, place_of_one, vector_settings, visited


def test_the_grid_is_every_bfloat16_value_from_a_millionth_to_64() -> None:
    points = visited().flatten()
    assert torch.equal(points, points.to(torch.bfloat16).float())
    sizes = torch.cat([2.0**e * (1 + torch.arange(128) / 128) for e in range(-20, 6)] + [torch.tensor([64.0])])
    assert torch.equal(points.unique(), torch.cat([sizes, -sizes]).unique())
    assert len(points) % 32 == 0


def test_one_is_where_it_is_said_to_be() -> None:
    assert float(visited()[place_of_one()]) == 1


def test_what_is_compared_begins_with_what_is_judged_and_has_zero() -> None:
    both, judged = compared().flatten(), visited().flatten()
    assert torch.equal(both[: len(judged)], judged)
    rest = both[len(judged) :]
    every = bfloat16_inputs().flatten()
    smaller = every[(every == 0) | ((every.abs() >= 2.0**-40) & (every.abs() < 2.0**-20))]
    assert torch.equal(rest.unique(), smaller.unique())


def test_settings_start_as_they_are_and_move_both_ways() -> None:
    first, count = vector_settings(0, 1.0).flatten(), len(compared())
    assert len(first) == len(in_full())
    assert torch.equal(first[:count], torch.ones(count))
    moved = first[count:]
    assert -2 <= float(moved.min()) < -1.9
    assert 3.9 < float(moved.max()) <= 4
    assert not torch.equal(moved, vector_settings(1, 1.0).flatten()[count:])


def test_further_points_have_low_bits_and_stay_close() -> None:
    points, further = visited(), in_full()[len(compared()) :].view(2, -1, 1)
    assert not torch.equal(further[0], further[1])
    for some in further:
        ratio = some / points
        assert 1 <= float(ratio.min())
        assert float(ratio.max()) <= 1 + 1 / 256
        assert float((some != some.to(torch.bfloat16).float()).double().mean()) > 0.9
