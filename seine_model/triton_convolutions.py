"""Kernels in Triton around convolutions, which are cuDNN's: weights in the order they are read in, doubled maps."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .triton_launch import launch, parts
from .triton_norms import CHANNELS, PIXELS

COLUMNS = 256
"""Input channels of a weight that a program takes."""


def reorder(weight: Tensor) -> Tensor:
    """A dense ``[out, in, height, width]`` channels-last."""
    out = torch.empty_like(weight, memory_format=torch.channels_last)
    rows, channels, height, width = weight.shape
    grid = (rows, parts(channels, COLUMNS), 1)
    launch(_reorder, grid, (weight, out, channels), {"PLACES": height * width, "COLUMNS": COLUMNS})
    return out


@triton.jit
def _reorder(x_from, out_to, channels, PLACES: tl.constexpr, COLUMNS: tl.constexpr):
    """Some input channels of one output channel: lines that are read for one place are in the cache for the next."""
    start = tl.program_id(0).to(tl.int64) * channels * PLACES
    c = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    for place in tl.static_range(PLACES):
        x = tl.load(x_from + start + c * PLACES + place, c < channels, other=0.0)
        tl.store(out_to + start + place * channels + c, x, c < channels)


def quarters(weight: Tensor) -> Tensor:
    """See `fused.quarters`."""
    rows, channels = weight.shape[:2]
    out = torch.empty(4 * rows, channels, 2, 2, dtype=weight.dtype, device=weight.device).contiguous(
        memory_format=torch.channels_last
    )
    grid = (rows, parts(channels, COLUMNS), 1)
    launch(_quarters, grid, (weight, out, rows, channels, *weight.stride()), {"COLUMNS": COLUMNS})
    return out


@triton.jit
def _quarters(weight_from, out_to, rows, channels, by_row, by_channel, by_line, by_column, COLUMNS: tl.constexpr):
    """Some input channels of one output channel, in all four."""
    row = tl.program_id(0).to(tl.int64)
    c = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    start = weight_from + row * by_row + c.to(tl.int64) * by_channel
    for quarter in tl.static_range(4):
        for place in tl.static_range(4):
            total = tl.zeros([COLUMNS], tl.float32)
            for line in tl.static_range(3):
                for column in tl.static_range(3):
                    # Of an even pixel the first of three falls on the one before, of an odd one the last on the next.
                    if (line + quarter // 2 + 1) // 2 == place // 2 + quarter // 2:
                        if (column + quarter % 2 + 1) // 2 == place % 2 + quarter % 2:
                            at = start + line * by_line + column * by_column
                            total += tl.load(at, c < channels, other=0.0).to(tl.float32)
            to = (((quarter * rows + row) * 4) + place) * channels + c
            tl.store(out_to + to, total.to(out_to.dtype.element_ty), c < channels)


def interleave(quarters: Tensor, bias: Tensor) -> Tensor:
    """See `fused.interleave`."""
    rows, height, width = quarters.shape[0], 2 * quarters.shape[1] - 2, 2 * quarters.shape[2] - 2
    channels = len(bias)
    out = quarters.new_empty(rows, height, width, channels)
    pixels = rows * height * width
    grid = (parts(pixels, PIXELS), parts(channels, CHANNELS), 1)
    tile = {"BLOCK_PIXELS": PIXELS, "BLOCK_CHANNELS": CHANNELS}
    launch(_interleave, grid, (quarters, bias, out, pixels, height, width, channels), tile)
    return out


@triton.jit
def _interleave(
    quarters_from,
    bias_from,
    out_to,
    pixels,
    height,
    width,
    channels,
    BLOCK_PIXELS: tl.constexpr,
    BLOCK_CHANNELS: tl.constexpr,
):
    p = tl.program_id(0).to(tl.int64) * BLOCK_PIXELS + tl.arange(0, BLOCK_PIXELS)
    c = tl.program_id(1) * BLOCK_CHANNELS + tl.arange(0, BLOCK_CHANNELS)
    inside = (p[:, None] < pixels) & (c[None, :] < channels)
    row, line, column = p // (height * width), p // width % height, p % width
    # The quarter of odd lines begins one line further down, that of odd columns one column.
    place = (row * (height // 2 + 1) + (line + 1) // 2) * (width // 2 + 1) + (column + 1) // 2
    part = place * 4 + line % 2 * 2 + column % 2
    x = tl.load(quarters_from + part[:, None] * channels + c[None, :], inside, other=0.0).to(tl.float32)
    x += tl.load(bias_from + c, c < channels, other=0.0).to(tl.float32)[None, :]
    tl.store(out_to + p[:, None] * channels + c[None, :], x.to(out_to.dtype.element_ty), inside)
