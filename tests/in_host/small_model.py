"""The shipped model's text encoder as the host runs it."""

from __future__ import annotations

from typing import Any

from comfyui_seine.comfy_adapter import files, loading


def main(captions: list[str]) -> dict[str, Any]:
    files.register_folder()
    _, clip, _ = loading.load_bundle(files.model_path("seine-small.safetensors"), None)
    return {caption: clip.encode_from_tokens(clip.tokenize(caption))[0].tolist() for caption in captions}
