"""What a primitive is tried on, and one refusal for each rule that it can break."""

import itertools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from gaaf_gp.errors import GaafError
from gaaf_gp.trees import primitive
from gaaf_gp.trees.primitive import CHANNELS, DTYPES, POINTS, Traits, probe, try_out
from gaaf_gp.types import Channel, Feature, Scalar

ALL = frozenset({"value", "gradient"})


class Leaf(Feature):
    """A subtype is tried like its kind."""


def recorded(in_types: Sequence[type], learnable: Sequence[float] = ()) -> list[tuple[Tensor, ...]]:
    calls: list[tuple[Tensor, ...]] = []

    def f(*arguments: Tensor) -> Tensor:
        calls.append(tuple(argument.detach().clone() for argument in arguments))
        shape = torch.broadcast_shapes(*(argument.shape for argument in arguments))
        return torch.zeros(shape, dtype=arguments[0].dtype)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(primitive, "check_contract", lambda *_: None)  # f does what it refuses, and it has other points
        probe("f", Traits(f, learnable=tuple(learnable)), in_types)
    return calls


def refusal(
    function: Callable[..., Any],
    in_types: Sequence[type] = (Feature,),
    learnable: Sequence[float] = (),
    nonfinite: frozenset[str] = frozenset(),
) -> str:
    with pytest.raises(GaafError, match=r"^primitive 'f' must ") as caught:
        probe("f", Traits(function, learnable=tuple(learnable)), in_types, nonfinite)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("in_types", "learnable", "shapes"),
    [
        ((Feature,), (), ((7, CHANNELS, 1, 2),)),
        ((Leaf, Feature), (), ((49, CHANNELS, 1, 2),) * 2),
        ((Feature, Channel, Scalar), (2.0,), ((7, CHANNELS, 1, 2), (1, CHANNELS, 1, 1), (), (1, CHANNELS, 1, 1))),
        ((Channel,), (), ((1, CHANNELS, 1, 1),)),
        ((Scalar, Scalar), (), ((), ())),
    ],
)
def test_arguments_have_the_shapes_of_their_kinds(
    in_types: Sequence[type], learnable: Sequence[float], shapes: tuple[tuple[int, ...], ...]
) -> None:
    calls = recorded(in_types, learnable)
    assert {tuple(tuple(argument.shape) for argument in call) for call in calls} == {shapes}
    assert {argument.dtype for call in calls for argument in call} == {torch.float32, torch.bfloat16}


@pytest.mark.parametrize(
    "in_types", [(Feature,) * 2, (Feature,) * 3, (Feature, Scalar), (Scalar, Feature, Scalar), (Feature, Channel)]
)
def test_every_combination_of_points_is_tried(in_types: Sequence[type]) -> None:
    wanted = set(itertools.product(POINTS, repeat=len(in_types)))
    calls = [call for call in recorded(in_types) if call[0].dtype == torch.float32]
    rows = [torch.broadcast_tensors(*call) for call in calls]
    tried = {values for row in rows for values in zip(*(column.flatten().tolist() for column in row), strict=True)}
    assert tried == wanted
    assert {0.0, 1.0, -1.0} < set(POINTS)
    assert max(POINTS) >= 1e4
    assert min(POINTS) <= -1e4


def test_each_of_many_arguments_is_tried_at_every_point() -> None:
    for call in recorded((Feature,) * 5):
        for argument in call:
            assert {round(value, 1) for value in argument[:, 0, 0, 0].tolist()} == {
                round(torch.tensor(point, dtype=argument.dtype).item(), 1) for point in POINTS
            }


def test_learnable_vectors_come_last_with_their_initial_values() -> None:
    for call in recorded((Feature,), (0.25, -3.0)):
        assert [sorted(set(vector.flatten().tolist())) for vector in call[1:]] == [[0.25], [-3.0]]


def in_float32(x: Tensor) -> Tensor:
    return torch.sin(x.float())


def raises_two_lines(x: Tensor) -> Tensor:
    raise ArithmeticError("first line\nsecond line")


