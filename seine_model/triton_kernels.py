"""Kernels in Triton for what no library does in one pass over a map. Only for devices that Triton compiles for.

Maps lie channels-last: ``[rows, pixels, channels]`` one after the other. Everything is computed in float32.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .config import ROTARY_DIM

CHANNELS = 64
"""Of a tile: one 128-byte line in half precision."""
PIXELS = 32
"""Of a tile."""
PROGRAMS = 1024
"""Wanted of the kernel that sums up, so that every multiprocessor has some."""
MOST_CHUNKS = 64
"""Partial sums of a video at most."""
GATED = 1024
"""Values of a program of the gate."""


def attend_over_frames(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates q and k, attends with a bias: ``[videos, frames, pixels, heads, dim]`` each, dense; to the same shape.

    bias ``[heads, frames, frames]``; cos, sin ``[frames, 16]``.
    """
    videos, frames, pixels, heads, dim = q.shape
    out = torch.empty_like(q)
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
        heads,
        dim**-0.5,
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
    heads,
    scale,
    DIM: tl.constexpr,
    TURNED: tl.constexpr,
    BLOCK_FRAMES: tl.constexpr,
    BLOCK_DIM: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """One head of one pixel."""
    number = tl.program_id(0)
    head = number % heads
    place = (number // heads).to(tl.int64)
    width = heads * DIM
    start = (place // pixels) * frames * pixels * width + (place % pixels) * width + head * DIM
    f = tl.arange(0, BLOCK_FRAMES)
    d = tl.arange(0, BLOCK_DIM)
    rows = start + f[:, None].to(tl.int64) * pixels * width
    there = (f[:, None] < frames) & (d[None, :] < DIM)
    turned = (f[:, None] < frames) & (d[None, :] < TURNED)
    angles = f[:, None] * (TURNED // 2) + d[None, :] // 2
    cos = tl.load(cos_from + angles, turned, other=1.0).to(tl.float32)
    sin = tl.load(sin_from + angles, turned, other=0.0).to(tl.float32)
    sin = tl.where(d[None, :] % 2 == 0, -sin, sin)
    at = rows + d[None, :]
    beside = rows + (d[None, :] ^ 1)
    q = tl.load(q_from + at, there, other=0.0)
    k = tl.load(k_from + at, there, other=0.0)
    v = tl.load(v_from + at, there, other=0.0)
    kind = q.dtype
    q = (q * cos + tl.load(q_from + beside, turned, other=0.0) * sin).to(kind)
    k = (k * cos + tl.load(k_from + beside, turned, other=0.0) * sin).to(kind)
    scores = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale
    both = (f[:, None] < frames) & (f[None, :] < frames)
    bias = tl.load(bias_from + head * frames * frames + f[:, None] * frames + f[None, :], both, other=0.0)
    scores = tl.where(f[None, :] < frames, scores + bias, float("-inf"))
    weights = tl.exp(scores - tl.max(scores, 1)[:, None])
    weights = weights / tl.sum(weights, 1)[:, None]
    out = tl.dot(weights.to(kind), v, input_precision=PRECISION)
    tl.store(out_to + at, out.to(kind), there)


def normalise(
    x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float, activate: bool, added: Tensor | None
) -> Tensor:
    """GroupNorm of ``[videos, pixels, channels]``, dense, each video by itself; with SiLU where `activate`.

    added: ``[rows, channels]`` to be added first, each row to as many pixels of all, one after the other.
    """
    videos, pixels, channels = x.shape
    blocks = triton.cdiv(channels, CHANNELS)
    chunks = min(MOST_CHUNKS, max(1, PROGRAMS // (videos * blocks)), triton.cdiv(pixels, PIXELS))
    length = triton.cdiv(pixels, chunks)
    chunks = triton.cdiv(pixels, length)
    mean, square = torch.empty(2, videos, chunks, channels, dtype=torch.float32, device=x.device)
    scale, shift = torch.empty(2, videos, channels, dtype=torch.float32, device=x.device)
    every = videos * pixels // len(added) if added is not None else 1
    tile = {"BLOCK_PIXELS": PIXELS, "BLOCK_CHANNELS": CHANNELS, "ADDS": added is not None}
    given = x if added is None else added
    _sum_up[(videos, chunks, blocks)](x, given, mean, square, pixels, channels, every, length, chunks, **tile)
    _combine[(videos, groups)](
        mean,
        square,
        weight,
        bias,
        scale,
        shift,
        pixels,
        channels,
        length,
        chunks,
        eps,
        SIZE=channels // groups,
        BLOCK_CHANNELS=triton.next_power_of_2(channels // groups),
        BLOCK_CHUNKS=triton.next_power_of_2(chunks),
    )
    out = torch.empty_like(x)
    grid = (triton.cdiv(pixels, PIXELS), blocks, videos)
    _scale[grid](x, given, scale, shift, out, pixels, channels, every, ACTIVATES=activate, **tile)
    return out


@triton.jit
def _tile(
    x_from,
    added_from,
    video,
    p,
    c,
    inside,
    pixels,
    channels,
    every,
    ADDS: tl.constexpr,
):
    """Values of these pixels and channels of a video, with what is to be added."""
    place = video * pixels + p[:, None].to(tl.int64)
    x = tl.load(x_from + place * channels + c[None, :], inside, other=0.0).to(tl.float32)
    if ADDS:
        x += tl.load(added_from + (place // every) * channels + c[None, :], inside, other=0.0).to(tl.float32)
    return x


@triton.jit
def _sum_up(
    x_from,
    added_from,
    mean_to,
    square_to,
    pixels,
    channels,
    every,
    length,
    chunks,
    BLOCK_PIXELS: tl.constexpr,
    BLOCK_CHANNELS: tl.constexpr,
    ADDS: tl.constexpr,
):
    """Mean and sum of squared deviations of each channel over a chunk of a video's pixels."""
    video = tl.program_id(0).to(tl.int64)
    chunk = tl.program_id(1)
    c = tl.program_id(2) * BLOCK_CHANNELS + tl.arange(0, BLOCK_CHANNELS)
    begin = chunk * length
    end = tl.minimum(begin + length, pixels)
    # Deviations from one of the values, since the squares of large ones would leave no digits for them.
    first = begin + tl.zeros([1], tl.int32)
    pivot = _tile(x_from, added_from, video, first, c, c[None, :] < channels, pixels, channels, every, ADDS)
    total = tl.zeros([BLOCK_PIXELS, BLOCK_CHANNELS], tl.float32)
    squares = tl.zeros([BLOCK_PIXELS, BLOCK_CHANNELS], tl.float32)
    at = begin
    while at < end:
        p = at + tl.arange(0, BLOCK_PIXELS)
        inside = (p[:, None] < end) & (c[None, :] < channels)
        x = _tile(x_from, added_from, video, p, c, inside, pixels, channels, every, ADDS)
        x = tl.where(inside, x - pivot, 0.0)
        total += x
        squares += x * x
        at += BLOCK_PIXELS
    count = (end - begin).to(tl.float32)
    total = tl.sum(total, 0)
    squares = tl.sum(squares, 0) - total * total / count
    to = (video * chunks + chunk) * channels + c
    tl.store(mean_to + to, tl.sum(pivot, 0) + total / count, c < channels)
    tl.store(square_to + to, squares, c < channels)


@triton.jit
def _combine(
    mean_from,
    square_from,
    weight_from,
    bias_from,
    scale_to,
    shift_to,
    pixels,
    channels,
    length,
    chunks,
    eps,
    SIZE: tl.constexpr,
    BLOCK_CHANNELS: tl.constexpr,
    BLOCK_CHUNKS: tl.constexpr,
):
    """Factor and summand of each channel of one group of one video (parallel variance: Chan, Golub, LeVeque 1979)."""
    video = tl.program_id(0)
    group = tl.program_id(1)
    chunk = tl.arange(0, BLOCK_CHUNKS)
    c = tl.arange(0, BLOCK_CHANNELS)
    inside = (chunk[:, None] < chunks) & (c[None, :] < SIZE)
    at = (video * chunks + chunk[:, None]) * channels + group * SIZE + c[None, :]
    mean = tl.load(mean_from + at, inside, other=0.0)
    square = tl.load(square_from + at, inside, other=0.0)
    count = tl.minimum(pixels - chunk * length, length).to(tl.float32)[:, None]
    values = pixels.to(tl.float32) * SIZE
    middle = tl.sum(tl.sum(tl.where(inside, mean * count, 0.0), 0), 0) / values
    apart = tl.where(inside, mean - middle, 0.0)
    variance = tl.sum(tl.sum(square + apart * apart * count, 0), 0) / values
    to = group * SIZE + c
    there = c < SIZE
    scale = tl.load(weight_from + to, there, other=0.0).to(tl.float32) * tl.rsqrt(variance + eps)
    shift = tl.load(bias_from + to, there, other=0.0).to(tl.float32) - middle * scale
    tl.store(scale_to + video * channels + to, scale, there)
    tl.store(shift_to + video * channels + to, shift, there)


@triton.jit
def _scale(
    x_from,
    added_from,
    scale_from,
    shift_from,
    out_to,
    pixels,
    channels,
    every,
    BLOCK_PIXELS: tl.constexpr,
    BLOCK_CHANNELS: tl.constexpr,
    ADDS: tl.constexpr,
    ACTIVATES: tl.constexpr,
):
    video = tl.program_id(2).to(tl.int64)
    p = tl.program_id(0) * BLOCK_PIXELS + tl.arange(0, BLOCK_PIXELS)
    c = tl.program_id(1) * BLOCK_CHANNELS + tl.arange(0, BLOCK_CHANNELS)
    inside = (p[:, None] < pixels) & (c[None, :] < channels)
    x = _tile(x_from, added_from, video, p, c, inside, pixels, channels, every, ADDS)
    scale = tl.load(scale_from + video * channels + c, c < channels, other=0.0)
    shift = tl.load(shift_from + video * channels + c, c < channels, other=0.0)
    x = x * scale[None, :] + shift[None, :]
    if ACTIVATES:
        x = x / (1.0 + tl.exp(-x))
    to = (video * pixels + p[:, None].to(tl.int64)) * channels + c[None, :]
    tl.store(out_to + to, x.to(out_to.dtype.element_ty), inside)


def gate(x: Tensor) -> Tensor:
    """The first half of the last dimension times the GELU of the second: dense ``[..., 2*inner]`` to ``[..., inner]``."""
    inner = x.shape[-1] // 2
    out = x.new_empty(*x.shape[:-1], inner)
    rows = out.numel() // inner
    block = min(GATED, triton.next_power_of_2(inner))
    _gate[(rows, triton.cdiv(inner, block))](x, out, inner, BLOCK=block)
    return out


@triton.jit
def _gate(x_from, out_to, inner, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    i = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(x_from + row * 2 * inner + i, i < inner, other=0.0).to(tl.float32)
    gated = tl.load(x_from + row * 2 * inner + inner + i, i < inner, other=0.0).to(tl.float32)
    out = value * gated * 0.5 * (1.0 + tl.erf(gated * 0.7071067811865476))
    tl.store(out_to + row * inner + i, out.to(out_to.dtype.element_ty), i < inner)


def add_up(x: Tensor, residual: Tensor, bias: Tensor) -> Tensor:
    """The sum of two dense tensors ``[..., channels]`` and a bias, in place of the first."""
    channels = x.shape[-1]
    block = min(GATED, triton.next_power_of_2(channels))
    _add_up[(x.numel() // channels, triton.cdiv(channels, block))](x, residual, bias, channels, BLOCK=block)
    return x


@triton.jit
def _add_up(x_in, residual_from, bias_from, channels, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    c = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    at = row * channels + c
    x = tl.load(x_in + at, c < channels, other=0.0).to(tl.float32)
    x += tl.load(residual_from + at, c < channels, other=0.0).to(tl.float32)
    x += tl.load(bias_from + c, c < channels, other=0.0).to(tl.float32)
    tl.store(x_in + at, x.to(x_in.dtype.element_ty), c < channels)
