"""The clip with one stock node in it, where a person would put it."""

from __future__ import annotations

from typing import Any

from tools.authoring.compatibility.clip import FRAMES, SECOND, SIZE, WIRES, Graph, Link, node, plain
from tools.authoring.compatibility.stock import StockNode

START, BETWEEN, AFTER, PROMPT, ASIDE = "start", "between", "after", "prompt", "aside"
SUBJECT = "subject"
"""Id of the node that is tried."""
SIZES = {"width": SIZE, "height": SIZE, "length": 5, "video_frames": FRAMES}
"""Inputs whose defaults are for large models."""
_AT_START = (["start", 0], ["other latent", 0])
_LATENTS = {BETWEEN: WIRES["LATENT"], AFTER: (["second", 0], ["other latent", 0])}
"""What a node is given for its LATENTs, by its place."""
_LATENT_TARGETS = {START: ("first", "latent_image"), AFTER: (SECOND, "samples")}
_WIDGETS = {"INT", "FLOAT", "BOOLEAN", "STRING", "COMBO", "FLOAT,INT", "COMFY_DYNAMICCOMBO_V3"}
_TARGETS: dict[str, list[tuple[str, str]]] = {
    "MODEL": [("guider", "model"), ("sigmas", "model"), ("second", "model")],
    "CLIP": [("positive", "clip"), ("negative", "clip")],
    "VAE": [("clip", "vae")],
    "NOISE": [("first", "noise")],
    "GUIDER": [("first", "guider")],
    "SAMPLER": [("first", "sampler")],
    "SIGMAS": [("first", "sigmas")],
    "FLOAT": [("guider", "cfg")],
    "STRING": [("positive", "text")],
}
"""Node and input of the clip where an output of each type goes."""
_USERS: dict[str, tuple[str, dict[str, Any], str, str, list[tuple[str, str]]]] = {
    "CONTROL_NET": (
        "ControlNetApplyAdvanced",
        {
            **{"positive": ["clip", 0], "negative": ["clip", 1], "image": ["pictures", 0]},
            **{"strength": 1.0, "start_percent": 0.0, "end_percent": 1.0},
        },
        "control_net",
        "CONDITIONING",
        [],
    ),
    **{
        kind: (
            "ConditioningSetProperties",
            {"cond_NEW": ["clip", 0], "strength": 1.0, "set_cond_area": "default"},
            name,
            "CONDITIONING",
            [],
        )
        for kind, name in (("HOOKS", "hooks"), ("TIMESTEPS_RANGE", "timesteps"))
    },
    "HOOK_KEYFRAMES": ("SetHookKeyframes", {"hooks": ["hook", 0]}, "hook_kf", "HOOKS", []),
    "LATENT_OPERATION": (
        "LatentApplyOperation",
        {"samples": ["first", 0]},
        "operation",
        "LATENT",
        [("second", "latent_image")],
    ),
    "IMAGE": ("VAEEncode", {"vae": ["model", 2]}, "pixels", "LATENT", [("second", "latent_image")]),
}
"""Nodes that use what has no place in the clip: type, inputs, where it goes, what comes out and where that goes."""


def lacking(stock: StockNode, settings: dict[str, Any]) -> list[str]:
    """Types of required inputs that nothing here gives."""
    wanted = [kind for name, (kind, options) in stock.required.items() if name not in settings and not _typed(options)]
    return [
        kind for kind in dict.fromkeys(wanted) if kind not in WIRES and kind not in _WIDGETS and "AUTOGROW" not in kind
    ]


def with_node(stock: StockNode, settings: dict[str, Any], place: str = "", variant: str = "", number: int = 0) -> Graph:
    """A plain clip with a stock node in it. `settings`: inputs that differ from the ordinary; None leaves one out.

    `place`: of a LATENT, at the start, between the samplers or after both; of CONDITIONING, before SEINE Image to
    Video; aside, where nothing of the clip reads what it gives; by what the node takes and gives where it is not said.
    """
    graph = plain(variant, number)
    place = place or _place(stock)
    graph[SUBJECT] = node(stock.name, **_inputs(stock, settings, place))
    used, counts = False, dict.fromkeys(stock.outputs, 0)
    for slot, kind in enumerate(stock.outputs if place != ASIDE else ()):
        used |= _put(graph, kind, counts[kind], [SUBJECT, slot], place)
        counts[kind] += 1
    if not used and not stock.saves:
        graph["look"] = node("PreviewAny", source=[SUBJECT, 0])
    return graph


