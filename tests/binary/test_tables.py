"""Tables against eager evaluation at every bfloat16 value, and the look-up alone, in loops and under vmap."""

import copy
import dataclasses
import math
import pickle
import random
import struct
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from gaaf_gp.binary import (
    SignTables,
    Surrogate,
    TableActivation,
    bfloat16_inputs,
    binarize,
    table_binarize,
    table_binarize_raw,
    tabulate,
)
from gaaf_gp.errors import GaafError
from gaaf_gp.trees.compile import Activation
from gaaf_gp.trees.generation import generate
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.parser import parse
from primitives import gaaf

FREE = gaaf.free()
CLIPPED = Surrogate("clipped", 1.3)
SURROGATES = [
    CLIPPED,
    Surrogate("clipped", math.inf),
    Surrogate("triangle", 1.7),
    Surrogate("swish", 0.9, 5.0),
    Surrogate("tanh", 1.3, 2.0),
]
FIXED_UNARY = [name for name in gaaf.UNARY if not FREE.traits[name].learnable]
FIXED_BINARY = [name for name in gaaf.BINARY if not FREE.traits[name].learnable]
TREES = [f"{name}(x)" for name in FIXED_UNARY] + [f"{name}(sin(x), sub(x, const(0.3)))" for name in FIXED_BINARY]
DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]


def index_of(x: Tensor) -> Tensor:
    """The entry of each value, by its bits as Python's own floats have them."""
    words = [
        struct.unpack(">I", struct.pack(">f", value))[0] >> 16 for value in x.to(torch.bfloat16).flatten().tolist()
    ]
    return torch.tensor(words, dtype=torch.int64).reshape(x.shape)


def grown(seed: int) -> Individual:
    """A random tree without learnable operators."""
    rng = random.Random(seed)
    while True:
        tree = Individual(generate(FREE, 1, 5, rng=rng), FREE)
        if not any(FREE.traits[node.name].learnable for node in tree if node.name in FREE.traits):
            return tree


def assert_same(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0.0, atol=0.0, equal_nan=True)


def test_inputs_are_all_bfloat16_values_in_the_order_of_their_bits() -> None:
    values = bfloat16_inputs()
    assert (values.shape, values.dtype) == ((65536, 1), torch.float32)
    expected = [struct.unpack(">f", struct.pack(">I", bits << 16))[0] for bits in range(65536)]
    assert_same(values.flatten(), torch.tensor(expected))
    assert int(values.isnan().sum()) == 2 * 127
    assert values[[0x0000, 0x8000, 0x3F80, 0xBF80, 0x7F80, 0xFF80]].flatten().tolist() == [
        0,
        0,
        1,
        -1,
        math.inf,
        -math.inf,
    ]
    assert bfloat16_inputs() is values


def check_against_eager(tree: Individual, surrogate: Surrogate) -> SignTables:
    """Compare tables with the compiled tree in front of the sign, bit for bit."""
    function = Activation(tree, 1)
    tables = tabulate(function, surrogate)
    x = bfloat16_inputs().clone().requires_grad_()
    values = function(x)
    signs = binarize(values, surrogate)
    assert (tables.sign.shape, tables.sign.dtype) == ((65536,), torch.bool)
    assert (tables.slope.shape, tables.slope.dtype) == ((65536,), torch.bfloat16)
    assert_same(tables.sign.float() * 2 - 1, signs.detach().flatten())
    gradient = torch.autograd.grad(signs.sum(), x)[0].flatten() if signs.requires_grad else torch.zeros(65536)
    expected = torch.where(surrogate.derivative(values).flatten() == 0, 0.0, gradient)
    assert_same(tables.slope, expected.to(torch.bfloat16))
    return tables


def share_of_close_slopes(tree: Individual, tables: SignTables, most: float) -> float:
    """Differentiate in double precision at all values up to ``most``, but for those at the edge of the window."""
    surrogate = tables.surrogate
    every = bfloat16_inputs()
    chosen = (every.abs() <= most).flatten()
    x = every[chosen].double().requires_grad_()
    values = Activation(tree, 1).double()(x)
    rate = torch.autograd.grad(values.sum(), x)[0] if values.requires_grad else torch.zeros_like(x)
    weights = surrogate.derivative(values)
    expected = torch.where(weights == 0, 0.0, weights * rate).flatten()
    slope = tables.slope[chosen].double()
    inner = ((values.abs() - surrogate.window).abs() > 1e-4).flatten() & expected.isfinite()
    close = (slope - expected).abs() <= 2.0**-8 * expected.abs() + 2e-3
    assert inner.double().mean() > 0.5
    return float(close[inner].double().mean())


