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
ROWS, COLUMNS = 4, 256
"""Of a tile of the gate: all widths of SEINE's are multiples."""
ROW_VALUES = 2048
"""Of the rows that a program normalises together."""


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
        heads * dim,
        pixels * heads * dim,
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
    width,
    frame_width,
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
    start = (place // pixels) * frames * frame_width + (place % pixels) * width + head * DIM
    f = tl.arange(0, BLOCK_FRAMES)
    d = tl.arange(0, BLOCK_DIM)
    there = (f[:, None] < frames) & (d[None, :] < DIM)
    turned = (f[:, None] < frames) & (d[None, :] < TURNED)
    angles = f[:, None] * (TURNED // 2) + d[None, :] // 2
    cos = tl.load(cos_from + angles, turned, other=1.0).to(tl.float32)
    sin = tl.load(sin_from + angles, turned, other=0.0).to(tl.float32)
    at = start + f[:, None].to(tl.int64) * frame_width + d[None, :]
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
    values = pixels * SIZE * 1.0  # a number that is 1 is no tensor to Triton, and has no type to be changed
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


def normalise_rows(x: Tensor, added: Tensor | None, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """The sum of two dense tensors ``[..., channels]``, and its LayerNorm; without the second x itself and its."""
    channels = x.shape[-1]
    out = torch.empty_like(x)
    total = x if added is None else torch.empty_like(x)
    block = triton.next_power_of_2(channels)
    together = max(1, ROW_VALUES // block)
    rows = x.numel() // channels
    _normalise_rows[(triton.cdiv(rows, together),)](
        x,
        x if added is None else added,
        weight,
        bias,
        total,
        out,
        rows,
        channels,
        eps,
        ADDS=added is not None,
        ROWS=together,
        BLOCK=block,
    )
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