def raises_nothing_said(x: Tensor) -> Tensor:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("function", "in_types", "said"),
    [
        (
            lambda x: x.sum(),
            (Feature,),
            r"keep the shape of its arguments \(7, 3, 1, 2\), got \(\): work element by element",
        ),
        (lambda x: x.mean(1, keepdim=True), (Feature,), r"got \(7, 1, 1, 2\)"),
        (lambda _x, s: s, (Feature, Channel), r"\(7, 3, 1, 2\), got \(1, 3, 1, 1\)"),
        (in_float32, (Feature,), r"dtype of its arguments torch.bfloat16, got torch.float32: .*\.to\(x\.dtype\)"),
        (lambda x: x.double(), (Feature,), "got torch.float64"),
        (lambda x: x > 0, (Feature,), "got torch.bool"),
        (lambda _x: 1.0, (Feature,), "return a tensor, got float: use torch operations"),
        (lambda _x: None, (Feature,), "got NoneType"),
        (lambda x: (x, x), (Feature,), "got tuple"),
        (math.sin, (Feature,), r"accept \(Feature\) tensors, but it raised (RuntimeError|ValueError)"),
        (lambda x: x, (Feature, Scalar), r"accept \(Feature, Scalar\) tensors, but it raised TypeError"),
        (raises_two_lines, (Feature,), r"raised ArithmeticError \(first line\): write it"),
        (raises_nothing_said, (Feature,), r"raised NotImplementedError \(no message\): write it with torch"),
        (lambda x: x.mul_(2), (Feature,), "raised RuntimeError"),
    ],
)
def test_a_broken_rule_of_the_result_is_named(
    function: Callable[..., Any], in_types: Sequence[type], said: str
) -> None:
    assert re.search(said, refusal(function, in_types))
    assert re.search(said, refusal(function, in_types, nonfinite=ALL)), "nonfinite excuses neither shape nor dtype"


def test_the_arguments_of_a_failing_call_are_listed() -> None:
    assert "(Channel, Feature, learnable vector)" in refusal(lambda _c, x: x, (Channel, Feature), (1.0,))


@pytest.mark.parametrize(
    ("function", "in_types", "learnable", "said"),
    [
        (lambda x: 1 / x, (Feature,), (), "value, got inf at (0) in torch.float32"),
        (torch.log, (Feature,), (), "value, got -inf at (0) "),
        (torch.exp, (Feature,), (), "value, got inf at (10000) "),
        (torch.acos, (Feature,), (), "value, got nan at (-2.5) "),
        (torch.div, (Feature, Feature), (), "value, got nan at (0, 0) "),
        (lambda x, y: x / (y - 1), (Feature, Feature), (), "value, got nan at (0, 1) "),
        (torch.div, (Feature, Scalar), (), "value, got nan at (0, 0) "),
        (torch.div, (Scalar, Scalar), (), "value, got nan at (0, 0) "),
        (torch.div, (Feature,), (0.0,), "value, got nan at (0, 0) "),
        (lambda x, s: x / (s + 1), (Feature, Channel), (), "value, got nan at (0, -1) "),
        (lambda x: torch.sqrt(torch.abs(x)), (Feature,), (), "gradient, got nan at (0) in torch.float32"),
        (lambda x, c: x * torch.sqrt(torch.abs(c - 1)), (Feature, Channel), (), "gradient, got nan at (1) "),
        (lambda x, s: x * x * torch.sqrt(s), (Feature,), (0.0,), "gradient, got inf at (0) "),
        (lambda x: torch.asin(torch.clamp(x, -1, 1)), (Feature,), (), "gradient, got inf at (1) "),
    ],
)
def test_a_value_or_gradient_that_is_not_finite_is_shown_with_its_place(
    function: Callable[..., Any], in_types: Sequence[type], learnable: Sequence[float], said: str
) -> None:
    message = refusal(function, in_types, learnable)
    assert f"must have a finite {said}" in message
    word = said.split(",", maxsplit=1)[0]
    assert f'nonfinite=("{word}",)' in message
    probe("f", Traits(function, learnable=tuple(learnable)), in_types, ALL)
    if word == "value":
        refusal(function, in_types, learnable, frozenset({"gradient"}))
    else:
        probe("f", Traits(function, learnable=tuple(learnable)), in_types, frozenset({"gradient"}))
        refusal(function, in_types, learnable, frozenset({"value"}))


