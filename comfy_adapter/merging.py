"""Two SEINE models as one, by parts of the network."""

from __future__ import annotations

from typing import Any

from ..seine_model.checkpoint import ROTARY_KEY
from ..seine_model.inputs import check_number
from .sampling import require_seine

_PREFIX = "diffusion_model."
_TEMPORAL = ("attn_temp", "norm_temp")
PARTS = ("input", "middle", "output", "temporal")


def part_of(key: str) -> str:
    """Which of PARTS a weight of the UNet, by the host's name, belongs to. Attention over frames is one of its own."""
    names = key.split(".")
    if any(name in _TEMPORAL for name in names):
        return "temporal"
    if names[0] == "middle_block":
        return "middle"
    return "output" if names[0] in ("output_blocks", "out") else "input"


def merge(model1: Any, model2: Any, shares: dict[str, float]) -> Any:
    """A MODEL with these shares (0..1, by PARTS) of model1, and for the rest model2, LoRAs of both included.

    Raises ValueError for models that are not SEINE, or whose weights are of other shapes.
    """
    for name, share in shares.items():
        check_number(share, name, 0.0, 1.0)
    one, two = require_seine(model1, "model1"), require_seine(model2, "model2")
    if one.model_config.unet_config["config"] != two.model_config.unet_config["config"]:
        raise ValueError("model2: its network is not built as that of model1: choose two models of the same kind")
    merged = model1.clone()
    by_part: dict[str, dict[str, Any]] = {part: {} for part in PARTS}
    for key, patches in model2.get_key_patches(_PREFIX).items():
        if not key.endswith(ROTARY_KEY):
            by_part[part_of(key.removeprefix(_PREFIX))][key] = patches
    # All of a part at once: the host lists all weights of the model for each call.
    for part, patches in by_part.items():
        merged.add_patches(patches, 1.0 - shares[part], shares[part])
    return merged
