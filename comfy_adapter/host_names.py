"""SEINE's weights under the names that Stable Diffusion 1.x's have in the host.

By those names LoRAs of every naming, the sliders of model merges and all else that chooses weights by block finds them.
Files, and the network itself, keep the reference's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import comfy.utils
from torch import nn

from ..seine_model.config import SeineConfig

Value = TypeVar("Value")


def unet_layout(config: SeineConfig) -> dict[str, Any]:
    """What the host says of a Stable Diffusion 1.x UNet of these depths; its table of names is made from it."""
    widths, layers = config.block_out_channels, config.layers_per_block
    levels = len(widths)
    return {
        "num_res_blocks": [layers] * levels,
        "channel_mult": [width // widths[0] for width in widths],
        "transformer_depth": [1] * layers * (levels - 1) + [0] * layers,
        "transformer_depth_output": [1] * (layers + 1) * (levels - 1) + [0] * (layers + 1),
        "transformer_depth_middle": 1,
    }


class HostNames:
    """Names of modules, and of what lies in them, from the reference's to the host's and back.

    The parts of a transformer are called alike in both. So attention over frames, which the host's table does not
    know, is `input_blocks.1.1.transformer_blocks.0.attn_temp` there.
    """

    def __init__(self, layout: Mapping[str, Any]) -> None:
        self._to_host = {}
        for reference, host in comfy.utils.unet_to_diffusers(layout).items():
            reference, host = (name.rsplit(".", 1)[0] for name in (reference, host))
            self._to_host[reference] = host
            if ".attentions." in reference and reference.endswith(".norm"):
                self._to_host[reference.removesuffix(".norm")] = host.removesuffix(".norm")
        self._to_reference = {host: reference for reference, host in self._to_host.items()}

    def to_host(self, named: Mapping[str, Value]) -> dict[str, Value]:
        """The same values under the host's names."""
        return {_renamed(name, self._to_host): value for name, value in named.items()}

    def to_reference(self, named: Mapping[str, Value]) -> dict[str, Value]:
        """The same values under the reference's names."""
        return {_renamed(name, self._to_reference): value for name, value in named.items()}

    def show(self, network: nn.Module, host: nn.Module) -> None:
        """Give `host` the layers of `network`, the same objects, under the host's names."""
        layers = {
            name: layer
            for name, layer in network.named_modules(remove_duplicate=False)
            # Some have no weight before they are loaded.
            if next(layer.children(), None) is None and not isinstance(layer, nn.ModuleList)
        }
        for name, layer in self.to_host(layers).items():
            *path, last = name.split(".")
            parent = host
            for part in path:
                if part not in parent._modules:
                    parent.add_module(part, _Level())
                parent = parent._modules[part]
            parent.add_module(last, layer)


class _Level(nn.Module):
    """What has layers below it, by name or by number: the host's bypass LoRAs look numbers up as in its own lists."""

    def __getitem__(self, number: int) -> nn.Module:
        return self._modules[str(number)]


def _renamed(name: str, table: Mapping[str, str]) -> str:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        found = table.get(".".join(parts[:length]))
        if found is not None:
            return ".".join([found, *parts[length:]])
    return name
