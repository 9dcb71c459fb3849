"""Norms in Triton, each with what stands before and behind it, in as few passes over a map as there can be.

Maps lie channels-last: ``[rows, pixels, channels]`` one after the other. Everything is computed in float32.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .triton_launch import launch, parts, power_of_two

CHANNELS = 64
"""Of a tile: one 128-byte line in half precision."""
PIXELS = 32
"""Of a tile."""
PROGRAMS = 1024
"""Wanted of the kernel that sums up, so that every multiprocessor has some."""
MOST_CHUNKS = 64
"""Partial sums of a video at most."""
ROW_VALUES = 2048
"""Of the rows that a program normalises together."""


def normalise(
    x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float, activate: bool, added: Tensor | None
) -> Tensor:
    """GroupNorm of ``[videos, pixels, channels]``, dense, each video by itself; with SiLU where `activate`.

    added: ``[rows, channels]`` to be added first, each row to as many pixels of all, one after the other.
    """
    videos, pixels, channels = x.shape
    blocks = parts(channels, CHANNELS)
    chunks = min(MOST_CHUNKS, max(1, PROGRAMS // (videos * blocks)), parts(pixels, PIXELS))
    length = parts(pixels, chunks)
    chunks = parts(pixels, length)
    sums = torch.empty(2 * videos * chunks * channels, dtype=torch.float32, device=x.device)
    factors = torch.empty(2 * videos * channels, dtype=torch.float32, device=x.device)
    every = videos * pixels // len(added) if added is not None else 1
    tile = {"BLOCK_PIXELS": PIXELS, "BLOCK_CHANNELS": CHANNELS, "ADDS": added is not None}
    given = x if added is None else added
    numbers = pixels, channels, every
    launch(_sum_up, (videos, chunks, blocks), (x, given, sums, *numbers, length, chunks), tile)
    size = channels // groups
    group = {"SIZE": size, "BLOCK_CHANNELS": power_of_two(size), "BLOCK_CHUNKS": power_of_two(chunks)}
    launch(_combine, (videos, groups, 1), (sums, weight, bias, factors, pixels, channels, length, chunks, eps), group)
    out = torch.empty_like(x)
    grid = (parts(pixels, PIXELS), blocks, videos)
    launch(_scale, grid, (x, given, factors, out, *numbers), {**tile, "ACTIVATES": activate})
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
    sums_to,
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
    to = sums_to + (video * chunks + chunk) * 2 * channels + c
    tl.store(to, tl.sum(pivot, 0) + total / count, c < channels)
    tl.store(to + channels, squares, c < channels)


@triton.jit
def _combine(
    sums_from,
    weight_from,
    bias_from,
    factors_to,
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
    at = sums_from + (video * chunks + chunk[:, None]) * 2 * channels + group * SIZE + c[None, :]
    mean = tl.load(at, inside, other=0.0)
    square = tl.load(at + channels, inside, other=0.0)
    count = tl.minimum(pixels - chunk * length, length).to(tl.float32)[:, None]
    values = pixels * SIZE * 1.0  # a number that is 1 is no tensor to Triton, and has no type to be changed
    middle = tl.sum(tl.sum(tl.where(inside, mean * count, 0.0), 0), 0) / values
    apart = tl.where(inside, mean - middle, 0.0)
    variance = tl.sum(tl.sum(square + apart * apart * count, 0), 0) / values
    to = group * SIZE + c
    there = c < SIZE
    scale = tl.load(weight_from + to, there, other=0.0).to(tl.float32) * tl.rsqrt(variance + eps)
    shift = tl.load(bias_from + to, there, other=0.0).to(tl.float32) - middle * scale
    tl.store(factors_to + video * 2 * channels + to, scale, there)
    tl.store(factors_to + (video * 2 + 1) * channels + to, shift, there)


@triton.jit
def _scale(
    x_from,
    added_from,
    factors_from,
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
    scale = tl.load(factors_from + video * 2 * channels + c, c < channels, other=0.0)
    shift = tl.load(factors_from + (video * 2 + 1) * channels + c, c < channels, other=0.0)
    x = x * scale[None, :] + shift[None, :]
    if ACTIVATES:
        x = x / (1.0 + tl.exp(-x))
    to = (video * pixels + p[:, None].to(tl.int64)) * channels + c[None, :]
    tl.store(out_to + to, x.to(out_to.dtype.element_ty), inside)


def normalise_rows(x: Tensor, added: Tensor | None, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """The sum of two dense tensors ``[..., channels]``, and its LayerNorm; without the second x itself and its."""
    channels = x.shape[-1]
    out = torch.empty_like(x)
    total = x if added is None else torch.empty_like(x)
    block = power_of_two(channels)
    together = max(1, ROW_VALUES // block)
    rows = x.numel() // channels
    given = x, x if added is None else added, weight, bias, total, out, rows, channels, eps
    constants = {"ADDS": added is not None, "ROWS": together, "BLOCK": block}
    launch(_normalise_rows, (parts(rows, together), 1, 1), given, constants)
    return total, out


@triton.jit
def _normalise_rows(
    x_from,
    added_from,
    weight_from,
    bias_from,
    total_to,
    out_to,
    rows,
    channels,
    eps,
    ADDS: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    c = tl.arange(0, BLOCK)
    at = row[:, None] * channels + c[None, :]
    inside = (row[:, None] < rows) & (c[None, :] < channels)
    x = tl.load(x_from + at, inside, other=0.0)
    kind = x.dtype
    if ADDS:
        # Rounded before it is normalised, as what follows sees it.
        x = (x.to(tl.float32) + tl.load(added_from + at, inside, other=0.0).to(tl.float32)).to(kind)
        tl.store(total_to + at, x, inside)
    x = x.to(tl.float32)
    apart = tl.where(inside, x - (tl.sum(x, 1) / channels)[:, None], 0.0)
    variance = tl.sum(apart * apart, 1) / channels
    weight = tl.load(weight_from + c, c < channels, other=0.0).to(tl.float32)
    bias = tl.load(bias_from + c, c < channels, other=0.0).to(tl.float32)
    out = apart * tl.rsqrt(variance + eps)[:, None] * weight[None, :] + bias[None, :]
    tl.store(out_to + at, out.to(kind), inside)
