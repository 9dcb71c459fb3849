"""What the kernels of `fused` compute, by PyTorch's operators, under the names that these have in their modules."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from . import device_choices
from .temporal import FramePositions, rotate_


def attend_over_frames(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """See `fused.attend_over_frames`; in the inputs' own dtype, as they are many."""
    positions = FramePositions(cos, sin, torch.empty(0))
    # By pixel, as they are rotated, and copied, since that is done in place.
    turned = (rotate_(t.transpose(1, 2).clone(), positions) for t in (q, k))
    rows = [t.transpose(2, 3).flatten(0, 1) for t in (*turned, v.transpose(1, 2))]
    parts = zip(*(t.split(device_choices.MOST_PIXELS) for t in rows), strict=True)
    out = torch.cat([F.scaled_dot_product_attention(*part, attn_mask=bias) for part in parts])
    return out.unflatten(0, (len(q), -1)).permute(0, 3, 1, 2, 4).contiguous()


def normalise(
    x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float, activate: bool, added: Tensor | None
) -> Tensor:
    """See `fused.normalise`."""
    summed = x.float()
    if added is not None:
        rows = added.repeat_interleave(len(x) * x.shape[1] // len(added), 0)
        summed = summed + rows.view_as(x).float()
    out = F.group_norm(summed.transpose(1, 2), groups, weight.float(), bias.float(), eps).transpose(1, 2)
    return (F.silu(out) if activate else out).contiguous().to(x.dtype)


def normalise_rows(x: Tensor, added: Tensor | None, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """See `fused.layer_norm` and `add_and_layer_norm`."""
    summed = x if added is None else x + added
    norm = F.layer_norm(summed.float(), x.shape[-1:], weight.float(), bias.float(), eps)
    return summed, norm.to(x.dtype)


def gate(x: Tensor) -> Tensor:
    """See `fused.gate`."""
    value, gates = x.float().chunk(2, -1)
    return (value * F.gelu(gates)).to(x.dtype)


def gated_product(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """See `fused.gated_product`."""
    return gate(F.linear(x, weight, bias))


def add_up(x: Tensor, residual: Tensor, bias: Tensor) -> None:
    """See `fused.add_up_`."""
    x.add_(residual).add_(bias)


def reorder(weight: Tensor) -> Tensor:
    """See `fused.channels_last`."""
    return weight.clone(memory_format=torch.channels_last)


def quarters(weight: Tensor) -> Tensor:
    """See `fused.quarters`."""

    def summed(line: int, dim: int, values: Tensor) -> Tensor:
        """Of three lines of weights the two that a pixel of an even or odd line has."""
        a, b, c = values.unbind(dim)
        return torch.stack((a + b, c) if line else (a, b + c), dim)

    values = weight.float()
    # Of an even line the pixel before it comes first, of an odd one its own.
    parts = [summed(column, 3, summed(line, 2, values)) for line in (0, 1) for column in (0, 1)]
    return torch.cat(parts).to(weight.dtype).contiguous(memory_format=torch.channels_last)


def interleave(quarters: Tensor, bias: Tensor) -> Tensor:
    """See `fused.interleave`."""
    rows, height, width, channels = quarters.shape
    out = quarters.new_empty(rows, 2 * height - 2, 2 * width - 2, channels // 4)
    for index, part in enumerate(quarters.chunk(4, -1)):
        line, column = divmod(index, 2)
        out[:, line::2, column::2] = part[:, line : line + height - 1, column : column + width - 1] + bias
    return out