@pytest.mark.parametrize("surrogate", SURROGATES, ids=str)
@pytest.mark.parametrize("text", TREES)
def test_tables_are_the_compiled_tree_at_every_value(text: str, surrogate: Surrogate) -> None:
    tree = parse(text, FREE)
    tables = check_against_eager(tree, surrogate)
    assert share_of_close_slopes(tree, tables, most=100.0) == 1


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), surrogate=st.sampled_from(SURROGATES))
def test_tables_of_random_trees(seed: int, surrogate: Surrogate) -> None:
    tree = grown(seed)
    tables = check_against_eager(tree, surrogate)
    # what cancels differs between the two precisions, so a few values may be further off
    assert share_of_close_slopes(tree, tables, most=8.0) > 0.95


@pytest.mark.parametrize("surrogate", SURROGATES, ids=str)
def test_slope_of_the_sine_in_double_precision(surrogate: Surrogate) -> None:
    tables = tabulate(torch.sin, surrogate)
    x = bfloat16_inputs().flatten().double()
    seen = x.abs() <= 100
    expected = surrogate.derivative(torch.sin(x)) * torch.cos(x)
    edge = (torch.sin(x).abs() - surrogate.window).abs() < 1e-5  # rounding decides the side
    chosen = seen & ~edge
    assert torch.equal(tables.sign[seen], (torch.sin(x) >= 0)[seen])
    torch.testing.assert_close(tables.slope.double()[chosen], expected[chosen], rtol=2.0**-8, atol=1e-5)


def test_special_values() -> None:
    tables = tabulate(lambda x: x, CLIPPED)
    x = torch.tensor([math.nan, -math.nan, math.inf, -math.inf, 0.0, -0.0, 1.296875, 1.3046875, -1.3046875])
    assert table_binarize(x, tables).tolist() == [-1, -1, 1, -1, 1, 1, 1, 1, -1]
    assert tables.slope[index_of(x)].tolist() == [0, 0, 0, 0, 1, 1, 1, 0, 0]
    assert tables.surrogate == CLIPPED


def test_an_infinite_slope_outside_the_window_is_exactly_zero() -> None:
    tables = tabulate(lambda x: torch.sqrt(x.abs()) - 2, CLIPPED)
    assert tables.slope[0] == 0
    assert tabulate(lambda x: torch.sqrt(x.abs()), CLIPPED).slope[0].isnan(), "inside it stays what training would see"


@pytest.mark.parametrize(
    ("function", "positive"),
    [
        (lambda x: torch.ones_like(x), True),
        (lambda x: torch.tensor(-0.5), False),
        (lambda x: torch.tensor([[0.5]]), True),
        (lambda x: x.detach().new_full(x.shape, math.nan), False),
        (Activation(parse("const(-1.0)", FREE), 1), False),
        (Activation(parse("zero(x)", FREE), 1), True),
    ],
)
def test_a_function_that_does_not_depend_on_x(function: Callable[[Tensor], Tensor], positive: bool) -> None:
    with torch.no_grad():
        tables = tabulate(function, CLIPPED)
    assert (tables.sign == positive).all()
    assert (tables.slope == 0).all()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_tables_have_slopes_also_where_gradients_are_off(mode: Callable[[], torch.no_grad]) -> None:
    with mode():
        tables = tabulate(torch.sin, CLIPPED)
    assert torch.equal(tables.slope, tabulate(torch.sin, CLIPPED).slope)
    assert not tables.slope.requires_grad


def eager(x: Tensor, tables: SignTables, incoming: Tensor) -> tuple[Tensor, Tensor]:
    """Look-ups one by one, and the product with the slope in double precision."""
    index = index_of(x)
    slope = tables.slope[index]
    gradient = torch.where(slope == 0, 0.0, incoming.double() * slope.double())
    return (tables.sign[index].double() * 2 - 1).to(x.dtype), gradient.to(x.dtype)


