"""Says where this process runs; used by the tests of the harness."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def main(greeting: str) -> dict[str, Any]:
    import comfy.model_management
    import comfyui_seine
    import folder_paths

    return {
        "greeting": greeting,
        "device": comfy.model_management.get_torch_device().type,
        "models": folder_paths.models_dir,
        "pack": str(Path(comfyui_seine.__file__).parent),
    }
