"""Attention of tokens to tokens by PyTorch's kernels, or cuDNN's where it pays: PyTorch does not take it by itself."""

from __future__ import annotations

import logging

import torch
import torch.nn.functional as F
from torch import Tensor

from . import device_choices
from .memory import ran_out
from .trials import Key, give_up, key_of, try_once

TOLERANCE = 2e-2
"""How far a trial may be from float32's result, as a share of the largest: bfloat16 has eight bits."""
TRIED = ((150, 150, 40), (150, 77, 40), (70, 70, 80))
"""Queries, keys, and values of a head."""

_working: dict[Key, bool] = {}
_NAME = "attention by cuDNN"


def scaled_dot_product_attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """The default attention: ``[batch, tokens, heads*dim]`` each."""
    split = [t.view(*t.shape[:2], heads, -1).transpose(1, 2) for t in (q, k, v)]
    out = _by_cudnn_if_it_can(*split) if takes_cudnn(q, k, heads) else F.scaled_dot_product_attention(*split)
    return out.transpose(1, 2).flatten(2)


def _by_cudnn_if_it_can(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """PyTorch's from then on where it has nothing for such sizes, which a trial cannot rule out."""
    try:
        return by_cudnn(q, k, v)
    except Exception as problem:
        if ran_out(problem):
            raise
        give_up(_NAME, _working, q.device, q.dtype, problem)
    return F.scaled_dot_product_attention(q, k, v)


def takes_cudnn(q: Tensor, k: Tensor, heads: int) -> bool:
    """Whether attention of ``[batch, tokens, heads*dim]`` is cuDNN's, which has no gradient here."""
    pays = device_choices.attends_by_cudnn(len(q), k.shape[1], q.shape[-1] // heads)
    return pays and _working.get(key_of(q.device, q.dtype), False) and not torch.is_grad_enabled()


def by_cudnn(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """``[batch, heads, tokens, dim]`` each. Asked for by name: PyTorch's order of choice is the whole process's."""
    return torch.ops.aten._scaled_dot_product_cudnn_attention(q, k, v, None, False)[0]


def prepare(device: torch.device, dtype: torch.dtype) -> None:
    """Find out, once, whether cuDNN's is there on this device and right."""

    def is_right() -> bool:
        return device_choices.may_attend_by_cudnn(device, dtype) and all(
            _is_right(device, dtype, *sizes) for sizes in TRIED
        )

    try_once(_NAME, _working, device, dtype, is_right)


@torch.no_grad()
def _is_right(device: torch.device, dtype: torch.dtype, queries: int, keys: int, dim: int) -> bool:
    """Beside plain products, on a few random numbers, as a product of queries, keys and values lies."""
    # Of its own: a first clip draws the same noise as any other.
    generator = torch.Generator(device).manual_seed(0)
    numbers = torch.randn(2, max(queries, keys), 3, 2, dim, device=device, generator=generator).to(dtype)
    counts = queries, keys, keys
    q, k, v = (part[:, :count].transpose(1, 2) for part, count in zip(numbers.unbind(2), counts, strict=True))
    scores = (q.float() @ k.float().transpose(-1, -2)) / dim**0.5
    expected = scores.softmax(-1) @ v.float()
    right = bool((by_cudnn(q, k, v).float() - expected).abs().max() <= TOLERANCE * expected.abs().max())
    if not right:
        logging.warning("SEINE: attention by cuDNN is wrong on %s in %s: PyTorch chooses", device, dtype)
    return right
