"""Whether the kernels of our own are right on a card: each beside PyTorch's operators."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from . import device_choices, fused
from .config import ROTARY_DIM
from .temporal import FramePositions, rotate_

TOLERANCE = 2e-2
"""How far a trial may be from float32's result, as a share of the largest: bfloat16 has eight bits."""
HEADS = (40, 80, 160)
"""Values of SEINE's heads: what a card has no room for differs by them."""


@torch.no_grad()
def are_right(device: torch.device, dtype: torch.dtype) -> bool:
    """Each beside PyTorch's operators, on a few random numbers; says so in the log where one is wrong."""
    for _ in range(2):  # the second time they are launched as they were compiled the first time
        wrong = [name for name, out, expected in _trials(device, dtype) if not _agree(out, expected)]
        if wrong:
            names = ", ".join(wrong)
            logging.warning("SEINE: %s wrong on %s in %s: PyTorch's operators are used", names, device, dtype)
            return False
    return True


def _agree(out: Tensor, expected: Tensor) -> bool:
    return bool((out.float() - expected.float()).abs().max() <= TOLERANCE * expected.float().abs().max())


def _trials(device: torch.device, dtype: torch.dtype) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name, result and what PyTorch says, computed in float32."""
    # Of its own: a first clip draws the same noise as any other.
    generator = torch.Generator(device).manual_seed(0)

    def numbers(*shape: int) -> Tensor:
        return torch.randn(shape, device=device, generator=generator).to(dtype)

    frames = 5
    bias, angles = numbers(2, frames, frames), numbers(frames, ROTARY_DIM // 2).float()
    cos, sin = angles.cos().to(dtype), angles.sin().to(dtype)
    positions = FramePositions(cos.float(), sin.float(), torch.empty(0))
    for width in HEADS:
        q, k, v = numbers(1, frames, 2, 3, 2, width).unbind(3)
        # By pixel, as they are rotated, and copied, since that is done in place.
        turned = [rotate_(t.transpose(1, 2).float().clone(), positions) for t in (q, k)]
        scores = torch.einsum("npqhd,npkhd->nphqk", *turned) / width**0.5 + bias.float()
        expected = torch.einsum("nphqk,nkphd->nqphd", scores.softmax(-1), v.float())
        yield f"attention over frames ({width})", fused.attend_over_frames(q, k, v, bias, cos, sin), expected

    width = HEADS[0]
    x, added, weight, shift = numbers(1, 6, width), numbers(2, width), numbers(width), numbers(width)
    summed = x.float() + added.float().repeat_interleave(3, 0)
    norm = F.group_norm(summed.transpose(1, 2), 8, weight.float(), shift.float(), 1e-5).transpose(1, 2)
    yield "group norm", fused.normalise(x, 8, weight, shift, 1e-5, True, added), F.silu(norm)

    other = numbers(1, 6, width)
    summed, norm = fused.add_and_layer_norm(x, other, weight, shift, 1e-5)
    yield "sum", summed, x.float() + other.float()
    yield "layer norm", norm, F.layer_norm(summed.float(), (width,), weight.float(), shift.float(), 1e-5)
    value, gates = x.float().chunk(2, -1)
    yield "gate", fused.gate(x), value * F.gelu(gates)
    if device_choices.multiplies_with_gates(device, dtype):
        wide, layer, shift = numbers(48, 320), numbers(320, 320), numbers(320)  # as SEINE has it: compiled once
        value, gates = F.linear(wide.float(), layer.float(), shift.float()).chunk(2, -1)
        yield "product with gates", fused.gated_product(wide, layer, shift), value * F.gelu(gates)
    expected = x.float() + other.float() + weight.float()
    fused.add_up_(x, other, weight)
    yield "sum and bias", x, expected

    kernels = numbers(3, 5, 3, 3)
    yield "order of weights", fused.channels_last(kernels), kernels
    small, shift = numbers(2, 5, 2, 3), numbers(3)
    parts = F.conv2d(small.float(), fused.quarters(kernels).float(), padding=1).permute(0, 2, 3, 1).contiguous()
    expected = F.conv2d(F.interpolate(small.float(), scale_factor=2.0), kernels.float(), shift.float(), padding=1)
    yield "doubled map", fused.interleave(parts.to(dtype), shift).permute(0, 3, 1, 2), expected
