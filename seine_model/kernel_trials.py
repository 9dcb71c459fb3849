"""Whether the kernels of our own are right on a card: each beside PyTorch's operators."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from . import device_choices, fused, stand_ins
from .config import ROTARY_DIM
from .memory import may_have_run_out

TOLERANCE = 2e-2
"""How far a trial may be from float32's result, as a share of the largest: bfloat16 has eight bits."""
ATTENDED = (5, 40), (5, 80), (5, 160), (16, 80)
"""Frames, and values of a head: what a card has no room for differs by them."""
USUAL_FRAMES, WIDTH = 16, 80
"""Frames of a clip, and values of a head with which more are tried: these take other instructions."""
NORMALISED = (2, 100), (1, 2100)
"""Videos and pixels: in a few chunks of one tile each, and in the most there are, of two."""
MULTIPLIED = (320, 640)
"""Columns of SEINE's where products are our own, which are compiled in."""


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


@torch.no_grad()
def frames_attended(device: torch.device, dtype: torch.dtype, most: int) -> int:
    """Over how many frames the kernel attends at once, at most so many; says so in the log where it is fewer."""
    if most <= USUAL_FRAMES:
        return most
    problem: Any = "wrong"
    try:
        if all(_agree(*_attention(_numbers(device, dtype), most, WIDTH)) for _ in range(2)):
            return most
    except Exception as error:  # whatever a compiler, its driver or the card may say
        if may_have_run_out(error):
            raise
        problem = f"{type(error).__name__}: {error}"
    logging.warning(
        "SEINE: attention over %d frames at once on %s in %s: %s; PyTorch's is used for more than %d",
        *(most, device, dtype, problem, USUAL_FRAMES),
    )
    return USUAL_FRAMES


def _agree(out: Tensor, expected: Tensor) -> bool:
    return bool((out.float() - expected.float()).abs().max() <= TOLERANCE * expected.float().abs().max())


def _trials(device: torch.device, dtype: torch.dtype) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name, result and what PyTorch says, computed in float32."""
    numbers = _numbers(device, dtype)
    for frames, width in ATTENDED:
        yield f"attention over {frames} frames ({width})", *_attention(numbers, frames, width)

    width, groups, eps = 40, 8, 1e-5
    weight, shift = numbers(width), numbers(width)
    for videos, pixels in NORMALISED:
        x, added = numbers(videos, pixels, width), numbers(2 * videos, width)
        x_exact, weight_exact, shift_exact, added_exact = exactly(x, weight, shift, added)
        expected = stand_ins.normalise(x_exact, groups, weight_exact, shift_exact, eps, True, added_exact)
        yield f"group norm of {pixels}", fused.normalise(x, groups, weight, shift, eps, True, added), expected

    x, other = numbers(1, 6, width), numbers(1, 6, width)
    summed, norm = fused.add_and_layer_norm(x, other, weight, shift, eps)
    expected = stand_ins.normalise_rows(*exactly(x, other, weight, shift), eps)
    yield "sum", summed, expected[0]
    yield "layer norm", norm, expected[1]
    yield "gate", fused.gate(x), stand_ins.gate(x.float())
    if device_choices.multiplies_with_gates(device, dtype):
        for columns in MULTIPLIED:
            given = numbers(48, columns), numbers(256, columns), numbers(256)
            expected = stand_ins.gated_product(*exactly(*given))
            yield f"product with gates of {columns}", fused.gated_product(*given), expected
    expected = x.float()
    stand_ins.add_up(expected, *exactly(other, weight))
    fused.add_up_(x, other, weight)
    yield "sum and bias", x, expected

    kernels = numbers(3, 5, 3, 3)
    yield "order of weights", fused.channels_last(kernels), kernels
    small, shift = numbers(2, 5, 2, 3), numbers(3)
    parts = F.conv2d(small.float(), fused.quarters(kernels).float(), padding=1).permute(0, 2, 3, 1).contiguous()
    expected = F.conv2d(F.interpolate(small.float(), scale_factor=2.0), kernels.float(), shift.float(), padding=1)
    yield "doubled map", fused.interleave(parts.to(dtype), shift).permute(0, 3, 1, 2), expected


def _numbers(device: torch.device, dtype: torch.dtype) -> Callable[..., Tensor]:
    """Gives random tensors, of a generator of its own: a first clip draws the same noise as any other."""
    generator = torch.Generator(device).manual_seed(0)
    return lambda *shape: torch.randn(shape, device=device, generator=generator).to(dtype)


def _attention(numbers: Callable[..., Tensor], frames: int, width: int) -> tuple[Tensor, Tensor]:
    q, k, v = numbers(1, frames, 2, 3, 2, width).unbind(3)
    bias, angles = numbers(2, frames, frames), numbers(frames, ROTARY_DIM // 2).float()
    given = q, k, v, bias, angles.cos().to(q.dtype), angles.sin().to(q.dtype)
    expected = stand_ins.attend_over_frames(*exactly(*given))
    return fused.attend_over_frames(*given), expected


def exactly(*tensors: Tensor) -> list[Tensor]:
    """The same numbers in float32."""
    return [tensor.float() for tensor in tensors]
