"""Reference recordings: those every clone has in tests/golden, the rest where the project's shared folder is."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from seine_model import SeineConfig, SeineUNet3D, load_unet

HERE = Path(__file__).parent / "golden"
SHARED = Path(__file__).parents[2] / "shared"


def path(name: str) -> Path:
    for folder in (HERE, SHARED / "golden"):
        if (folder / name).is_file():
            return folder / name
    pytest.skip(f"{name} is only in the project's shared folder, which is not here")


def image(name: str) -> Tensor:
    """One of the reference's example images as IMAGE ``[1, H, W, C]``, 0..1."""
    import numpy
    from PIL import Image

    file = SHARED / "data" / "seine-examples" / name
    if not file.is_file():
        pytest.skip(f"{name} is only in the project's shared folder, which is not here")
    return torch.from_numpy(numpy.asarray(Image.open(file)).copy()).unsqueeze(0) / 255


@cache
def tensors(name: str) -> dict[str, Tensor]:
    return load_file(path(name + ".safetensors"))


def cases(name: str) -> dict[str, dict[str, Tensor]]:
    """Tensors named ``case.key``, by case."""
    grouped: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors(name).items():
        case, _, rest = key.partition(".")
        grouped.setdefault(case, {})[rest] = value
    return grouped


def values(name: str) -> dict:
    return json.loads(path(name + ".json").read_text())


@cache
def unet(name: str) -> SeineUNet3D:
    return load_unet(path(f"{name}_unet.safetensors"), values(f"{name}_config"))


def config(name: str) -> SeineConfig:
    return SeineConfig.from_dict(values(f"{name}_config"))


def guided(model: SeineUNet3D, case: dict[str, Tensor], scale: float):
    """eps(x, t) of the reference's classifier-free guidance, for one video."""
    context = case["encoder_hidden_states"]
    known = torch.cat((case["mask"], case["masked_video"]), dim=1)

    def eps(x: Tensor, t: Tensor) -> Tensor:
        sample = torch.cat((x.repeat(2, 1, 1, 1, 1), known), dim=1)
        cond, uncond = model(sample, t.repeat(2), context).chunk(2)
        return uncond + scale * (cond - uncond)

    return eps


def largest(a: Tensor, b: Tensor) -> float:
    """The largest absolute difference of two tensors of one shape."""
    assert a.shape == b.shape
    return float((a - b).abs().max())
