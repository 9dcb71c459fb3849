"""A job as a graph in API format: the workflow of its kind with the job's images, texts, sizes and sampling."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from tools.hosting import workflow_graph
from tools.hosting.workflow_graph import Graph, nodes_of
from tools.jobs.fields import FIRST_CLIP, FPS, TEMPLATES
from tools.jobs.frame_masks import FrameMask, read_mask
from tools.jobs.job import Job

SIMPLE_MASKS = {("first1", 1), ("onelast1", 2), ("all", 0)}
"""What SEINE Image to Video makes of its images without a mask."""
IMAGE_INPUTS = ("first_image", "last_image", "shot_images.", "more_keyframes.")


def graph_of(job: Job, images: Sequence[str], model_name: str, base_name: str, seed: int, prefix: str) -> Graph:
    """The job's graph. images: their names in the host's input folder; prefix: of the file, its alone."""
    graph = {node_id: {**node, "inputs": dict(node["inputs"])} for node_id, node in _template(job.kind).items()}
    for node in graph.values():
        inputs = node["inputs"]
        if "seed" in inputs:
            inputs |= {"seed": seed, "steps": job.steps, "cfg": float(job.cfg)}
            inputs |= {"sampler_name": job.sampler, "scheduler": job.scheduler}
        if "width" in inputs:
            inputs |= {"width": job.width, "height": job.height, "resize_mode": job.resize_mode}
        if "model_name" in inputs:
            inputs |= {"model_name": model_name, "base_name": base_name, "weight_dtype": job.weight_dtype}
        if "story" in inputs:
            inputs |= {"story": job.prompt, "negative_prompt": job.negative, "fps": float(FPS)}
        if node["class_type"] == "CLIPTextEncode":
            inputs["text"] = job.prompt if node["_meta"]["title"] == "Prompt" else job.negative
        if node["class_type"] == "SEINEImageToVideo":
            inputs["frames"] = FIRST_CLIP if job.kind in ("extend", "loop") else job.frames
        if node["class_type"] == "SEINEExtendVideo":
            inputs["frames"] = job.frames - FIRST_CLIP
    _wire_images(graph, job, images)
    _save(graph, job, prefix)
    return graph


@cache
def _template(kind: str) -> Graph:
    """The workflow of a kind without its images."""
    graph = workflow_graph.load(TEMPLATES[kind])
    for node_id in nodes_of(graph, "LoadImage"):
        del graph[node_id]
    for node in graph.values():
        node["inputs"] = {name: value for name, value in node["inputs"].items() if not name.startswith(IMAGE_INPUTS)}
    return graph


def _wire_images(graph: Graph, job: Job, images: Sequence[str]) -> None:
    for index, name in enumerate(images):
        graph[f"image{index}"] = {"class_type": "LoadImage", "inputs": {"image": name}}
    wires = [[f"image{index}", 0] for index in range(len(images))]
    if job.kind == "story":
        (story,) = nodes_of(graph, "SEINEStory")
        graph[story]["inputs"] |= {f"shot_images.image{index}": wire for index, wire in enumerate(wires)}
        return
    (clip,) = nodes_of(graph, "SEINEImageToVideo")
    inputs = graph[clip]["inputs"]
    if wires:
        inputs["first_image"] = wires[0]
    if len(wires) > 1:
        inputs["last_image"] = wires[-1]
    inputs |= {f"more_keyframes.keyframe{index}": wire for index, wire in enumerate(wires[1:-1])}
    if (job.mask, len(images)) not in SIMPLE_MASKS:
        mask = read_mask(job.mask, job.frames)
        assert isinstance(mask, FrameMask), mask  # looked at when the row was read
        built = {"mode": mask.mode, "count": mask.count, "indices": mask.indices, "frames": job.frames}
        graph["mask"] = {
            "class_type": "SEINEMaskBuilder",
            "inputs": built | {"width": job.width, "height": job.height},
        }
        inputs["mask"] = ["mask", 0]


def _save(graph: Graph, job: Job, prefix: str) -> None:
    """Other formats than that of the workflow are written from the decoded frames."""
    (save,) = nodes_of(graph, "SaveVideo")
    if job.format == "mp4":
        graph[save]["inputs"] |= {"filename_prefix": prefix, "format": "mp4"}
        return
    for streamed in nodes_of(graph, "SEINEDecodeToVideo"):
        wires = {name: graph[streamed]["inputs"][name] for name in ("samples", "vae")}
        settings = {"frames_at_a_time": 8, "tiled": False, "tile_size": 512}
        graph[streamed] = {"class_type": "SEINEVAEDecode", "inputs": wires | settings}
    for video in nodes_of(graph, "CreateVideo"):
        del graph[video]
    (decode,) = nodes_of(graph, "SEINEVAEDecode")
    saver = {
        "webm": ("SaveWEBM", {"codec": "vp9", "crf": 20.0}),
        "webp": ("SaveAnimatedWEBP", {"lossless": False, "quality": 90, "method": "default"}),
        "gif": ("SEINESaveGIF", {"dither": True}),
    }
    node_type, settings = saver[job.format]
    inputs = {"images": [decode, 0], "filename_prefix": prefix, "fps": float(FPS)} | settings
    graph[save] = {"class_type": node_type, "inputs": inputs}
