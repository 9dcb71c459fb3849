"""Writes subgraphs/*.json, blueprints for ComfyUI's node library: `python tools/authoring/build_subgraphs.py`.

Each is one of the workflows of build_workflows.py as a single node: what a user sets appears once, whatever number of
nodes inside need it.
"""

from __future__ import annotations

import json
import sys
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.authoring import build_workflows, from_host
from tools.authoring.graph_formats import Workflow, interface_format

FOLDER = Path(__file__).resolve().parents[2] / "subgraphs"
INPUT_NODE, OUTPUT_NODE = -10, -20
"""Ids of a subgraph's own ends."""
SIZE = (340, 420)
VIDEO, PREVIEW = "VIDEO", "$$canvas-image-preview"


@dataclass(frozen=True)
class Port:
    """An input of the subgraph and the inputs of the steps inside that it feeds."""

    name: str
    targets: tuple[tuple[str, str], ...]
    required_link: bool = False


@dataclass(frozen=True)
class Blueprint:
    """One subgraph: the workflow it is made of, what comes in, and the step whose first output it gives."""

    workflow: str
    description: str
    in_chinese: tuple[str, str]
    """Words to find it by, and its description: the interface translates neither, and takes more words and one text."""
    ports: tuple[Port, ...]
    kept_groups: tuple[str, ...]
    result: str = "video"
    sampler: str = "sample"


_SAMPLING = ("seed", "steps", "cfg")
_FILES = tuple(Port(name, (("checkpoint", name),)) for name in ("model_name", "base_name"))
_CLIP = (
    Port("prompt", (("positive", "text"),)),
    Port("negative", (("negative", "text"),)),
    *(Port(name, (("clip", name),)) for name in ("width", "height", "frames")),
    *(Port(name, (("sample", name),)) for name in _SAMPLING),
    *_FILES,
)
_CLIP_GROUPS = ("Model", "Prompt", "Clip", "Sampling", "Video")
_RESIZE = Port("resize_mode", (("clip", "resize_mode"),))
_TRANSITION = Blueprint(
    "transition",
    "A clip that leads from one image to the other.",
    ("转场 首尾帧", "从一张图片过渡到另一张的短片。"),
    (
        *(Port(name, (("clip", name),), required_link=True) for name in ("first_image", "last_image")),
        *_CLIP,
        _RESIZE,
    ),
    _CLIP_GROUPS,
)
BLUEPRINTS = {
    "Image to Video (SEINE)": Blueprint(
        "image_to_video",
        "A clip that begins with the image.",
        ("图生视频", "以图片为首帧的短片。"),
        (Port("image", (("clip", "first_image"),), required_link=True), *_CLIP, _RESIZE),
        _CLIP_GROUPS,
    ),
    "Transition (SEINE)": _TRANSITION,
    # By the name that ComfyUI's own blueprints have for it, which is what people look for.
    "First-Last-Frame to Video (SEINE)": replace(
        _TRANSITION, description="A clip from its first image to its last: the same as Transition (SEINE)."
    ),
    "Interpolate Keyframes (SEINE)": Blueprint(
        "keyframes",
        "A clip through three images: its first and last frame, and one at a frame between that keyframe_places names.",
        ("关键帧 插帧 补间", "经过三张图片的短片：首帧、尾帧，以及 keyframe_places 指定的中间一帧。"),
        (
            Port("first_image", (("clip", "first_image"),), required_link=True),
            Port("image_between", (("clip", "more_keyframes.keyframe0"),), required_link=True),
            Port("last_image", (("clip", "last_image"),), required_link=True),
            Port("keyframe_places", (("clip", "keyframe_places"),)),
            *_CLIP,
            _RESIZE,
        ),
        _CLIP_GROUPS,
    ),
    "Text to Video (SEINE)": Blueprint(
        "text_to_video", "A clip from a prompt alone.", ("文生视频", "只由提示词生成的短片。"), _CLIP, _CLIP_GROUPS
    ),
    "Story (SEINE)": Blueprint(
        "story",
        "A film of many shots, each from an image, with transitions between them.",
        ("故事 长片 分镜", "由多个镜头组成的影片，每个镜头来自一张图片，镜头之间有过渡。"),
        (
            Port("images", (("film", "images"),), required_link=True),
            *(Port(name, (("film", name),)) for name in ("story", "negative_prompt", "fps", "width", "height")),
            *(Port(name, (("film", name),)) for name in _SAMPLING),
            *_FILES,
            Port("resize_mode", (("film", "resize_mode"),)),
        ),
        ("Model", "Story", "Video"),
        result="decode",
        sampler="film",
    ),
}


