"""Adam against torch's own, bit for bit, with parameters that get no gradient and in any layout of memory."""

import subprocess
import sys

import pytest
import torch

from gaaf_gp.training.adam import MOMENTS, Adam

SHAPES = ((4, 3, 3, 3), (7,), (), (2, 5))


def parameters(seed=0):
    generator = torch.Generator().manual_seed(seed)
    made = [torch.randn(shape, generator=generator) for shape in SHAPES]
    made[0] = made[0].contiguous(memory_format=torch.channels_last)
    return [one.requires_grad_() for one in made]


def give_gradients(own, seed, *, without=()):
    generator = torch.Generator().manual_seed(seed)
    for number, one in enumerate(own):
        gradient = torch.randn(one.shape, generator=generator)
        one.grad = None if number in without else torch.empty_like(one, requires_grad=False).copy_(gradient)


@pytest.mark.parametrize("without", [(), (1,), (0, 2)])
def test_steps_are_those_of_torch_bit_for_bit(without):
    ours, theirs = parameters(), parameters()
    adam, expected = Adam(ours), torch.optim.Adam(theirs, fused=True)
    for step in range(6):
        rate = 0.1 / (1 + step)
        for own in (ours, theirs):
            give_gradients(own, step, without=without if step % 2 else ())
        adam.step(rate)
        expected.param_groups[0]["lr"] = rate
        expected.step()
        for one, other in zip(ours, theirs, strict=True):
            assert torch.equal(one, other)
    for number, other in enumerate(theirs):
        for name in MOMENTS:
            assert torch.equal(adam.moments()[number][name], expected.state[other][name])


def test_a_parameter_that_never_had_a_gradient_stays_and_has_no_moments():
    own = parameters()
    before = own[1].detach().clone()
    adam = Adam(own)
    give_gradients(own, 0, without=(1,))
    adam.step(0.1)
    assert torch.equal(own[1], before)
    assert sorted(adam.moments()) == [0, 2, 3]


def test_without_any_gradient_nothing_happens():
    own = parameters()
    adam = Adam(own)
    adam.step(0.1)
    assert adam.moments() == {}
    assert all(torch.equal(one, other) for one, other in zip(own, parameters(), strict=True))


def test_gradients_are_forgotten():
    own = parameters()
    give_gradients(own, 0)
    Adam(own).zero_grad()
    assert [one.grad for one in own] == [None] * len(SHAPES)


def test_restored_moments_are_copies_in_the_layout_of_the_parameters_and_go_on_alike():
    first, second = parameters(), parameters()
    one, two = Adam(first), Adam(second)
    give_gradients(first, 0)
    one.step(0.1)
    for target, source in zip(second, first, strict=True):
        target.data.copy_(source.data)
    contiguous = {
        n: {name: torch.clone(value, memory_format=torch.contiguous_format) for name, value in kept.items()}
        for n, kept in one.moments().items()
    }
    two.restore(contiguous)
    assert two.moments()[0]["exp_avg"].stride() == second[0].stride() != contiguous[0]["exp_avg"].stride()
    for own, adam in ((first, one), (second, two)):
        give_gradients(own, 1)
        adam.step(0.1)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert float(contiguous[0]["step"]) == 1


@pytest.mark.parametrize("shape", [(4, 3), (3, 7), (5, 2, 9), (2, 33), (32, 3), (6,), (3, 4, 2, 3, 3)])
def test_no_bit_of_a_row_depends_on_its_place_or_on_the_others(shape):
    """Rows of 0, 1 and many whole vectors: torch rounds what no vector is filled with otherwise."""
    generator = torch.Generator().manual_seed(0)
    row = torch.randn(shape[1:], generator=generator)
    alike, mixed = (torch.stack([row] * shape[0]) for _ in range(2))
    mixed[:-1] = torch.randn((shape[0] - 1, *shape[1:]), generator=generator)
    own = [one.requires_grad_() for one in (alike, mixed)]
    adam = Adam(own, rows=True)
    for _ in range(40):
        gradient = torch.randn(shape[1:], generator=generator)
        alike.grad = torch.stack([gradient] * shape[0])
        mixed.grad = torch.randn(shape, generator=generator)
        mixed.grad[-1] = gradient
        adam.step(0.1)
    first, second = adam.moments().values()
    assert torch.equal(mixed[-1], alike[-1])
    for rows in (alike, first["exp_avg"], first["exp_avg_sq"]):
        assert all(torch.equal(one, rows[-1]) for one in rows)
    assert torch.equal(second["exp_avg"][-1], first["exp_avg"][-1])
    assert float(first["step"]) == float(second["step"]) == 40


def test_rows_of_their_own_are_moved_as_torch_moves_them_alone():
    alone = [torch.full((3,), 0.5 + place).requires_grad_() for place in range(4)]
    rows = torch.stack([one.detach() for one in alone]).requires_grad_()
    each, together = Adam(alone), Adam([rows], rows=True)
    for step in range(6):
        rows.grad = torch.randn((4, 3), generator=torch.Generator().manual_seed(step))
        for place, one in enumerate(alone):
            one.grad = rows.grad[place].clone()
        each.step(0.1)
        together.step(0.1)
    assert torch.equal(rows, torch.stack([one.detach() for one in alone]))


def test_a_worker_does_without_the_compiler_of_torch():
    code = (
        "import sys, torch\nfrom gaaf_gp.training.adam import Adam\n"
        "p = torch.ones(3, requires_grad=True)\np.sum().backward()\n"
        "Adam([p]).step(0.1)\nprint('torch._dynamo' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert found.stdout.strip() == "False"
