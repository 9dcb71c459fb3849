"""ComfyUI's own nodes: which of them belong on the page, in which group, and what the server says of their inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

CARRIED = {
    *("MODEL", "CONDITIONING", "LATENT", "SAMPLER", "SIGMAS", "GUIDER", "NOISE", "CLIP", "VAE", "CONTROL_NET"),
    *("HOOKS", "HOOK_KEYFRAMES", "TIMESTEPS_RANGE", "LATENT_OPERATION"),
}
"""Types of wires by which a node can reach a clip."""
GROUPS = (
    "Model patches",
    "Conditioning",
    "ControlNets and hooks",
    "Latents",
    "Sampling",
    "Loading, merging, saving and training",
    "Other tasks",
)
_BY_CATEGORY = (
    ("advanced/hooks/cond", "Conditioning"),
    ("advanced/multigpu", "Model patches"),
    ("advanced/hooks", "ControlNets and hooks"),
    ("model/conditioning/controlnet", "ControlNets and hooks"),
    ("model/conditioning/autoregressive", "Model patches"),
    ("model/conditioning", "Conditioning"),
    ("conditioning/", "Conditioning"),
    ("model/latent", "Latents"),
    ("model/sampling", "Sampling"),
    ("model/loaders", "Loading, merging, saving and training"),
    ("model/merging", "Loading, merging, saving and training"),
    ("model/training", "Loading, merging, saving and training"),
)
_BY_NAME = {"LoraSave": "Loading, merging, saving and training", "WanAnimate2Cache": "Model patches"}
_BY_OUTPUT = {
    "MODEL": "Model patches",
    "CONDITIONING": "Conditioning",
    "LATENT": "Latents",
    "GUIDER": "Sampling",
    "SAMPLER": "Sampling",
    "CONTROL_NET": "ControlNets and hooks",
    "CLIP": "Conditioning",
}


@dataclass(frozen=True)
class StockNode:
    """A node as the server describes it: type and options of each input in order, and the types of its outputs."""

    name: str
    category: str
    required: dict[str, tuple[str, dict[str, Any]]]
    optional: dict[str, tuple[str, dict[str, Any]]]
    outputs: tuple[str, ...]
    saves: bool

    @classmethod
    def of(cls, name: str, info: dict[str, Any]) -> StockNode:
        required, optional = (
            {key: _input(spec) for key, spec in info["input"].get(group, {}).items()}
            for group in ("required", "optional")
        )
        outputs = tuple(kind if isinstance(kind, str) else "COMBO" for kind in info["output"])
        return cls(name, info["category"], required, optional, outputs, info["output_node"])

    @property
    def types(self) -> set[str]:
        """Of all wires to and from it."""
        kinds = (kind for kind, _ in (self.required | self.optional).values())
        return {each for kind in kinds for each in kind.split(",")} | set(self.outputs)

    @property
    def group(self) -> str:
        if self.name in _BY_NAME:
            return _BY_NAME[self.name]
        for start, group in _BY_CATEGORY:
            if self.category.startswith(start):
                return group
        return next((group for kind, group in _BY_OUTPUT.items() if kind in self.outputs), GROUPS[-1])


def stock_nodes(object_info: dict[str, Any]) -> dict[str, StockNode]:
    """The nodes of the page by name, in alphabetical order: ComfyUI's own, on a wire of `CARRIED`.

    Nodes that call a service in the network are none of them.
    """
    found = {}
    for name in sorted(object_info, key=str.casefold):
        info = object_info[name]
        if info["python_module"].startswith(("nodes", "comfy_extras.")) and not info.get("api_node"):
            node = StockNode.of(name, info)
            if node.types & CARRIED:
                found[name] = node
    return found


def _input(spec: list[Any]) -> tuple[str, dict[str, Any]]:
    """Type and options; choices of older nodes stand where others have their type."""
    options = dict(spec[1]) if len(spec) > 1 else {}
    if isinstance(spec[0], list):
        return "COMBO", options | {"options": spec[0]}
    return spec[0], options
