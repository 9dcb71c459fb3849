"""Writes made-up weights where Frame-Interpolation looks for those of its RIFE."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch


def main(pack: str, file: str) -> dict[str, Any]:
    sys.path.insert(0, pack)
    from vfi_models.rife.rife_arch import IFNet

    torch.manual_seed(0)
    place = Path(pack) / "ckpts" / "rife" / file
    place.parent.mkdir(parents=True, exist_ok=True)
    weights = IFNet(arch_ver="4.7").state_dict()
    torch.save(weights, place)
    return {"tensors": len(weights)}