def subgraph_file(name: str, blueprint: Blueprint, object_info: dict[str, Any]) -> dict[str, Any]:
    """The blueprint as the interface saves it: one node, and the definition of what is in it."""
    workflow = _inside(build_workflows.workflows()[blueprint.workflow], blueprint)
    saved = interface_format(workflow, object_info)
    ids = {step: number for number, step in enumerate(workflow.steps, 1)}
    nodes = {node["id"]: node for node in saved["nodes"]}
    links = [
        {"id": i, "origin_id": a, "origin_slot": b, "target_id": c, "target_slot": d, "type": kind}
        for i, a, b, c, d, kind in saved["links"]
    ]
    identifier = _identifier(name)
    inputs = []
    for position, port in enumerate(blueprint.ports):
        kinds = set()
        link_ids = []
        for step, key in port.targets:
            node = nodes[ids[step]]
            slot = _slot(node, key, object_info[workflow.steps[step].type])
            link = {
                "id": len(links) + 1,
                "origin_id": INPUT_NODE,
                "origin_slot": position,
                "target_id": node["id"],
                "target_slot": slot,
                "type": node["inputs"][slot]["type"],
            }
            node["inputs"][slot]["link"] = link["id"]
            links.append(link)
            link_ids.append(link["id"])
            kinds.add(link["type"])
        (kind,) = kinds
        inputs.append({"id": _identifier(f"{name} {port.name}"), "name": port.name, "type": kind, "linkIds": link_ids})
    result = {"origin_id": ids[blueprint.result], "origin_slot": 0, "target_id": OUTPUT_NODE, "target_slot": 0}
    links.append({"id": len(links) + 1, **result, "type": VIDEO})
    nodes[ids[blueprint.result]]["outputs"][0]["links"] = [len(links)]
    shown = {"name": "video", "type": VIDEO}
    output = {"id": _identifier(f"{name} video"), **shown, "linkIds": [len(links)]}

    values = [_value(workflow, port) for port in blueprint.ports if not port.required_link]
    outer = {
        "id": len(nodes) + 1,
        "type": identifier,
        "pos": [0, 0],
        "size": list(SIZE),
        "flags": {},
        "order": 0,
        "mode": 0,
        "inputs": [
            {"name": port["name"], "type": port["type"], "link": None}
            | ({} if blueprint.ports[index].required_link else {"widget": {"name": port["name"]}})
            for index, port in enumerate(inputs)
        ],
        "outputs": [{**shown, "links": None}],
        "title": name,
        "properties": {
            "proxyWidgets": [["-1", port.name] for port in blueprint.ports if not port.required_link],
            # The clip plays on the outer node while it is made.
            "previewExposures": [
                {"name": PREVIEW, "sourceNodeId": str(ids[blueprint.sampler]), "sourcePreviewName": PREVIEW}
            ],
        },
        "widgets_values": values,
    }
    right = max(node["pos"][0] + node["size"][0] for node in nodes.values())
    definition = {
        "id": identifier,
        "version": 1,
        "state": {"lastGroupId": 0, "lastNodeId": len(nodes) + 1, "lastLinkId": len(links), "lastRerouteId": 0},
        "revision": 0,
        "config": {},
        "name": name,
        "inputNode": {"id": INPUT_NODE, "bounding": [-240, 60, 140, 40 + 20 * len(inputs)]},
        "outputNode": {"id": OUTPUT_NODE, "bounding": [right + 60, 60, 140, 60]},
        "inputs": inputs,
        "outputs": [output],
        "widgets": [],
        "nodes": list(nodes.values()),
        "groups": saved["groups"],
        "links": links,
        "extra": {},
        "category": "SEINE",
        "description": blueprint.description,
    }
    return {
        "revision": 0,
        "last_node_id": outer["id"],
        "last_link_id": 0,
        "nodes": [outer],
        "links": [],
        "version": 0.4,
        "definitions": {"subgraphs": [definition]},
        "extra": {
            "BlueprintDescription": f"{blueprint.description} {blueprint.in_chinese[1]}",
            "BlueprintSearchAliases": blueprint.in_chinese[0].split(),
        },
    }


def files(object_info: dict[str, Any]) -> dict[Path, str]:
    """Path below subgraphs/ and content of every file."""
    return {
        Path(f"{name}.json"): json.dumps(subgraph_file(name, blueprint, object_info), indent=1) + "\n"
        for name, blueprint in BLUEPRINTS.items()
    }


def _inside(workflow: Workflow, blueprint: Blueprint) -> Workflow:
    """The workflow without its ends: pictures come in, a video goes out."""
    outside = {name for name in workflow.steps if name.startswith("image ") or name == "save"}
    for name in outside:
        del workflow.steps[name]
    for step in workflow.steps.values():
        step.inputs = {
            key: value for key, value in step.inputs.items() if not (isinstance(value, tuple) and value[0] in outside)
        }
    workflow.groups = [group for group in workflow.groups if group[0] in blueprint.kept_groups]
    workflow.notes = []
    return workflow


def _slot(node: dict[str, Any], key: str, info: dict[str, Any]) -> int:
    """Position of the node's input `key`; a widget becomes an input."""
    for position, slot in enumerate(node["inputs"]):
        if slot["name"] == key:
            return position
    spec = (info["input"].get("required", {}) | info["input"].get("optional", {}))[key]
    kind = "COMBO" if isinstance(spec[0], list) else spec[0]
    node["inputs"].append({"name": key, "type": kind, "widget": {"name": key}, "link": None})
    return len(node["inputs"]) - 1


def _value(workflow: Workflow, port: Port) -> Any:
    step, key = port.targets[0]
    return workflow.steps[step].inputs[key]


def _identifier(name: str) -> str:
    """The same for the same name, as a saved blueprint must keep its own."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"seine-video {name}"))


if __name__ == "__main__":
    sys.exit(from_host.write(FOLDER, files, Path(__file__), __doc__))