def value_and_gradient(x: Tensor, tables: SignTables, incoming: Tensor) -> tuple[Tensor, Tensor]:
    leaf = x.detach().requires_grad_()
    y = table_binarize(leaf, tables)
    (gradient,) = torch.autograd.grad(y, leaf, incoming)
    return y.detach(), gradient


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3, 4, 5), (1, 2, 3, 1, 2), (70, 1000)])
def test_any_shape_and_dtype(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    tables = tabulate(lambda x: torch.sin(3 * x), CLIPPED)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(shape, generator=generator).to(dtype)
    incoming = torch.randn(shape, generator=generator).to(dtype)
    y, gradient = value_and_gradient(x, tables, incoming)
    expected, expected_gradient = eager(x, tables, incoming)
    assert y.dtype == gradient.dtype == dtype
    assert_same(y, expected)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-6 if dtype.itemsize > 2 else 2.0**-8, atol=1e-7)


@given(values=st.lists(st.floats(width=32), min_size=1, max_size=20))
def test_inputs_are_rounded_to_bfloat16(values: list[float]) -> None:
    x = torch.tensor(values)
    tables = tabulate(lambda v: v - 1.0, CLIPPED)
    assert_same(table_binarize(x, tables), eager(x, tables, x)[0])
    assert_same(table_binarize(x, tables), table_binarize(x.to(torch.bfloat16), tables).float())


@pytest.mark.parametrize("side", [3, 80])  # below and above the size of a table the look-up goes another way
@pytest.mark.parametrize("make", ["contiguous", "channels_last", "permuted", "strided", "expanded"])
def test_memory_formats(make: str, side: int) -> None:
    tables = tabulate(torch.sin, CLIPPED)
    base = torch.randn(2, 6, side, side, generator=torch.Generator().manual_seed(2))
    x = {
        "contiguous": base,
        "channels_last": base.contiguous(memory_format=torch.channels_last),
        "permuted": base.permute(3, 1, 0, 2),
        "strided": base[:, ::2, :, 1:],
        "expanded": base[:1].expand(4, 6, side, side),
    }[make]
    incoming = torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
    y, gradient = value_and_gradient(x, tables, incoming)
    expected, expected_gradient = eager(x, tables, incoming)
    assert_same(y, expected)
    torch.testing.assert_close(gradient, expected_gradient)
    if make in ("contiguous", "channels_last", "permuted"):
        assert y.stride() == x.stride()
    if make == "channels_last":
        _, gradient = value_and_gradient(x, tables, incoming.contiguous(memory_format=torch.channels_last))
        assert gradient.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_input_is_left_alone_and_may_change_afterwards(dtype: torch.dtype) -> None:
    tables = tabulate(torch.sin, CLIPPED)
    x = torch.tensor([0.5, -1.0, 2.0], dtype=dtype)
    before = x.clone()
    leaf = x.clone().requires_grad_()
    inner = leaf * 1
    y = table_binarize(inner, tables)
    inner.detach().zero_()
    (gradient,) = torch.autograd.grad(y, leaf, torch.ones_like(y))
    assert_same(gradient, value_and_gradient(before, tables, torch.ones_like(x))[1])
    assert torch.equal(x, before)


@pytest.mark.parametrize("incoming", [math.inf, -math.inf, math.nan, 1.0])
def test_a_zero_slope_stops_whatever_comes_in(incoming: float) -> None:
    tables = tabulate(lambda x: x, CLIPPED)
    x = torch.tensor([2.0, -5.0, math.nan, 0.5])
    _, gradient = value_and_gradient(x, tables, torch.full_like(x, incoming))
    assert gradient[:3].tolist() == [0, 0, 0]
    assert_same(gradient[3], torch.tensor(incoming))


@pytest.mark.parametrize("dtype", DTYPES)
def test_two_bytes_a_value_are_saved(dtype: torch.dtype) -> None:
    saved: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        saved.append(tensor)
        return tensor

    tables = tabulate(torch.sin, CLIPPED)
    x = torch.randn(5, 7).to(dtype).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        table_binarize(x, tables)
    per_value = [tensor for tensor in saved if tensor.shape == x.shape]
    assert [tensor.dtype for tensor in per_value] == [torch.int16]
    assert [tensor.data_ptr() for tensor in saved if tensor.shape != x.shape] == [tables.slope.data_ptr()]


