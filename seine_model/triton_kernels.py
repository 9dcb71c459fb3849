"""Kernels in Triton for what no library does in one pass over a map. Only for devices that Triton compiles for.

Maps lie channels-last: ``[rows, pixels, channels]`` one after the other. Everything is computed in float32.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .config import ROTARY_DIM
from .triton_norms import CHANNELS, PIXELS

ROWS, COLUMNS = 4, 256
"""Of a tile of the gate: all widths of SEINE's are multiples."""


def attend_over_frames(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates q and k, attends with a bias: ``[videos, frames, pixels, heads, dim]`` each; to the same shape, dense.

    Pixels of q, k and v may lie apart, as far in each; bias ``[heads, frames, frames]``; cos, sin ``[frames, 16]``.
    """
    videos, frames, pixels, heads, dim = q.shape
    apart = next(
        (q.stride(i) for i in (2, 1, 0) if q.shape[i] > 1), 0
    )  # PyTorch's stride of a single one means nothing
    out = q.new_empty(q.shape)
    block_frames, block_dim = max(16, triton.next_power_of_2(frames)), max(16, triton.next_power_of_2(dim))
    _attend[(videos * pixels * heads,)](
        q,
        k,
        v,
        bias,
        cos,
        sin,
        out,
        pixels,
        frames,
        apart,
        dim**-0.5,
        HEADS=heads,
        DIM=dim,
        TURNED=ROTARY_DIM,
        BLOCK_FRAMES=block_frames,
        BLOCK_DIM=block_dim,
        PRECISION="ieee" if q.dtype == torch.float32 else "tf32",
        num_warps=1 if block_frames * block_dim <= 2048 else 4,
    )
    return out


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
    BLOCK_FRAMES: tl.constexpr,
    BLOCK_DIM: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """One head of one pixel."""
    number = tl.program_id(0)
    head = number % HEADS
    place = (number // HEADS).to(tl.int64)
    first = (place // pixels) * frames * pixels + place % pixels
    f = tl.arange(0, BLOCK_FRAMES)
    d = tl.arange(0, BLOCK_DIM)
    there = (f[:, None] < frames) & (d[None, :] < DIM)
    turned = (f[:, None] < frames) & (d[None, :] < TURNED)
    angles = f[:, None] * (TURNED // 2) + d[None, :] // 2
    cos = tl.load(cos_from + angles, turned, other=1.0).to(tl.float32)
    sin = tl.load(sin_from + angles, turned, other=0.0).to(tl.float32)
    pixel = first + f[:, None].to(tl.int64) * pixels
    at = pixel * apart + head * DIM + d[None, :]
    q = tl.load(q_from + at, there, other=0.0)
    k = tl.load(k_from + at, there, other=0.0)
    v = tl.load(v_from + at, there, other=0.0)
    kind = q.dtype
    # A product that exchanges the two of each pair, since a second read out of order costs more.
    beside = tl.where(d[:, None] == (d[None, :] ^ 1), tl.where(d[None, :] % 2 == 0, -1.0, 1.0), 0.0).to(kind)
    q = (q * cos + tl.dot(q, beside, input_precision=PRECISION) * sin).to(kind)
    k = (k * cos + tl.dot(k, beside, input_precision=PRECISION) * sin).to(kind)
    scores = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale
    both = (f[:, None] < frames) & (f[None, :] < frames)
    bias = tl.load(bias_from + head * frames * frames + f[:, None] * frames + f[None, :], both, other=0.0)
    scores = tl.where(f[None, :] < frames, scores + bias, float("-inf"))
    weights = tl.exp(scores - tl.max(scores, 1)[:, None])
    weights = weights / tl.sum(weights, 1)[:, None]
    out = tl.dot(weights.to(kind), v, input_precision=PRECISION)
    tl.store(out_to + (pixel * HEADS + head) * DIM + d[None, :], out.to(kind), there)


def gate(x: Tensor) -> Tensor:
    """Half of the last dimension times the GELU of the other: dense ``[..., 2*inner]`` to ``[..., inner]``."""
    inner = x.shape[-1] // 2
    out = x.new_empty(*x.shape[:-1], inner)
    rows = out.numel() // inner
    _gate[(triton.cdiv(rows, ROWS), triton.cdiv(inner, COLUMNS))](x, out, rows, inner, ROWS=ROWS, COLUMNS=COLUMNS)
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
    grid = (triton.cdiv(rows, PIXELS), triton.cdiv(channels, CHANNELS))
    _add_up[grid](x, residual, bias, rows, channels, ROWS=PIXELS, COLUMNS=CHANNELS)


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
