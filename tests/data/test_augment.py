"""Augmentation against a loop over images that slices, statistics against their formulas."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gaaf_gp.data.augment import augment, channel_statistics, draw_offsets, normalize
from gaaf_gp.errors import GaafError

DTYPES = [torch.uint8, torch.bool, torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sample(shape: tuple[int, ...], dtype: torch.dtype = torch.uint8, seed: int = 0) -> Tensor:
    return torch.randint(256, shape, generator=seeded(seed)).to(dtype)


def augmented_one_by_one(images: Tensor, pad: int, flip: bool, values: list[float], seed: int) -> Tensor:
    offsets = draw_offsets(len(images), pad=pad, flip=flip, generator=seeded(seed))
    height, width = images.shape[2:]
    made = []
    for image, row, column, mirrored in zip(images, *(drawn.tolist() for drawn in offsets), strict=True):
        planes = []
        for plane, value in zip(image, values, strict=True):
            framed = torch.nn.functional.pad(plane.double(), (pad, pad, pad, pad), value=value)
            crop = framed[row : row + height, column : column + width]
            planes.append(crop.flip(1) if mirrored else crop)
        made.append(torch.stack(planes))
    return torch.stack(made).to(images.dtype)


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 6),
    channels=st.integers(1, 3),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    pad=st.integers(0, 5),
    flip=st.booleans(),
    dtype=st.sampled_from(DTYPES),
    value=st.integers(0, 1),
    seed=st.integers(0, 1000),
)
def test_it_equals_slicing_one_by_one(
    batch: int,
    channels: int,
    height: int,
    width: int,
    pad: int,
    flip: bool,
    dtype: torch.dtype,
    value: int,
    seed: int,
) -> None:
    images = sample((batch, channels, height, width), dtype, seed)
    result = augment(images, pad=pad, flip=flip, pad_value=value, generator=seeded(seed))
    assert result.dtype == dtype
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(result, augmented_one_by_one(images, pad, flip, [value] * channels, seed))


def test_every_channel_may_have_its_own_pad_value() -> None:
    images = sample((20, 3, 4, 5), torch.float32)
    values = [-1.5, 0.0, 300.25]
    result = augment(images, pad=3, pad_value=values, generator=seeded(5))
    assert torch.equal(result, augmented_one_by_one(images, 3, True, values, 5))


def test_normalized_black_commutes_with_normalizing() -> None:
    images = sample((30, 3, 6, 6))
    mean, std = (0.2, 0.5, 0.7), (0.1, 0.3, 0.25)
    black = [-m / s for m, s in zip(mean, std, strict=True)]
    before = normalize(augment(images, pad=2, generator=seeded(1)), mean, std)
    after = augment(normalize(images, mean, std), pad=2, pad_value=black, generator=seeded(1))
    torch.testing.assert_close(before, after, rtol=0, atol=1e-5)


def test_without_pad_and_flip_it_is_the_identity() -> None:
    images = sample((7, 2, 5, 4))
    assert torch.equal(augment(images, pad=0, flip=False, generator=seeded()), images)


def test_every_offset_and_both_orientations_are_reached() -> None:
    image = torch.arange(1, 10, dtype=torch.uint8).reshape(1, 1, 3, 3)
    framed = torch.nn.functional.pad(image[0, 0], (1, 1, 1, 1))
    crops = [framed[row : row + 3, column : column + 3] for row in range(3) for column in range(3)]
    expected = {tuple(made.flatten().tolist()) for crop in crops for made in (crop, crop.flip(1))}
    result = augment(image.expand(600, 1, 3, 3), pad=1, generator=seeded())
    assert len(expected) == 18
    assert {tuple(made.flatten().tolist()) for made in result} == expected


def test_offsets_are_equally_likely() -> None:
    draws, cells = 9000, 18
    rows, columns, mirrored = draw_offsets(draws, pad=1, flip=True, generator=seeded())
    counts = torch.bincount(rows * 6 + columns * 2 + mirrored, minlength=cells).double()
    # Chi-square with 17 degrees of freedom: 45 is beyond the 99.97 % point.
    assert float(((counts - draws / cells) ** 2 / (draws / cells)).sum()) < 45


def test_offsets_do_not_depend_on_flip() -> None:
    with_flip = draw_offsets(50, pad=4, flip=True, generator=seeded(2))
    without = draw_offsets(50, pad=4, flip=False, generator=seeded(2))
    assert torch.equal(with_flip[0], without[0])
    assert torch.equal(with_flip[1], without[1])
    assert with_flip[2].any()
    assert not without[2].any()


def test_the_generator_alone_decides() -> None:
    images = sample((16, 3, 8, 8))
    generator = seeded(3)
    first, second = augment(images, generator=generator), augment(images, generator=generator)
    torch.manual_seed(11)
    assert torch.equal(first, augment(images, generator=seeded(3)))
    assert not torch.equal(first, second)


def test_the_result_stays_on_the_device_of_the_images() -> None:
    result = augment(torch.empty(4, 3, 8, 8, device="meta"), generator=seeded())
    assert result.device.type == "meta"
    assert result.shape == (4, 3, 8, 8)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same_images() -> None:
    images = sample((16, 3, 8, 8))
    result = augment(images.cuda(), generator=seeded(3))
    assert torch.equal(result.cpu(), augment(images, generator=seeded(3)))


@pytest.mark.parametrize(
    ("shape", "dtype", "options", "message"),
    [
        ((3, 4, 4), torch.uint8, {}, r"\(B,C,H,W\) and pad >= 0, and came \(3, 4, 4\)"),
        ((1, 3, 4, 4), torch.uint8, {"pad": -1}, "pad -1"),
        ((1, 3, 4, 4), torch.uint8, {"pad_value": [1, 2]}, r"one number or 3, .* is \[1, 2\]"),
        ((1, 3, 4, 4), torch.uint8, {"pad_value": 0.5}, "torch.uint8 can hold, and is 0.5"),
        ((1, 3, 4, 4), torch.int8, {"pad_value": 200}, "torch.int8 can hold, and is 200"),
    ],
)
def test_bad_input_is_refused(
    shape: tuple[int, ...], dtype: torch.dtype, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(GaafError, match=message):
        augment(torch.zeros(shape, dtype=dtype), **options, generator=seeded())


def test_statistics_are_exact() -> None:
    images = sample((50, 3, 7, 5))
    images[:, 2] //= 3
    mean, std = channel_statistics(images)
    values = images.numpy().astype(np.float64) / 255
    np.testing.assert_allclose(mean, values.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, values.std(axis=(0, 2, 3)), rtol=1e-12)


def test_a_channel_that_never_varies_gets_a_deviation_that_divides() -> None:
    images = sample((5, 3, 4, 4))
    images[:, 1] = 51
    mean, std = channel_statistics(images)
    assert mean[1] == pytest.approx(0.2)
    assert std[1] == 1
    assert normalize(images, mean, std)[:, 1].abs().max() < 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_normalize_is_its_formula(dtype: torch.dtype) -> None:
    images = torch.arange(256, dtype=torch.uint8).repeat(2).reshape(1, 2, 16, 16)
    mean, std = (0.1, 0.75), (0.5, 0.03)
    result = normalize(images, mean, std, dtype)
    m, s = np.reshape(mean, (2, 1, 1)), np.reshape(std, (2, 1, 1))
    expected = torch.from_numpy((images.numpy() / 255.0 - m) / s)
    assert result.dtype == dtype
    tolerance = max(float(torch.finfo(dtype).eps), 1e-15) * 4
    torch.testing.assert_close(result.double(), expected, rtol=tolerance, atol=tolerance * 4)


def test_normalize_rounds_to_a_short_dtype_once() -> None:
    images, mean, std = sample((2, 1, 8, 8)), (0.3,), (0.2,)
    assert torch.equal(normalize(images, mean, std, torch.bfloat16), normalize(images, mean, std).to(torch.bfloat16))


@pytest.mark.parametrize(
    ("images", "channels"),
    [(torch.zeros(1, 3, 2, 2), 3), (torch.zeros(3, 2, 2, dtype=torch.uint8), 3), (sample((1, 3, 2, 2)), 1)],
)
def test_normalize_refuses_what_does_not_fit(images: Tensor, channels: int) -> None:
    with pytest.raises(GaafError, match=r"must be \(N,C,H,W\) uint8 with C means and C deviations"):
        normalize(images, [0.5] * channels, [0.5] * channels)
