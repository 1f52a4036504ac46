"""Gradients of depthwise convolutions in bfloat16 on a CPU.

PyTorch's own kernels are tens to hundreds of times slower than those of the forward pass for two of them: with respect
to the input at a stride above 1, and with respect to the weight of a kernel of more than 3 x 3. With them, mixed
precision takes longer than float32, even on processors with units for bfloat16.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

TILE: Final = 3
"""Side of the kernels for whose weights PyTorch's own gradients are fast."""

BACKWARD: Final = torch.ops.aten.convolution_backward.default


class DepthwiseGradients(TorchDispatchMode):
    """Context in which the gradients of depthwise convolutions in bfloat16 are computed by fast kernels.

    They equal PyTorch's own up to rounding. Convolutions of other kinds or types are left to PyTorch.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: object,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        """Call an operator, or what takes its place; the signature is PyTorch's."""
        if func is not BACKWARD or not _is_ours(*args):
            return func(*args, **(kwargs or {}))
        gradient, photos, weight, _, (stride, _), (padding, _), *_, (of_photos, of_weight, of_bias) = args
        return (
            photos_gradient(gradient, photos, weight, stride, padding) if of_photos else None,
            weight_gradient(gradient, photos, weight, stride, padding) if of_weight else None,
            gradient.sum(dim=(0, 2, 3)) if of_bias else None,
        )


def photos_gradient(gradient: Tensor, photos: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """Gradient of a depthwise convolution with respect to its input, (B, C, H, W) bfloat16.

    Args:
        gradient: (B, C, Y, X) bfloat16, with respect to its output.
        photos: (B, C, H, W) bfloat16, its input.
        weight: (C, 1, K, K) bfloat16.
        stride: Stride in both directions.
        padding: Zeros on each of the four sides, less than K.
    """
    if stride == 1:  # a convolution by the mirrored kernel
        return functional.conv2d(gradient, weight.flip(2, 3), padding=weight.shape[2] - 1 - padding, groups=len(weight))
    found: Tensor = _own(gradient.float(), photos.float(), weight.float(), stride, padding, (True, False, False))[0]
    return found.to(photos.dtype)


def weight_gradient(gradient: Tensor, photos: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """Gradient of a depthwise convolution with respect to its weight, (C, 1, K, K) bfloat16.

    That of a kernel of more than 3 x 3 is put together from parts of 3 x 3 taps; taps where parts overlap are computed
    twice. Arguments are those of `photos_gradient`.
    """
    side = weight.shape[2]
    if side == TILE:
        return _own(gradient, photos, weight, stride, padding, (False, True, False))[1]
    padded = functional.pad(photos, (padding,) * 4)
    high, wide = ((length - 1) * stride + TILE for length in gradient.shape[2:])
    tile = weight[:, :, :TILE, :TILE].contiguous()
    found = torch.empty_like(weight)
    starts = sorted({min(start, side - TILE) for start in range(0, side, TILE)})
    for top in starts:
        for left in starts:
            part = padded[:, :, top : top + high, left : left + wide].contiguous(memory_format=torch.channels_last)
            taps = _own(gradient, part, tile, stride, 0, (False, True, False))[1]
            found[:, :, top : top + TILE, left : left + TILE] = taps
    return found


def _own(
    gradient: Tensor, photos: Tensor, weight: Tensor, stride: int, padding: int, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients by PyTorch's own kernels with respect to input, weight and bias."""
    pair, ones, zeros = [stride, stride], [1, 1], [0, 0]
    sides = [padding, padding]
    found: tuple[Tensor, Tensor, Tensor] = BACKWARD(
        gradient, photos, weight, None, pair, sides, ones, False, zeros, len(weight), list(wanted)
    )
    return found


def _is_ours(
    gradient: Tensor,
    photos: Tensor,
    weight: Tensor,
    bias_sizes: object,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: object,
    groups: int,
    output_mask: object,
) -> bool:
    """Whether a convolution is depthwise, in bfloat16 on a CPU, with a square kernel that the fast ones can make up."""
    return (
        photos.device.type == "cpu"
        and gradient.dtype == photos.dtype == weight.dtype == torch.bfloat16
        and weight.ndim == 4
        and len(stride) == len(padding) == 2
        and groups == len(weight) == photos.shape[1] > 1
        and weight.shape[2] == weight.shape[3] >= TILE
        and stride[0] == stride[1]
        and padding[0] == padding[1] < weight.shape[2]
        and set(dilation) == {1}
        and not transposed
    )
