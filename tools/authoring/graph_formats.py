"""A workflow as a list of steps, and the two formats ComfyUI has for it: the interface's and the API's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

WIDGET_TYPES = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COMFY_DYNAMICCOMBO_V3"}


@dataclass
class Step:
    """One node: an input is a value, or ``(name of a step, output slot)`` for a link."""

    type: str
    at: tuple[int, int]
    size: tuple[int, int]
    inputs: dict[str, Any] = field(default_factory=dict)
    title: str | None = None
    models: tuple[dict[str, str], ...] = ()
    """Where the files it names can be had: name, url and directory of each."""


@dataclass
class Workflow:
    steps: dict[str, Step]
    groups: list[tuple[str, int, int, int, int, str]]
    notes: list[tuple[str, int, int, int, int]]


def api_format(workflow: Workflow) -> dict[str, Any]:
    """What the server is sent."""
    ids = {name: str(number) for number, name in enumerate(workflow.steps, 1)}
    return {
        ids[name]: {
            "class_type": step.type,
            "inputs": {
                key: [ids[value[0]], value[1]] if isinstance(value, tuple) else value
                for key, value in step.inputs.items()
            },
            **({"_meta": {"title": step.title}} if step.title else {}),
        }
        for name, step in workflow.steps.items()
    }


def interface_format(workflow: Workflow, object_info: dict[str, Any]) -> dict[str, Any]:
    """What the interface saves and loads."""
    ids = {name: number for number, name in enumerate(workflow.steps, 1)}
    outputs: dict[tuple[str, int], list[int]] = {}
    links, nodes = [], []
    for name, step in workflow.steps.items():
        info = object_info[step.type]
        slots, widgets = [], []
        for key, spec in _inputs(info, step):
            value = step.inputs.get(key)
            if isinstance(value, tuple):
                kind = _type(spec)
                links.append([len(links) + 1, ids[value[0]], value[1], ids[name], len(slots), kind])
                outputs.setdefault(value, []).append(len(links))
                slots.append(_slot(key, kind, len(links)))
                if kind in WIDGET_TYPES:  # the widget stays, unseen, with a value of its own
                    slots[-1]["widget"] = {"name": key}
                    widgets += _widget_values(key, spec, {key: spec[1]["default"]})
            elif _type(spec) in WIDGET_TYPES:
                widgets += _widget_values(key, spec, step.inputs)
            else:
                slots.append(_slot(key, _type(spec), None))
        nodes.append(
            {
                "id": ids[name],
                "type": step.type,
                "pos": list(step.at),
                "size": list(step.size),
                "flags": {},
                "order": len(nodes),
                "mode": 0,
                "inputs": slots,
                "outputs": [{"name": label, "type": kind} for label, kind in zip(*_outputs(info), strict=True)],
                "properties": {"Node name for S&R": step.type, **({"models": [*step.models]} if step.models else {})},
                "widgets_values": widgets,
                **({"title": step.title} if step.title else {}),
            }
        )
    for (name, slot), connected in outputs.items():
        nodes[ids[name] - 1]["outputs"][slot]["links"] = connected
    for text, x, y, width, height in workflow.notes:
        nodes.append(_note(len(nodes) + 1, len(nodes), text, (x, y), (width, height)))
    return {
        "last_node_id": len(nodes),
        "last_link_id": len(links),
        "nodes": nodes,
        "links": links,
        "groups": [
            {"title": title, "bounding": [x, y, width, height], "color": color, "font_size": 24, "flags": {}}
            for title, x, y, width, height, color in workflow.groups
        ],
        "config": {},
        "extra": {},
        "version": 0.4,
    }


def _inputs(info: dict[str, Any], step: Step) -> list[tuple[str, list]]:
    """Name and specification of each input; an input that grows has as many as the step fills, and a free one."""
    result = []
    for key, spec in [*info["input"].get("required", {}).items(), *info["input"].get("optional", {}).items()]:
        if spec[0] != "COMFY_AUTOGROW_V3":
            result.append((key, spec))
            continue
        template = spec[1]["template"]
        (item,) = template["input"]["required"].values()
        filled = sum(name.startswith(f"{key}.") for name in step.inputs)
        result += [(f"{key}.{template['prefix']}{number}", item) for number in range(filled + 1)]
    return result


def _slot(name: str, kind: str, link: int | None) -> dict[str, Any]:
    _, grows, label = name.rpartition(".")
    return {"name": name, "type": kind, "link": link, **({"label": label} if grows else {})}


def _type(spec: list) -> str:
    return "COMBO" if isinstance(spec[0], list) else spec[0]


def _outputs(info: dict[str, Any]) -> tuple[list[str], list[str]]:
    return info["output_name"], info["output"]


def _widget_values(key: str, spec: list, values: dict[str, Any]) -> list[Any]:
    options = spec[1] if len(spec) > 1 else {}
    result = [values[key]]
    control = options.get("control_after_generate")
    if control:
        result.append(control if isinstance(control, str) else "randomize")
    if options.get("image_upload"):
        result.append("image")
    if spec[0] == "COMFY_DYNAMICCOMBO_V3":  # the chosen option's own widgets follow
        result += [value for name, value in values.items() if name.startswith(f"{key}.")]
    return result


def _note(node_id: int, order: int, text: str, at: tuple[int, int], size: tuple[int, int]) -> dict[str, Any]:
    return {
        "id": node_id,
        "type": "MarkdownNote",
        "pos": list(at),
        "size": list(size),
        "flags": {},
        "order": order,
        "mode": 0,
        "inputs": [],
        "outputs": [],
        "properties": {},
        "widgets_values": [text],
        "color": "#432",
        "bgcolor": "#653",
    }
