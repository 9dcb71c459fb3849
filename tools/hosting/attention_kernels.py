"""Which attention kernels can have what, as their projects say, and what they allocate."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

aten = torch.ops.aten

MOST_BLOCKS = 65535
"""In the second and third dimension of CUDA's grids, where kernels count heads and batch."""
ALIGNED = 16
"""Values of a bias that the efficient kernel reads at once: PyTorch pads its rows to that."""
_HALVES = (torch.float16, torch.bfloat16)
_SAGE_DIMS = (64, 96, 128)


def refusals(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> dict[str, str]:
    """For each kernel that cannot have them (``[batch, heads, tokens, dim]``), why.

    PyTorch's "flash" and "efficient" (which is xformers' as well), and the packages "flash_attn" and "sage".
    """
    found: dict[str, str] = {}
    dim, parts = q.shape[-1], (q, k, v)
    whole = all(part.stride(-1) == 1 or part.shape[-1] == 1 for part in parts)
    blocks = max(q.shape[0], q.shape[1])
    same = len({part.shape[-1] for part in parts}) == 1 and len({part.dtype for part in parts}) == 1
    for name, dtypes, step, most in (
        ("flash", _HALVES, 8, 256),
        ("efficient", (*_HALVES, torch.float32), 4 if q.dtype == torch.float32 else 8, 65536),
        ("flash_attn", _HALVES, 8, 256),
        ("sage", _HALVES, 1, max(_SAGE_DIMS)),
    ):
        if q.dtype not in dtypes or not same:
            found[name] = f"dtype {str(q.dtype).removeprefix('torch.')}"
        elif dim % step or dim > most:
            found[name] = f"{dim} values a head"
        elif not whole:
            found[name] = "values of a head that lie apart"
        elif blocks > MOST_BLOCKS:
            found[name] = f"{blocks} blocks"
        elif mask is not None and name != "efficient":
            found[name] = "a bias"
    if mask is not None and "efficient" not in found and not _fits(mask, q, k):
        found["efficient"] = f"a bias of {list(mask.shape)} with strides {list(mask.stride())}"
    return found


def _fits(mask: Tensor, q: Tensor, k: Tensor) -> bool:
    wanted = (q.shape[0], q.shape[1], q.shape[2], k.shape[2])
    broadcasts = mask.ndim == 4 and all(size in (1, other) for size, other in zip(mask.shape, wanted, strict=True))
    return broadcasts and (mask.stride(-1) == 1 or mask.shape[-1] == 1) and mask.dtype in (q.dtype, torch.bool)


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> tuple[str, Tensor]:
    """Name of the kernel that PyTorch takes on a GPU, and what it gives; "math" where none can have it."""
    refused = refusals(q, k, v, attn_mask)
    if "flash" not in refused:
        return "flash", aten._scaled_dot_product_flash_attention(q, k, v, dropout_p, is_causal, scale=scale)[0]
    if "efficient" in refused:
        return "math", F.scaled_dot_product_attention(q, k, v, attn_mask, dropout_p, is_causal, scale=scale)
    bias = attn_mask
    if bias is not None:
        missing = -bias.shape[-1] % ALIGNED
        if missing:
            bias = F.pad(bias, (0, missing))[..., : bias.shape[-1]]
        bias = bias.expand(*q.shape[:3], k.shape[2])
    return "efficient", aten._scaled_dot_product_efficient_attention(
        q, k, v, bias, False, dropout_p, is_causal, scale=scale
    )[0]
