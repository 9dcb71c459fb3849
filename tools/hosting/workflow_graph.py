"""Reads and adapts API-format workflows: `{node id: {"class_type": …, "inputs": {…}}}`."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Graph = dict[str, dict[str, Any]]

INTERFACE_FOLDER = Path(__file__).resolve().parents[2] / "workflows"
FOLDER = INTERFACE_FOLDER / "api"
TITLES = {
    "try_the_small_model": "SEINE 1 Try it now",
    "image_to_video": "SEINE 2 Image to video",
    "transition": "SEINE 3 Transition",
    "keyframes": "SEINE 4 Keyframes",
    "text_to_video": "SEINE 5 Text to video",
    "prompt_travel": "SEINE 6 Prompt travel",
    "extend_video": "SEINE 7 Extend a clip",
    "extend_file": "SEINE 8 Extend your own video",
    "loop": "SEINE 9 Loop",
    "story": "SEINE 10 Story",
    "stop_and_go_on": "SEINE 11 Stop and go on",
    "second_pass": "SEINE 12 Second pass, 1080p",
    "transition_upscale_interpolate": "SEINE 13 Transition, upscaled and interpolated",
    "batch_transitions": "SEINE 14 Batch of transitions",
    "four_steps": "SEINE 15 Four steps",
    "interactive": "SEINE 16 Interactive",
    "motion_and_camera": "SEINE 17 Motion and camera",
    "video_to_video": "SEINE 18 Video to video",
}
"""What the interface's list of templates shows and searches: it has nothing but the names of the files.

Sorted by name it takes numbers as numbers; unsorted, the names come as the disk has them.
"""


def load(name: str) -> Graph:
    """The workflow `workflows/api/<name>.json`."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def interface_file(name: str, suffix: str = ".json") -> Path:
    """The same workflow as the interface opens it, or its thumbnail (``.jpg``)."""
    return INTERFACE_FOLDER / f"{TITLES[name]}{suffix}"


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


def with_size(graph: Graph, width: int, height: int) -> Graph:
    """A copy whose clips have this size in pixels; those of a second pass are as much larger as they were."""
    graph = copy.deepcopy(graph)
    sized = [node["inputs"] for node in graph.values() if {"width", "height"} <= {*node["inputs"]}]
    first = dict(sized[0])
    for inputs in sized:
        for side, pixels in (("width", width), ("height", height)):
            inputs[side] = pixels * inputs[side] // first[side]
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