def test_a_declared_value_does_not_excuse_the_gradient() -> None:
    assert "finite gradient" in refusal(torch.log, nonfinite=frozenset({"value"}))


class Broken(torch.autograd.Function):
    """Raises ``Broken.error`` in its backward pass."""

    error: Exception = RuntimeError()

    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        """Return x."""
        return x.clone()

    @staticmethod
    def backward(_ctx: Any, *_gradients: Any) -> Any:
        """Fail."""
        raise Broken.error


@pytest.mark.parametrize("error", [RuntimeError("no way back"), ValueError("no way back"), TypeError("no way back")])
def test_a_backward_pass_that_fails_is_refused(error: Exception) -> None:
    Broken.error = error
    assert "must have a gradient, but its backward pass failed: " in refusal(Broken.apply)
    probe("f", Traits(Broken.apply), [Feature], frozenset({"gradient"}))


def test_a_backward_failure_of_many_lines_is_told_on_one() -> None:
    Broken.error = RuntimeError("no way back\nsecond line")
    assert "no way back" in refusal(Broken.apply)


@pytest.mark.parametrize(
    ("function", "in_types"),
    [
        (torch.sin, (Feature,)),
        (torch.sign, (Feature,)),
        (lambda x: x.detach(), (Feature,)),
        (lambda _x, y: y, (Feature, Feature)),
        (lambda a, b, c, d: a + b * c - d, (Feature,) * 4),
        (torch.add, (Channel, Channel)),
        (torch.mul, (Scalar, Channel)),
        (torch.mul, (Leaf, Scalar)),
        (torch.add, (Scalar, Scalar)),
    ],
)
def test_what_keeps_the_rules_is_taken(function: Callable[..., Any], in_types: Sequence[type]) -> None:
    probe("f", Traits(function), in_types)


def test_an_argument_changed_in_place_is_refused() -> None:
    assert "in place" in refusal(lambda x, c: x * c.add_(1.0), (Feature, Scalar))


def test_the_dtypes_tried_are_those_of_training() -> None:
    assert set(DTYPES) == {torch.float32, torch.bfloat16}


def test_values_at_chosen_points_have_the_vectors_as_they_start() -> None:
    points = torch.tensor([0.5, -2.0, 3.0], dtype=torch.float64)
    scaled = Traits(lambda x, c, s: x * c + s, learnable=(0.25,))
    assert torch.equal(try_out("f", scaled, (Feature, Channel), [points, points]), points * 3.0 + 0.25)
    assert torch.equal(try_out("f", scaled, (Feature, Scalar), [points, -points]), points * -3.0 + 0.25)
    assert try_out("f", Traits(torch.neg), (Scalar,), [points]).tolist() == [-3.0]
    assert try_out("f", Traits(torch.log), (Leaf,), [points])[1].isnan(), "whether it is finite is not asked here"


@pytest.mark.parametrize(
    ("function", "rule"),
    [
        (lambda x: x.sum(), r"keep the shape of its arguments \(2, 1, 1, 1\), got \(\)"),
        (lambda x: x.float(), "keep the dtype of its arguments torch.float64, got torch.float32"),
        (lambda x: x.add_(1), "not change an argument in place"),
        (lambda x: x @ torch.ones(3, 3), r"accept \(Feature\) tensors, but it raised RuntimeError"),
        (lambda x: 1.0, "return a tensor, got float"),
    ],
)
def test_a_function_that_breaks_a_rule_at_chosen_points_is_refused(function: Callable[..., Any], rule: str) -> None:
    with pytest.raises(GaafError, match=f"^primitive 'f' must {rule}"):
        try_out("f", Traits(function), (Feature,), [torch.ones(2, dtype=torch.float64)])
