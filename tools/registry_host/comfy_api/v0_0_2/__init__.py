"""The names the pack imports from `comfy_api.v0_0_2`."""

from __future__ import annotations

from . import io


class ComfyExtension:
    """What `comfy_entrypoint` returns; packs override `get_node_list`."""

    async def on_load(self) -> None:
        """Called once before the nodes are asked for."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        raise NotImplementedError


__all__ = ["ComfyExtension", "io"]
