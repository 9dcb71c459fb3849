"""PyTorch's operators in place of the pack's own kernels, on a card that the CPU poses as: what a card does with them.

They pass the trial that the kernels themselves have to pass on a card before they are used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from comfyui_seine.seine_model import convolution, device_choices, fused, products
from comfyui_seine.seine_model.temporal import FramePositions, rotate_
from comfyui_seine.tools.hosting.posing_device import Posing
from torch import Tensor

CAPABILITY = (9, 0)
"""Of the cards that all of them are for."""


@contextmanager
def standing_kernels() -> Iterator[Counter]:
    """Within `host_with_card`: how often each is launched, for maps of every size."""
    launched: Counter = Counter()
    chosen: dict[tuple[Any, str], Any] = {
        (fused, "_functions"): lambda: {name: _counted(name, made, launched) for name, made in _KERNELS.items()},
        (fused, "_working"): {},
        (fused, "_multiplying"): {},
        (device_choices, "has_kernels"): lambda device: device.type == "cuda",
        (device_choices, "may_attend_by_cudnn"): lambda device, dtype: False,
        (device_choices, "LARGE_INPUT"): 0,
        (device_choices, "MANY_PIXELS"): 0,
        (torch.cuda, "get_device_capability"): lambda device=None: CAPABILITY,
    }
    for module in (convolution, products):  # on a card they have tensors that are their numbers
        chosen[module, "PLAIN"] = (*fused.PLAIN, Posing)
    with ExitStack() as stack:
        for (place, name), value in chosen.items():
            stack.enter_context(mock.patch.object(place, name, value))
        yield launched


def _counted(name: str, function: Callable, launched: Counter) -> Callable:
    def launch(*given: Any) -> Any:
        launched[name] += 1
        return function(*given)

    return launch


def attend_over_frames(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    positions = FramePositions(cos.float(), sin.float(), torch.empty(0))
    q, k = (rotate_(t.transpose(1, 2).float().clone(), positions).transpose(2, 3) for t in (q, k))
    out = F.scaled_dot_product_attention(q, k, v.transpose(1, 2).transpose(2, 3).float(), attn_mask=bias.float())
    return out.permute(0, 3, 1, 2, 4).contiguous().to(v.dtype)


def normalise(
    x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float, activate: bool, added: Tensor | None
) -> Tensor:
    summed = x.float()
    if added is not None:
        rows = added.repeat_interleave(len(x) * x.shape[1] // len(added), 0)
        summed = summed + rows.view_as(x).float()
    out = F.group_norm(summed.transpose(1, 2), groups, weight.float(), bias.float(), eps).transpose(1, 2)
    return (F.silu(out) if activate else out).contiguous().to(x.dtype)


def normalise_rows(x: Tensor, added: Tensor | None, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    summed = x if added is None else x + added
    norm = F.layer_norm(summed.float(), x.shape[-1:], weight.float(), bias.float(), eps)
    return summed, norm.to(x.dtype)


def gate(x: Tensor) -> Tensor:
    value, gates = x.float().chunk(2, -1)
    return (value * F.gelu(gates)).to(x.dtype)


def gated_product(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return gate(F.linear(x, weight, bias))


def add_up(x: Tensor, residual: Tensor, bias: Tensor) -> None:
    x.add_(residual).add_(bias)


def reorder(weight: Tensor) -> Tensor:
    return weight.contiguous(memory_format=torch.channels_last)


def quarters(weight: Tensor) -> Tensor:
    def summed(line: int, dim: int, values: Tensor) -> Tensor:
        """Of three lines of weights the two that a pixel of an even or odd line has."""
        a, b, c = values.unbind(dim)
        return torch.stack((a + b, c) if line else (a, b + c), dim)

    values = weight.float()
    # Of an even line the pixel before it comes first, of an odd one its own.
    parts = [summed(column, 3, summed(line, 2, values)) for line in (0, 1) for column in (0, 1)]
    return torch.cat(parts).to(weight.dtype).contiguous(memory_format=torch.channels_last)


def interleave(quarters: Tensor, bias: Tensor) -> Tensor:
    rows, height, width, channels = quarters.shape
    out = quarters.new_empty(rows, 2 * height - 2, 2 * width - 2, channels // 4)
    for index, part in enumerate(quarters.chunk(4, -1)):
        line, column = divmod(index, 2)
        out[:, line::2, column::2] = part[:, line : line + height - 1, column : column + width - 1] + bias
    return out


_KERNELS: dict[str, Callable] = {
    function.__name__: function
    for function in (
        *(attend_over_frames, normalise, normalise_rows, gate, gated_product),
        *(add_up, reorder, quarters, interleave),
    )
}
