"""Reads and adapts API-format workflows: `{node id: {"class_type": …, "inputs": {…}}}`."""

from __future__ import annotations

import copy
import json
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

Graph = dict[str, dict[str, Any]]

FOLDER = Path(__file__).resolve().parents[1] / "workflows" / "api"


def load(name: str) -> Graph:
    """The workflow `workflows/api/<name>.json`."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def nodes_of(graph: Graph, node_type: str) -> list[str]:
    """Ids of the nodes of one type, in the file's order."""
    return [node_id for node_id, node in graph.items() if node["class_type"] == node_type]


def with_inputs(graph: Graph, **changes: Any) -> Graph:
    """A copy where every unlinked input of these names has the given value, whatever its node.

    Raises KeyError for a name that no node has, so that a renamed input is noticed.
    """
    graph = copy.deepcopy(graph)
    for name, value in changes.items():
        having = [node for node in graph.values() if name in node["inputs"]]
        if not having:
            raise KeyError(f"no node of the workflow has an input {name!r}")
        for node in having:
            if not isinstance(node["inputs"][name], list):
                node["inputs"][name] = value
    return graph


def with_images(graph: Graph, names: Iterable[str]) -> Graph:
    """A copy whose Load Image nodes read these files, in the order the nodes have in the graph."""
    graph = copy.deepcopy(graph)
    for node_id, name in zip(nodes_of(graph, "LoadImage"), names, strict=True):
        graph[node_id]["inputs"]["image"] = name
    return graph


def with_prompt(graph: Graph, text: str) -> Graph:
    """A copy with this text in the node titled Prompt. Raises KeyError where there is no such node."""
    graph = copy.deepcopy(graph)
    for node_id in nodes_of(graph, "CLIPTextEncode"):
        if graph[node_id].get("_meta", {}).get("title") == "Prompt":
            graph[node_id]["inputs"]["text"] = text
            return graph
    raise KeyError("no CLIP Text Encode of the workflow is titled Prompt")


def enlarged(graph: Graph, factor: int) -> Graph:
    """A copy that enlarges the frames before it goes on with them."""
    graph = copy.deepcopy(graph)
    for decode in nodes_of(graph, "SEINEVAEDecode"):
        name = f"{decode}-enlarged"
        for node in graph.values():
            node["inputs"] = {
                key: [name, 0] if value == [decode, 0] else value for key, value in node["inputs"].items()
            }
        inputs = {"image": [decode, 0], "upscale_method": "lanczos", "scale_by": float(factor)}
        graph[name] = {"class_type": "ImageScaleBy", "inputs": inputs}
    return graph


def bypassed(graph: Graph, node_type: str, source: str) -> Graph:
    """A copy without the nodes of a type: what they would give is taken from their input `source`."""
    graph = copy.deepcopy(graph)
    for node_id in nodes_of(graph, node_type):
        replacement = graph.pop(node_id)["inputs"][source]
        for node in graph.values():
            for name, value in node["inputs"].items():
                if isinstance(value, list) and value[0] == node_id:
                    node["inputs"][name] = replacement
    return graph


def saving_webp(graph: Graph) -> Graph:
    """A copy that saves an animated WebP where it saved a video, for hosts without Create Video and Save Video."""
    graph = copy.deepcopy(graph)
    for node_id in nodes_of(graph, "SaveVideo"):
        save = graph[node_id]["inputs"]
        create = graph[save["video"][0]]["inputs"]
        graph[node_id] = {
            "class_type": "SaveAnimatedWEBP",
            "inputs": {
                "images": create["images"],
                "filename_prefix": save["filename_prefix"],
                "fps": float(create["fps"]),
                "lossless": True,
                "quality": 90,
                "method": "default",
            },
        }
    for node_id in nodes_of(graph, "CreateVideo"):
        del graph[node_id]
    return graph


def decoding_at_once(graph: Graph) -> Graph:
    """A copy that decodes all frames before it saves them, for hosts without videos."""
    graph = copy.deepcopy(graph)
    for node_id in nodes_of(graph, "SEINEDecodeToVideo"):
        inputs = graph[node_id]["inputs"]
        rate = inputs.pop("fps")
        graph[node_id] = {"class_type": "SEINEVAEDecode", "inputs": inputs | {"tiled": False, "tile_size": 512}}
        name = f"{node_id}-video"
        for other in nodes_of(graph, "SaveVideo"):
            if graph[other]["inputs"]["video"] == [node_id, 0]:
                graph[other]["inputs"]["video"] = [name, 0]
        fps = graph[rate[0]]["inputs"]["fps"] if isinstance(rate, list) else rate
        graph[name] = {"class_type": "CreateVideo", "inputs": {"images": [node_id, 0], "fps": fps}}
    return graph


def batching_in_pairs(graph: Graph) -> Graph:
    """A copy that joins images two at a time, for hosts without Batch Images."""
    graph = copy.deepcopy(graph)
    for node_id in nodes_of(graph, "BatchImagesNode"):
        first, *others = graph[node_id]["inputs"].values()
        for number, other in enumerate(others, 1):
            name = node_id if number == len(others) else f"{node_id}-{number}"
            graph[name] = {"class_type": "ImageBatch", "inputs": {"image1": first, "image2": other}}
            first = [name, 0]
    return graph


def for_older_hosts(graph: Graph, available: Container[str]) -> Graph:
    """A copy that does without the core nodes that are not among those `available`."""
    if "BatchImagesNode" not in available:
        graph = batching_in_pairs(graph)
    if "FrameInterpolate" not in available:
        graph = bypassed(graph, "FrameInterpolate", "images")
        graph = {key: node for key, node in graph.items() if node["class_type"] != "FrameInterpolationModelLoader"}
    if "SEINEDecodeToVideo" not in available:
        graph = decoding_at_once(graph)
    if "SaveVideo" not in available:
        graph = saving_webp(graph)
    return graph
