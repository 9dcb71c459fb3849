"""SEINE (ICLR 2024) for ComfyUI: image to video, transitions, text to video."""

from __future__ import annotations

WEB_DIRECTORY = "./web"
"""What the host serves to the browser: help pages and the interface's scripts."""


async def comfy_entrypoint():
    """Called by ComfyUI when it loads the pack."""
    from comfy_api.v0_0_2 import ComfyExtension

    from .comfy_adapter.files import prepare_folders, register_folder
    from .nodes import NODES

    register_folder()
    prepare_folders()

    class SEINEExtension(ComfyExtension):
        async def get_node_list(self) -> list:
            return NODES

    return SEINEExtension()