def test_without_gradients_nothing_is_recorded() -> None:
    tables = tabulate(torch.sin, CLIPPED)
    x = torch.tensor([-0.5, 0.5], requires_grad=True)
    with torch.no_grad():
        y = table_binarize(x, tables)
    assert not y.requires_grad
    assert y.tolist() == [-1, 1]
    assert not table_binarize(x.detach(), tables).requires_grad


FUNCTIONS: list[Callable[[Tensor], Tensor]] = [torch.sin, lambda x: x * x - 1, lambda x: torch.relu(x) - 0.3]


@pytest.fixture(scope="module")
def candidates() -> tuple[list[SignTables], Tensor, Tensor]:
    """Three tables, one by one and stacked."""
    tables = [tabulate(function, CLIPPED) for function in FUNCTIONS]
    return tables, torch.stack([t.sign for t in tables]), torch.stack([t.slope for t in tables])


@pytest.mark.parametrize("place", [0, 1, 4])
@pytest.mark.parametrize("side", [2, 60])
def test_many_candidates_at_once(candidates: tuple[list[SignTables], Tensor, Tensor], place: int, side: int) -> None:
    tables, sign, slope = candidates
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(3, 2, 4, side, side, generator=generator)
    incoming = torch.randn(x.shape, generator=generator)
    one_by_one = [value_and_gradient(x[i], tables[i], incoming[i]) for i in range(3)]
    values, gradients = (torch.stack(part) for part in zip(*one_by_one, strict=True))

    leaf = x.movedim(0, place).requires_grad_()
    y = torch.vmap(table_binarize_raw, in_dims=(place, 0, 0))(leaf, sign, slope)
    assert torch.equal(y, values)
    (gradient,) = torch.autograd.grad(y, leaf, incoming)
    assert torch.equal(gradient.movedim(place, 0), gradients)

    def total(x: Tensor, sign: Tensor, slope: Tensor, incoming: Tensor) -> Tensor:
        return (table_binarize_raw(x, sign, slope) * incoming).sum()

    inside = torch.vmap(torch.func.grad(total))(x, sign, slope, incoming)
    assert torch.equal(inside, gradients)


def test_one_input_for_many_candidates_and_one_table_for_many_inputs(
    candidates: tuple[list[SignTables], Tensor, Tensor],
) -> None:
    tables, sign, slope = candidates
    x = torch.randn(3, 5, 6, generator=torch.Generator().manual_seed(5))
    shared = torch.vmap(table_binarize_raw, in_dims=(None, 0, 0))(x[0], sign, slope)
    assert torch.equal(shared, torch.stack([table_binarize(x[0], t) for t in tables]))
    alone = torch.vmap(lambda part: table_binarize(part, tables[0]), in_dims=2, out_dims=2)(x)
    assert torch.equal(alone, table_binarize(x, tables[0]))
    nested = torch.vmap(lambda a, s, d: torch.vmap(lambda b: table_binarize_raw(b, s, d), 1, 1)(a))(x, sign, slope)
    assert torch.equal(nested, torch.stack([table_binarize(x[i], tables[i]) for i in range(3)]))
    outer = torch.vmap(lambda a: torch.vmap(table_binarize_raw)(a, sign, slope), in_dims=1, out_dims=1)(x)
    assert torch.equal(outer, nested)


def test_transforms_see_the_gradient(candidates: tuple[list[SignTables], Tensor, Tensor]) -> None:
    tables = candidates[0]
    x = torch.randn(4, 5, generator=torch.Generator().manual_seed(6))
    _, pull = torch.func.vjp(lambda part: table_binarize(part, tables[1]), x)
    assert torch.equal(pull(torch.ones_like(x))[0], value_and_gradient(x, tables[1], torch.ones_like(x))[1])


def test_no_second_derivative() -> None:
    x = torch.tensor([0.3, -0.4], requires_grad=True)
    y = table_binarize(x, tabulate(torch.sin, CLIPPED))
    (gradient,) = torch.autograd.grad((y * x).sum(), x, create_graph=True)
    with pytest.raises(GaafError, match="first derivative only"):
        gradient.sum().backward()