def _typed(options: dict[str, Any]) -> bool:
    return "default" in options and not options.get("forceInput")


def _place(stock: StockNode) -> str:
    given = {kind for kind, _ in stock.required.values()}
    if "LATENT" in stock.outputs:
        takes = given & {"LATENT", "COMFY_AUTOGROW_V3"}
        return BETWEEN if takes and "CONDITIONING" not in stock.outputs else START
    return PROMPT if "CLIP" in given and "CONDITIONING" not in given else ""


def _inputs(stock: StockNode, settings: dict[str, Any], place: str) -> dict[str, Any]:
    """In the order of the node's inputs, as the interface has them: some nodes take their first for a default."""
    made: dict[str, Any] = {}
    counts: dict[str, int] = {}
    for name, (kind, options) in (stock.required | stock.optional).items():
        if name in settings:
            made[name] = settings[name]
        elif kind == "CONDITIONING" and "negative" in name:
            made[name] = ["clip", 1]
        elif kind in WIRES:
            choices = _choices(kind, place)
            made[name] = choices[min(counts.get(kind, 0), len(choices) - 1)]
            counts[kind] = counts.get(kind, 0) + 1
        elif kind == "COMFY_AUTOGROW_V3":
            made |= _growing(name, options["template"], place)
        elif name in stock.required:
            made[name] = _typed_value(name, kind, options)
    return {name: value for name, value in (made | settings).items() if value is not None}


def _choices(kind: str, place: str) -> tuple[Link, ...]:
    return _LATENTS.get(place, _AT_START) if kind == "LATENT" else WIRES.get(kind, ())


def _growing(name: str, template: dict[str, Any], place: str) -> dict[str, Any]:
    """Two of what an input that grows takes."""
    ((_, (kind, *_)),) = template["input"]["required"].items()
    names = template.get("names") or [f"{template['prefix']}{index}" for index in range(2)]
    return {f"{name}.{part}": link for part, link in zip(names, _choices(kind, place), strict=False)}


def _typed_value(name: str, kind: str, options: dict[str, Any]) -> Any:
    if kind in ("INT", "FLOAT", "FLOAT,INT"):
        value = options.get("default", options.get("min", 0))
        return max(SIZES[name], options.get("min", 0)) if name in SIZES and value > SIZES[name] else value
    if kind == "BOOLEAN":
        return options.get("default", False)
    if kind in ("COMBO", "COMFY_DYNAMICCOMBO_V3"):
        choices = [each["key"] if isinstance(each, dict) else each for each in options.get("options") or [""]]
        return options.get("default", choices[0] if choices else "")
    return options.get("default", "a blue square")


def _put(graph: Graph, kind: str, count: int, source: Link, place: str) -> bool:
    """Have an output used where its type has a place: the first of each type, two of CONDITIONING."""
    if kind in _USERS:
        return count == 0 and _use(graph, kind, source)
    targets: list[tuple[str, str]] = []
    if kind == "CONDITIONING" and count < 2:
        name = ("positive", "negative")[count]
        targets = [("clip", name)] if place == PROMPT else _readers(graph, ["clip", count])
    elif kind == "LATENT" and count == 0:
        targets = [_LATENT_TARGETS.get(place, ("second", "latent_image"))]
    elif count == 0:
        targets = _TARGETS.get(kind, [])
    return _wire(graph, targets, source)


def _readers(graph: Graph, source: Link) -> list[tuple[str, str]]:
    """Inputs of the samplers, and of what stands before them, that read a prompt."""
    places = [place for place in ("guider", "second", "positives") if place in graph]
    return [(place, name) for place in places for name, link in graph[place]["inputs"].items() if link == source]


def _use(graph: Graph, kind: str, source: Link) -> bool:
    node_type, inputs, name, gives, targets = _USERS[kind]
    if name in graph.get("positives", {"inputs": {}})["inputs"]:
        return _wire(graph, [("positives", name)], source)
    targets = _readers(graph, ["clip", 0]) if gives == "CONDITIONING" else targets
    graph[f"uses {kind}"] = node(node_type, **inputs, **{name: source})
    made = [f"uses {kind}", 0]
    return _use(graph, gives, made) if gives in _USERS else _wire(graph, targets, made)


def _wire(graph: Graph, targets: list[tuple[str, str]], source: Link) -> bool:
    for target, name in targets:
        graph[target]["inputs"][name] = source
    return bool(targets)
