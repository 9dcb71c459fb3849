"""What the VAE is given of a portrait and a landscape by the nodes, with the settings of the templates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from comfyui_seine.comfy_adapter import files, loading
from comfyui_seine.nodes.conditioning import SEINEImageToVideo
from comfyui_seine.nodes.film import SEINEStory
from PIL import Image

NODES = {"SEINEImageToVideo": SEINEImageToVideo, "SEINEStory": SEINEStory}


def recorded(vae: Any) -> list[torch.Tensor]:
    """What the VAE is given from now on, without the gray of frames to make."""
    given, encode = [], vae.encode

    def keeping(pixels: torch.Tensor) -> torch.Tensor:
        if pixels.flatten(1).std() > 0.01:
            given.append(pixels)
        return encode(pixels)

    vae.encode = keeping
    return given


def settings_of(workflow: str, **changes: Any) -> tuple[Any, dict[str, Any]]:
    graph = json.loads(Path(workflow).read_text(encoding="utf-8")).values()
    node = next(node for node in graph if node["class_type"] in NODES)
    own = {name: value for name, value in node["inputs"].items() if not isinstance(value, list)}
    own |= {"width": own["width"] // 2, "height": own["height"] // 2}
    return NODES[node["class_type"]], own | {name: value for name, value in changes.items() if name in own}


def main(workflows: dict[str, str], pictures: dict[str, str], sheet: str | None) -> dict[str, list]:
    """By template, each picture's round disc in what was given of it: ``[left, top, right, bottom, width, height]``."""
    files.register_folder()
    model, clip, vae = loading.load_bundle(files.model_path("sample.safetensors"), None)
    portrait, landscape = (_image(pictures[name]) for name in ("portrait", "landscape"))
    prompt = clip.encode_from_tokens_scheduled(clip.tokenize("a disc"))
    given, found, rows = recorded(vae), {}, []
    for template, workflow in workflows.items():
        given.clear()
        node, own = settings_of(workflow, steps=2, story="shot 4: a\ntransition 4: b\nshot 4: c")
        if node is SEINEStory:
            inputs = {"model": model, "clip": clip, "shot_images": {"image0": portrait, "image1": landscape}}
        else:
            ends = {"first_image": portrait, "last_image": landscape}
            inputs = {"positive": prompt, "negative": prompt, **ends}
        node.execute(vae=vae, **inputs, **own)
        found[template] = [_disc(frame) for pixels in given for frame in pixels]
        rows.append(torch.cat([frame for pixels in given for frame in pixels], dim=1))
    if sheet:
        width = max(row.shape[1] for row in rows)
        whole = torch.cat([torch.nn.functional.pad(row, (0, 0, 0, width - row.shape[1], 0, 8)) for row in rows])
        Image.fromarray((whole * 255).round().byte().numpy()).save(sheet)
    return found


def _image(file: str) -> torch.Tensor:
    picture = Image.open(file).convert("RGB")
    values = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return values.view(1, picture.height, picture.width, 3) / 255


def _disc(frame: torch.Tensor) -> list[int]:
    """Of a frame ``[H, W, 3]``: the box around what is red, and the frame's size."""
    red = (frame[..., 0] - frame[..., 1:].amax(-1)) > 0.4
    rows, columns = red.any(1).nonzero().flatten().tolist(), red.any(0).nonzero().flatten().tolist()
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1, frame.shape[1], frame.shape[0]]
