"""An Activation in the hands of a torch user: states, dtypes, defaults of torch, tracing."""

from __future__ import annotations

import copy
import functools
import io
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn

from gaaf_gp import Activation, parse
from gaaf_gp.activations.behaviour import behaviour, positive_share
from gaaf_gp.binary import Surrogate, TableActivation, tabulate
from gaaf_gp.errors import GaafError
from gaaf_gp.trees.fingerprint import set_signature
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.trees.simplify import simplify
from gaaf_gp.types import Feature
from primitives import gaaf

PSET = gaaf.free()
X = torch.linspace(-2, 2, 24).view(2, 3, 4)


def activation(text: str) -> Activation:
    return Activation(text, 3, PSET)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("add(scale(x), const(0.3))", "add(scale(x), const(0.7))"),
        ("sin(scale(x))", "cos(scale(x))"),
        ("sin(x)", "cos(x)"),
        ("add(scale(x), shift(x))", "add(shift(x), scale(x))"),
    ],
)
def test_the_state_of_another_tree_is_refused(one: str, other: str) -> None:
    stream = io.BytesIO()
    torch.save(nn.Sequential(activation(one)).state_dict(), stream)
    stream.seek(0)
    state = torch.load(stream, weights_only=True)
    with pytest.raises(GaafError, match="must be that of its own tree") as caught:
        nn.Sequential(activation(other)).load_state_dict(state)
    assert one in str(caught.value)
    assert other in str(caught.value)
    nn.Sequential(activation(one)).load_state_dict(state)


def test_a_state_without_metadata_is_known_by_its_constants() -> None:
    plain = dict(activation("add(scale(x), const(0.3))").half().state_dict())
    activation("add(scale(x), const(0.3))").load_state_dict(plain)
    with pytest.raises(GaafError, match=r"got that of c0 = 0\.3"):
        activation("add(scale(x), const(0.7))").load_state_dict(plain)


def test_a_refused_state_changes_nothing() -> None:
    kept = activation("sin(scale(x))")
    other = activation("cos(scale(x))")
    with torch.no_grad():
        other.s0.fill_(7.0)  # type: ignore[operator]
    with pytest.raises(GaafError):
        kept.load_state_dict(other.state_dict())
    assert kept.s0.tolist() == activation("sin(scale(x))").s0.tolist()  # type: ignore[operator]


def test_the_state_of_other_tables_is_refused() -> None:
    def tables(formula: str) -> TableActivation:
        return TableActivation(tabulate(torch.sin, Surrogate("clipped")), formula)

    tables("sin(x)").load_state_dict(tables("sin(x)").state_dict())
    with pytest.raises(GaafError, match=r"own formula 'sin\(x\)', got that of 'cos\(x\)'"):
        tables("sin(x)").load_state_dict(tables("cos(x)").state_dict())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_what_is_learned_follows_the_dtype_of_the_module(dtype: torch.dtype) -> None:
    module = nn.Sequential(activation("add(scale(x), const(0.3))")).to(dtype)
    assert {value.dtype for value in module.state_dict().values()} == {dtype}
    assert module(X.to(dtype)).dtype == dtype


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bool, torch.int64, torch.complex64])
def test_an_input_that_is_not_floating_is_refused(dtype: torch.dtype) -> None:
    with pytest.raises(GaafError, match=rf"takes floating inputs, got {dtype}: convert them with x\.float\(\)"):
        activation("sin(x)")(X.to(dtype))


def test_code_has_the_names_of_primitives() -> None:
    pset = PrimitiveSet("names")
    pset.addPrimitive(functools.partial(torch.clamp, min=-1, max=1), [Feature], Feature, "clip")
    pset.addPrimitive(nn.Tanh(), [Feature], Feature, "squash")
    pset.addPrimitive(lambda x: x * 2, [Feature], Feature, "twice")
    code = Activation("clip(squash(twice(x)))", 3, pset).code
    assert all(name in code for name in ("clip(", "squash(", "twice("))


def test_transforms_of_torch_work_or_say_what_to_do() -> None:
    module = activation("add(scale(x), const(0.3))")
    many = torch.stack([X, -X])
    assert torch.equal(torch.func.vmap(module)(many), torch.stack([module(X), module(-X)]))
    assert torch.equal(copy.deepcopy(module)(X), module(X))
    assert torch.equal(torch.func.functional_call(module, dict(module.named_parameters()), (X,)), module(X))
    with pytest.raises(GaafError, match=r"cannot be traced by torch\.fx.*torch\.export"):
        torch.fx.symbolic_trace(module)


@contextmanager
def defaults(dtype: torch.dtype, device: str) -> Iterator[None]:
    torch.set_default_dtype(dtype)
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)


def results() -> list[object]:
    pset = gaaf.free()
    tree = parse("add(sin(scale(x)), mul(const(0.3), const(cmul(2.0, 0.1))))", pset)
    tables = tabulate(torch.sin, Surrogate("clipped"))
    return [
        set_signature(pset),
        behaviour(tree),
        behaviour(parse("sin(x)", pset)),
        positive_share(tree),
        str(simplify(parse("add(sub(x, x), mul(x, const(1.0)))", pset))),
        tables.sign.tolist(),
        tables.slope.tolist(),
        list(Activation(tree, 3).state_dict()),
    ]


@pytest.mark.parametrize(
    ("dtype", "device"), [(torch.float64, "cpu"), (torch.float32, "meta"), (torch.bfloat16, "meta")]
)
def test_defaults_of_torch_change_no_result(dtype: torch.dtype, device: str) -> None:
    from gaaf_gp.trees import grid
    from gaaf_gp.util.bfloat16 import bfloat16_inputs

    expected = results()
    for made in (grid.visited, grid.compared, grid.in_full, grid.vector_settings, bfloat16_inputs):
        made.cache_clear()
    with defaults(dtype, device):
        found = results()
    assert found == expected
