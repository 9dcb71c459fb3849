"""A workflow as a list of steps, and the two formats ComfyUI has for it: the interface's and the API's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

BYPASSED = 4
"""The interface's mode of a node that it passes over."""
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
    bypassed: bool = False
    """The interface passes it over: what comes in goes out, and what nothing comes into gives nothing."""
    keeps_seed: bool = False
    """After a run; else another one is drawn for the next."""


@dataclass(frozen=True)
class Shared:
    """One widget of the interface for an input that several steps have: the API's format has its value in each."""

    input: str
    steps: tuple[str, ...]
    at: tuple[int, int]
    size: tuple[int, int]
    title: str


@dataclass
class Workflow:
    steps: dict[str, Step]
    groups: list[tuple[str, int, int, int, int, str]]
    notes: list[tuple[str, int, int, int, int]]
    shared: list[Shared] = field(default_factory=list)

    def value_of(self, shared: Shared) -> Any:
        """What all its steps are given. Raises ValueError where they differ: the interface would show one of them."""
        values = {self.steps[name].inputs[shared.input] for name in shared.steps}
        if len(values) != 1:
            raise ValueError(f"{shared.title}: {', '.join(shared.steps)} are given {values}: give them the same")
        return values.pop()


def api_format(workflow: Workflow) -> dict[str, Any]:
    """What the server is sent."""
    ids = {name: str(number) for number, name in enumerate(workflow.steps, 1)}
    inputs = {
        name: {key: _past_bypassed(workflow, value) for key, value in step.inputs.items()}
        for name, step in workflow.steps.items()
    }
    return {
        ids[name]: {
            "class_type": step.type,
            "inputs": {
                key: [ids[value[0]], value[1]] if isinstance(value, tuple) else value
                for key, value in inputs[name].items()
                if value is not None
            },
            **({"_meta": {"title": step.title}} if step.title else {}),
        }
        for name, step in workflow.steps.items()
        if not step.bypassed
    }


def _past_bypassed(workflow: Workflow, value: Any) -> Any:
    """An input's value; of a link, its source behind all bypassed steps (each has one link at most), None without."""
    while isinstance(value, tuple) and (step := workflow.steps[value[0]]).bypassed:
        value = next((source for source in step.inputs.values() if isinstance(source, tuple)), None)
    return value


def interface_format(workflow: Workflow, object_info: dict[str, Any]) -> dict[str, Any]:
    """What the interface saves and loads."""
    ids = {name: number for number, name in enumerate(workflow.steps, 1)}
    sources = {(name, shared.input): shared for shared in workflow.shared for name in shared.steps}
    outputs: dict[tuple[str, int], list[int]] = {}
    fed: dict[Shared, list[tuple[int, list]]] = {}
    links, nodes = [], []
    for name, step in workflow.steps.items():
        info = object_info[step.type]
        slots, widgets = [], []
        for key, spec in _inputs(info, step):
            value = step.inputs.get(key)
            if (name, key) in sources:
                shared, kind = sources[name, key], _type(spec)
                source = len(ids) + 1 + workflow.shared.index(shared)
                links.append([len(links) + 1, source, 0, ids[name], len(slots), kind])
                slots.append(_slot(key, kind, len(links)) | {"widget": {"name": key}})
                widgets += [
                    "fixed" if value == "randomize" else value for value in _widget_values(key, spec, step.inputs)
                ]
                fed.setdefault(shared, []).append((len(links), spec))
            elif isinstance(value, tuple):
                kind = _type(spec)
                links.append([len(links) + 1, ids[value[0]], value[1], ids[name], len(slots), kind])
                outputs.setdefault(value, []).append(len(links))
                slots.append(_slot(key, kind, len(links)))
                if kind in WIDGET_TYPES:  # the widget stays, unseen, with a value of its own
                    slots[-1]["widget"] = {"name": key}
                    widgets += _widget_values(key, spec, {key: spec[1].get("default", "")})
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
                "mode": BYPASSED if step.bypassed else 0,
                "inputs": slots,
                "outputs": [{"name": label, "type": kind} for label, kind in zip(*_outputs(info), strict=True)],
                "properties": {"Node name for S&R": step.type, **({"models": [*step.models]} if step.models else {})},
                "widgets_values": ["fixed" if step.keeps_seed and value == "randomize" else value for value in widgets],
                **({"title": step.title} if step.title else {}),
            }
        )
    for (name, slot), connected in outputs.items():
        nodes[ids[name] - 1]["outputs"][slot]["links"] = connected
    for shared in workflow.shared:
        nodes.append(_shared(len(nodes) + 1, len(nodes), shared, workflow.value_of(shared), fed[shared]))
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


def _shared(node_id: int, order: int, shared: Shared, value: Any, fed: list[tuple[int, list]]) -> dict[str, Any]:
    """The interface's own node for one widget; fed: number of each link, and the specification where it ends."""
    kind = _type(fed[0][1])
    output = {"name": kind, "type": kind, "links": [link for link, _ in fed], "widget": {"name": shared.input}}
    control = ["fixed", ""] if kind == "COMBO" else ["fixed"]  # what a run does with the value; a combo's has a filter
    return {
        "id": node_id,
        "type": "PrimitiveNode",
        "pos": list(shared.at),
        "size": list(shared.size),
        "flags": {},
        "order": order,
        "mode": 0,
        "inputs": [],
        "outputs": [output],
        "properties": {"Run widget replace on values": False},
        "widgets_values": [value, *control],
        "title": shared.title,
    }


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