def test_tables_are_values_that_travel() -> None:
    tables = tabulate(torch.sin, CLIPPED)
    with pytest.raises(dataclasses.FrozenInstanceError, match="sign"):
        tables.sign = tables.slope  # type: ignore[misc]
    data = pickle.dumps(tables)
    assert len(data) < 3 * 65536 + 2000
    for other in (pickle.loads(data), copy.deepcopy(tables), tables.to("cpu")):
        assert torch.equal(other.sign, tables.sign)
        assert torch.equal(other.slope, tables.slope)
        assert other.surrogate == CLIPPED
    assert tables.to("meta").sign.device == tables.to(torch.device("meta")).slope.device == torch.device("meta")


def test_the_module() -> None:
    tables = tabulate(torch.sin, CLIPPED)
    module = TableActivation(tables, "sin(x)")
    x = torch.randn(4, 3)
    assert torch.equal(module(x), table_binarize(x, tables))
    assert repr(module) == "TableActivation(sin(x), surrogate=clipped(window=1.3))"
    assert (module.formula, module.surrogate) == ("sin(x)", CLIPPED)
    assert not module.state_dict()
    assert not list(module.parameters())
    assert dict(module.named_buffers()).keys() == {"sign", "slope"}
    assert module.to("meta").sign.device == torch.device("meta")
    again = pickle.loads(pickle.dumps(TableActivation(tables)))
    assert torch.equal(again(x), table_binarize(x, tables))


def test_the_packed_table_is_made_once_and_does_not_travel() -> None:
    tables = tabulate(torch.sin, CLIPPED)
    packed = tables.packed
    assert packed is tables.packed
    wide = packed.to(torch.int64) & 0xFFFFFFFF
    assert torch.equal(wide >> 31 == 1, tables.sign)
    assert torch.equal((wide & 0xFFFF).to(torch.uint16).view(torch.bfloat16), tables.slope)
    assert TableActivation(tables).packed is TableActivation(tables).packed is packed
    data = pickle.dumps(tables)
    assert len(data) < 3 * 65536 + 2000
    assert torch.equal(pickle.loads(data).packed, packed)
    assert "packed" in vars(tables)
    assert "packed" not in vars(copy.deepcopy(tables))
    again = copy.deepcopy(TableActivation(tables))
    assert torch.equal(again.packed, packed)
    assert again.packed is again.packed


def test_a_packed_table_follows_its_two_parts() -> None:
    tables, other = tabulate(torch.sin, CLIPPED), tabulate(lambda x: 0.5 - x, CLIPPED)
    module = TableActivation(copy.deepcopy(tables))
    assert torch.equal(module.packed, tables.packed)
    module.sign = other.sign
    assert torch.equal(module.packed, TableActivation(SignTables(other.sign, tables.slope, CLIPPED)).packed)
    module.slope = other.slope
    assert torch.equal(module.packed, other.packed)
    module.float()
    assert module.slope.dtype == torch.float32
    assert torch.equal(module.packed, other.packed)
    module.sign.logical_not_()
    assert torch.equal(module.packed < 0, module.sign)
    with torch.no_grad():
        module.slope.zero_()
    assert torch.equal(module.packed & 0xFFFF, torch.zeros(65536, dtype=torch.int32))
    kept = module.packed
    assert module.packed is kept


def test_a_network_takes_the_tables_of_another_candidate() -> None:
    network = nn.Sequential(nn.Linear(3, 3), TableActivation(tabulate(torch.sin, CLIPPED)))
    other = TableActivation(tabulate(lambda x: -x, CLIPPED))
    x = torch.randn(4, 3)
    swapped = torch.func.functional_call(network, {"1.sign": other.sign, "1.slope": other.slope}, (x,))
    assert torch.equal(swapped, other(network[0](x)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: tabulate(nn.PReLU(), CLIPPED),
            "functions without parameters, got a module with weight; call binarize",
        ),
        (lambda: tabulate(Activation(parse("scale(x)", FREE), 1), CLIPPED), "a module with s0"),
        (lambda: tabulate(torch.flatten, CLIPPED), r"keep the shape of its input, got \(65536,\) from \(65536, 1\)"),
        (
            lambda: table_binarize(torch.zeros(2, dtype=torch.int64), tabulate(torch.sin, CLIPPED)),
            r"floating-point tensor, got torch\.int64",
        ),
    ],
)
def test_what_cannot_be_tabulated_is_refused_in_one_line(call: Callable[[], object], message: str) -> None:
    with pytest.raises(GaafError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
