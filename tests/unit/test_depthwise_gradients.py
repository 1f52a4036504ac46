"""Gradients of depthwise convolutions in bfloat16 on a CPU, against those of float64."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from lookalike.training.run import depthwise
from lookalike.training.run.depthwise import DepthwiseGradients

CHANNELS = 6
ROUNDING = 2.0**-7
"""bfloat16 keeps eight bits of a number."""


def gradients(
    photos: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, given: torch.Tensor, **options: int
) -> list[torch.Tensor]:
    photos, weight, bias = (each.detach().clone().requires_grad_() for each in (photos, weight, bias))
    functional.conv2d(photos, weight, bias, groups=len(weight), **options).backward(given)
    return [each.grad.double() for each in (photos, weight, bias) if each.grad is not None]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("side", "padding"), [(3, 1), (3, 0), (4, 1), (5, 2), (5, 0), (6, 2), (7, 3), (9, 4)])
def test_gradients_equal_those_of_float64(
    side: int, padding: int, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    ours = depthwise.weight_gradient
    monkeypatch.setattr(depthwise, "weight_gradient", lambda *given: taken.append(side) or ours(*given))
    torch.manual_seed(side)
    photos = torch.randn(3, CHANNELS, 14, 11).bfloat16().to(memory_format=torch.channels_last)
    weight, bias = torch.randn(CHANNELS, 1, side, side).bfloat16(), torch.randn(CHANNELS).bfloat16()
    options = {"stride": stride, "padding": padding}
    given = torch.randn_like(functional.conv2d(photos, weight, bias, groups=CHANNELS, **options))
    with DepthwiseGradients():
        found = gradients(photos, weight, bias, given, **options)
    exact = gradients(photos.double(), weight.double(), bias.double(), given.double(), **options)
    assert taken == [side]
    for mine, right in zip(found, exact, strict=True):
        assert mine.shape == right.shape
        torch.testing.assert_close(mine, right, rtol=ROUNDING, atol=ROUNDING * float(right.abs().max()))


@pytest.mark.parametrize("made", ["two outputs a channel", "transposed", "of rows"])
def test_other_layers_are_left_to_pytorch(made: str) -> None:
    photos = torch.randn(2, CHANNELS, 9, 9).bfloat16()
    if made == "transposed":
        layer: torch.nn.Module = torch.nn.ConvTranspose2d(CHANNELS, CHANNELS, 3, stride=2, groups=CHANNELS)
    elif made == "of rows":
        layer, photos = torch.nn.Conv1d(CHANNELS, CHANNELS, 3, groups=CHANNELS), photos[..., 0]
    else:
        layer = torch.nn.Conv2d(CHANNELS, 2 * CHANNELS, 3, groups=CHANNELS)
    weights = list(layer.bfloat16().parameters())
    answer = layer(photos).square().sum()
    own = torch.autograd.grad(answer, weights, retain_graph=True)
    with DepthwiseGradients():
        found = torch.autograd.grad(answer, weights)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(found, own, strict=True))


@pytest.mark.parametrize(
    ("dtype", "groups", "kernel", "options"),
    [
        (torch.float32, CHANNELS, (3, 3), {}),
        (torch.bfloat16, 2, (3, 3), {}),
        (torch.bfloat16, 1, (1, 1), {}),
        (torch.bfloat16, CHANNELS, (2, 2), {}),
        (torch.bfloat16, CHANNELS, (3, 5), {}),
        (torch.bfloat16, CHANNELS, (3, 3), {"dilation": 2}),
        (torch.bfloat16, CHANNELS, (3, 3), {"padding": 3}),
        (torch.bfloat16, CHANNELS, (3, 3), {"stride": (1, 2)}),
    ],
)
def test_other_convolutions_are_left_to_pytorch(
    dtype: torch.dtype, groups: int, kernel: tuple[int, int], options: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(depthwise, "weight_gradient", None)
    monkeypatch.setattr(depthwise, "photos_gradient", None)
    photos = torch.randn(2, CHANNELS, 9, 9, dtype=dtype, requires_grad=True)
    weight = torch.randn(CHANNELS, CHANNELS // groups, *kernel, dtype=dtype, requires_grad=True)
    answer = functional.conv2d(photos, weight, groups=groups, **options)
    (own,) = torch.autograd.grad(answer.sum(), weight, retain_graph=True)
    with DepthwiseGradients():
        (found,) = torch.autograd.grad(answer.sum(), weight)
    assert torch.equal(found, own)
