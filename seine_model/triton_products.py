"""A matrix product in Triton that does at once what follows it, where that is worth more than cuBLAS is faster."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .triton_launch import launch, parts

ROWS, COLUMNS, DEPTH = 128, 128, 64
"""Of a tile of a product, and of what is multiplied at a time; half of the columns are gates."""
WARPS, STAGES = 4, 3
"""Few, so that two tiles share a multiprocessor: one multiplies while the other is gated."""


def gated_product(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``x @ weight.T + bias``, half of it times the GELU of the other: dense ``[..., width]`` to ``[..., inner]``.

    weight ``[2*inner, width]``, dense; bias ``[2*inner]``.
    """
    width, inner = x.shape[-1], len(weight) // 2
    out = x.new_empty(*x.shape[:-1], inner)
    rows = x.numel() // width
    tiles = parts(inner, COLUMNS // 2)
    grid = (parts(rows, ROWS) * tiles, 1, 1)
    constants = {
        "WIDTH": width,
        "ROWS": ROWS,
        "COLUMNS": COLUMNS,
        "DEPTH": DEPTH,
        "PRECISION": "ieee" if x.dtype == torch.float32 else "tf32",
    }
    given = x, weight, bias, out, rows, inner, tiles
    launch(_gated_product, grid, given, constants, num_warps=WARPS, num_stages=STAGES)
    return out


@triton.jit
def _gated_product(
    x_from,
    weight_from,
    bias_from,
    out_to,
    rows,
    inner,
    tiles,
    WIDTH: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """One tile. Those of the same rows follow each other, so that x is read from memory once."""
    number = tl.program_id(0)
    row = (number // tiles).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    first = (number % tiles) * (COLUMNS // 2)
    # Each value beside its gate, so that one thread has both. What lies outside is read inside and not written.
    j = tl.arange(0, COLUMNS)
    line = tl.minimum(first + j // 2, inner - 1) + (j % 2) * inner
    k = tl.arange(0, DEPTH)
    x_at = x_from + tl.minimum(row, rows - 1)[:, None] * WIDTH + k[None, :]
    weight_at = weight_from + line[None, :].to(tl.int64) * WIDTH + k[:, None]
    total = tl.zeros([ROWS, COLUMNS], tl.float32)
    for start in range(0, WIDTH, DEPTH):
        if WIDTH % DEPTH == 0:
            x = tl.load(x_at + start)
            weight = tl.load(weight_at + start)
        else:
            x = tl.load(x_at + start, start + k[None, :] < WIDTH, other=0.0)
            weight = tl.load(weight_at + start, start + k[:, None] < WIDTH, other=0.0)
        total = tl.dot(x, weight, total, input_precision=PRECISION)
    total += tl.load(bias_from + line).to(tl.float32)[None, :]
    value, gate = tl.split(tl.reshape(total, [ROWS, COLUMNS // 2, 2]))
    out = value * gate * 0.5 * (1.0 + tl.erf(gate * 0.7071067811865476))
    column = first + tl.arange(0, COLUMNS // 2)
    there = (row[:, None] < rows) & (column[None, :] < inner)
    tl.store(out_to + row[:, None] * inner + column[None, :], out.to(out_to.dtype.element_ty), there)
