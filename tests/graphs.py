"""Small API-format graphs around our nodes, for the servers of the test hosts."""

from __future__ import annotations

import io
from typing import Any

import numpy
import torch
from PIL import Image
from safetensors.torch import load

from tools.hosting.client import Client

Graph = dict[str, dict[str, Any]]
FRAMES, SIZE = 4, 64


def uploaded(client: Client, name: str, picture: torch.Tensor) -> dict[str, Any]:
    """A LoadImage node of a picture [3, H, W] of values from 0 to 1."""
    file = io.BytesIO()
    Image.fromarray(picture.mul(255).round().byte().permute(1, 2, 0).contiguous().numpy()).save(file, "PNG")
    return node("LoadImage", image=client.upload_image(name, file.getvalue()))


def node(node_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": node_type, "inputs": inputs}


def clip(
    mode: str = "first frames",
    frames: int = FRAMES,
    images: int = 1,
    videos: int = 1,
    prompt: str = "a red ball moves left",
    model_name: str = "sample.safetensors",
    **mask: Any,
) -> Graph:
    """Everything up to the sampler: MODEL at "model", CONDITIONING and LATENT at "clip" 0, 1 and 2."""
    builder = {"count": 1, "indices": "0", "frames": frames, "width": SIZE, "height": SIZE} | mask
    graph = {
        "model": node("SEINECheckpointLoader", model_name=model_name, base_name="bundled", weight_dtype="fp32"),
        "positive": node("CLIPTextEncode", text=prompt, clip=["model", 1]),
        "negative": node("CLIPTextEncode", text="", clip=["model", 1]),
        "mask": node("SEINEMaskBuilder", mode=mode, **builder),
        "clip": node(
            "SEINEImageToVideo",
            positive=["positive", 0],
            negative=["negative", 0],
            vae=["model", 2],
            mask=["mask", 0],
            width=SIZE,
            height=SIZE,
            resize_mode="stretch",
            batch_size=videos,
        ),
    }
    if images:
        graph["keyframes"] = node("EmptyImage", width=SIZE, height=SIZE, batch_size=images, color=0xC04020)
        graph["clip"]["inputs"]["keyframes"] = ["keyframes", 0]
    return graph


def sampled(graph: Graph, node_type: str = "SEINEKSampler", **inputs: Any) -> Graph:
    """`graph` with a sampler at "sample" (SEINE's or the stock KSampler) whose LATENT is saved at "latent"."""
    settings = {
        "model": ["model", 0],
        "positive": ["clip", 0],
        "negative": ["clip", 1],
        "latent_image": ["clip", 2],
        "seed": 1,
        "steps": 3,
        "cfg": 2.0,
        "sampler_name": "ddim",
        "scheduler": "seine" if node_type == "SEINEKSampler" else "normal",
        "denoise": 1.0,
    }
    return {
        **graph,
        "sample": node(node_type, **(settings | inputs)),
        "latent": node("SaveLatent", samples=["sample", 0], filename_prefix="latents/test"),
    }


def by_guider(graph: Graph, sampler_name: str = "ddim", steps: int = 3) -> Graph:
    """`graph`, whose guider is at "guider", sampled by it, with the LATENT saved at "latent"."""
    wired = {name: [name, 0] for name in ("noise", "guider", "sampler", "sigmas")}
    parts = {
        "noise": node("RandomNoise", noise_seed=3),
        "sampler": node("KSamplerSelect", sampler_name=sampler_name),
        "sigmas": node("BasicScheduler", model=["model", 0], scheduler="normal", steps=steps, denoise=1.0),
        "sample": node("SamplerCustomAdvanced", **wired, latent_image=["clip", 2]),
    }
    return saving(graph | parts, "sample")


def saving(graph: Graph, source: str, name: str = "latent") -> Graph:
    """`graph` with the LATENT of node `source` saved at `name`."""
    return {**graph, name: node("SaveLatent", samples=[source, 0], filename_prefix="latents/test")}


def windows(graph: Graph, **changes: Any) -> Graph:
    """`graph` with context windows of the host around its MODEL, at node windows."""
    settings = {
        "context_length": 16,
        "context_overlap": 4,
        "context_schedule": "standard_static",
        "context_stride": 1,
        "closed_loop": False,
        "fuse_method": "pyramid",
        "dim": 0,
        "freenoise": False,
        "cond_retain_index_list": "",
        "split_conds_to_windows": False,
        "latent_retain_index_list": "",
        "causal_window_fix": True,
    }
    return {**graph, "windows": node("ContextWindowsManual", model=["model", 0], **(settings | changes))}


def latents(client: Client, graph: Graph, on_progress=None) -> dict[str, torch.Tensor]:
    """Run the graph; the saved latents ``[rows, 4, h, w]`` by the id of the node that saved them."""
    outputs = client.run(graph, on_progress)
    return {
        file.node_id: load(client.fetch(file))["latent_tensor"]
        for file in client.files(outputs)
        if file.filename.endswith(".latent")
    }


def images(client: Client, graph: Graph) -> dict[str, torch.Tensor]:
    """Run the graph; the saved pictures ``[n, H, W, 3]``, uint8, by the id of the node that saved them."""
    outputs = client.run(graph)
    pictures: dict[str, list[torch.Tensor]] = {}
    for file in client.files(outputs):
        if not file.filename.endswith(".png"):
            continue
        picture = Image.open(io.BytesIO(client.fetch(file))).convert("RGB")
        pictures.setdefault(file.node_id, []).append(torch.from_numpy(numpy.array(picture)))
    return {node_id: torch.stack(stack) for node_id, stack in pictures.items()}


def video_frames(client: Client, graph: Graph, source: list) -> torch.Tensor:
    """Latents of `source` decoded by the graph's "model": [frames, 3, H, W] of values from 0 to 1."""
    graph["decode"] = node(
        "SEINEVAEDecode", samples=source, vae=["model", 2], frames_at_a_time=16, tiled=False, tile_size=512
    )
    graph["save"] = node("SaveImage", images=["decode", 0], filename_prefix="frames")
    return images(client, graph)["save"].permute(0, 3, 1, 2) / 255
