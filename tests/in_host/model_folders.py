"""The lists of the loaders where a model folder holds what may not be read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import folder_paths
from comfyui_seine.comfy_adapter import files
from comfyui_seine.nodes import NODES

NOBODY = 65534


def main(folder: str) -> dict[str, Any]:
    files.register_folder()
    root = Path(folder)
    for name in ("sd/text_encoder", "sd/vae", "lost+found", "closed root/other/text_encoder", "closed root/other/vae"):
        (root / name).mkdir(parents=True)
    (root / "a file").touch()
    folder_paths.folder_names_and_paths["diffusers"] = ([folder, f"{folder}/closed root", f"{folder}/none"], set())
    for closed in ("lost+found", "closed root"):
        (root / closed).chmod(0)
    user = os.geteuid()
    if user == 0:  # root reads everything
        os.seteuid(NOBODY)
    try:
        bases = files.base_names()
        schemas = [node.define_schema().node_id for node in NODES]
    finally:
        os.seteuid(user)
        for closed in ("lost+found", "closed root"):
            (root / closed).chmod(0o755)
    loras = folder_paths.get_filename_list("loras")
    return {"bases": bases, "nodes": len(schemas), "loras": [name for name in loras if name.startswith("seine")]}
