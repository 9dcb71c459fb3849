"""Kernels in Triton for what no library does in one pass over a map. Only for devices that Triton compiles for.

Maps lie channels-last: ``[rows, pixels, channels]`` one after the other. Everything is computed in float32.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .config import ROTARY_DIM
from .triton_launch import launch, parts, power_of_two
from .triton_norms import CHANNELS, PIXELS

ROWS, COLUMNS = 4, 256
"""Of a tile of the gate: all widths of SEINE's are multiples."""
MOST_WARPS = 8
"""That attend over frames together."""


def attend_over_frames(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates q and k, attends with a bias: ``[videos, frames, pixels, heads, dim]`` each; to the same shape, dense.

    Pixels of q, k and v may lie apart, as far in each; bias ``[heads, frames, frames]``; cos, sin ``[frames, 16]``.
    """
    videos, frames, pixels, heads, dim = q.shape
    apart = next(
        (q.stride(i) for i in (2, 1, 0) if q.shape[i] > 1), 0
    )  # PyTorch's stride of a single one means nothing
    out = q.new_empty(q.shape)
    block = max(16, power_of_two(frames))
    rest = max(16, power_of_two(dim - ROTARY_DIM)) if dim > ROTARY_DIM else 0
    constants = {
        "HEADS": heads,
        "DIM": dim,
        "TURNED": ROTARY_DIM,
        "REST": rest,
        "BLOCK_FRAMES": block,
        "WHOLE": frames == block,
        "PRECISION": "ieee" if q.dtype == torch.float32 else "tf32",
    }
    given = q, k, v, bias, cos, sin, out, pixels, frames, apart, dim**-0.5
    launch(_attend, (videos * pixels * heads, 1, 1), given, constants, num_warps=warps_of(block, q.dtype))
    return out


def warps_of(frames: int, dtype: torch.dtype) -> int:
    """That attend over so many: sixteen frames are what one multiplies, and exact products of float32 take more."""
    return min(frames // (4 if dtype == torch.float32 else 16), MOST_WARPS)


@triton.jit
def _turned(x, cos, sin):
    """First and second of each rotated pair, which one thread has side by side."""
    first, second = tl.split(tl.reshape(x, [x.shape[0], x.shape[1] // 2, 2]))
    return (first * cos - second * sin).to(x.dtype), (second * cos + first * sin).to(x.dtype)


@triton.jit
def _attend(
    q_from,
    k_from,
    v_from,
    bias_from,
    cos_from,
    sin_from,
    out_to,
    pixels,
    frames,
    apart,
    scale,
    HEADS: tl.constexpr,
    DIM: tl.constexpr,
    TURNED: tl.constexpr,
    REST: tl.constexpr,
    BLOCK_FRAMES: tl.constexpr,
    WHOLE: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """One head of one pixel: the rotated values by themselves, and the rest. WHOLE: the block has just the frames."""
    number = tl.program_id(0)
    head = number % HEADS
    place = (number // HEADS).to(tl.int64)
    f = tl.arange(0, BLOCK_FRAMES)
    there = (f[:, None] < frames) | WHOLE
    among = (f[None, :] < frames) | WHOLE
    pixel = (place // pixels) * frames * pixels + place % pixels + f[:, None].to(tl.int64) * pixels
    d = tl.arange(0, TURNED)[None, :]
    at = pixel * apart + head * DIM + d
    # All is asked for before anything is waited for.
    q = tl.load(q_from + at, there, other=0.0)
    k = tl.load(k_from + at, there, other=0.0)
    if REST:
        rest = TURNED + tl.arange(0, REST)[None, :]
        inside = there & ((rest < DIM) | (TURNED + REST == DIM))
        rest_at = pixel * apart + head * DIM + rest
        q_rest = tl.load(q_from + rest_at, inside, other=0.0)
        k_rest = tl.load(k_from + rest_at, inside, other=0.0)
        v_rest = tl.load(v_from + rest_at, inside, other=0.0)
    v = tl.load(v_from + at, there, other=0.0)
    bias = tl.load(bias_from + head * frames * frames + f[:, None] * frames + f[None, :], there & among, other=0.0)
    angles = f[:, None] * (TURNED // 2) + tl.arange(0, TURNED // 2)[None, :]
    cos = tl.load(cos_from + angles, there, other=1.0).to(tl.float32)
    sin = tl.load(sin_from + angles, there, other=0.0).to(tl.float32)
    q_first, q_second = _turned(q, cos, sin)
    k_first, k_second = _turned(k, cos, sin)
    scores = tl.dot(q_first, tl.trans(k_first), input_precision=PRECISION)
    scores = tl.dot(q_second, tl.trans(k_second), scores, input_precision=PRECISION)
    if REST:
        scores = tl.dot(q_rest, tl.trans(k_rest), scores, input_precision=PRECISION)
    scores = tl.where(among, scores * scale + bias, float("-inf"))
    weights = tl.exp(scores - tl.max(scores, 1)[:, None])
    weights = (weights / tl.sum(weights, 1)[:, None]).to(v.dtype)
    to = out_to + (pixel * HEADS + head) * DIM
    tl.store(to + d, tl.dot(weights, v, input_precision=PRECISION).to(v.dtype), there)
    if REST:
        tl.store(to + rest, tl.dot(weights, v_rest, input_precision=PRECISION).to(v.dtype), inside)


def gate(x: Tensor) -> Tensor:
    """Half of the last dimension times the GELU of the other: dense ``[..., 2*inner]`` to ``[..., inner]``."""
    inner = x.shape[-1] // 2
    out = x.new_empty(*x.shape[:-1], inner)
    rows = out.numel() // inner
    grid = (parts(rows, ROWS), parts(inner, COLUMNS), 1)
    launch(_gate, grid, (x, out, rows, inner), {"ROWS": ROWS, "COLUMNS": COLUMNS})
    return out


@triton.jit
def _gate(x_from, out_to, rows, inner, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    i = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    inside = (row < rows) & (i < inner)
    value = tl.load(x_from + row * 2 * inner + i, inside, other=0.0).to(tl.float32)
    gated = tl.load(x_from + row * 2 * inner + inner + i, inside, other=0.0).to(tl.float32)
    out = value * gated * 0.5 * (1.0 + tl.erf(gated * 0.7071067811865476))
    tl.store(out_to + row * inner + i, out.to(out_to.dtype.element_ty), inside)


def add_up(x: Tensor, residual: Tensor, bias: Tensor) -> None:
    """Adds a tensor and a bias ``[channels]`` to x ``[..., channels]``, all dense."""
    channels = x.shape[-1]
    rows = x.numel() // channels
    grid = (parts(rows, PIXELS), parts(channels, CHANNELS), 1)
    launch(_add_up, grid, (x, residual, bias, rows, channels), {"ROWS": PIXELS, "COLUMNS": CHANNELS})


@triton.jit
def _add_up(x_in, residual_from, bias_from, rows, channels, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    c = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    at = row * channels + c
    inside = (row < rows) & (c < channels)
    x = tl.load(x_in + at, inside, other=0.0).to(tl.float32)
    x += tl.load(residual_from + at, inside, other=0.0).to(tl.float32)
    x += tl.load(bias_from + c, c < channels, other=0.0).to(tl.float32)
    tl.store(x_in + at, x.to(x_in.dtype.element_ty), inside)
