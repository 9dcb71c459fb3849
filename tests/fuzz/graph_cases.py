"""Graphs around every node of the pack: ordinary ones, with up to three inputs odd or at their limits."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.fuzz import odd_inputs
from tests.fuzz.odd_inputs import tensor
from tests.graphs import Graph, node

SUBJECT, LOOK = "subject", "look"
"""Ids of the node that a graph is about, and of the one that looks at what it gives."""
STOCK = ("KSampler", "SamplerCustom")
"""Nodes of the host that call the pack's MODEL and SAMPLER."""
WIRES = ("MODEL", "CLIP", "VAE", "IMAGE", "MASK", "LATENT", "CONDITIONING", "SIGMAS", "SAMPLER", "AUDIO", "VIDEO")
LARGEST_CHEAP = {
    *("count", "tile_size", "frames_at_a_time", "fps", "strength", "start_percent", "end_percent", "denoise", "seed"),
    *("cfg", "overlap", "motion", "guidance", "pan", "tilt", "zoom"),
}
"""Inputs whose largest value costs no more than others do."""

ENDLESS = ("dpm_adaptive",)
"""Takes as many steps as it likes: many, with made-up weights."""

Inputs = dict[str, Any]


@dataclass(frozen=True)
class Clip:
    """The size of what a graph works on."""

    frames: int
    height: int
    width: int

    def images(self, count: int | None = None) -> Inputs:
        return {"keep": tensor([count or self.frames, self.height, self.width, 3])}


def clips() -> st.SearchStrategy[Clip]:
    sides = st.sampled_from([8, 16, 24, 32])
    return st.builds(Clip, st.integers(1, 5), sides, sides)


def odd(recipe: Any) -> dict[str, Any]:
    return node("FuzzOddValue", recipe=json.dumps(recipe))


def base(clip: Clip) -> Graph:
    """The small model, its prompts, and a clip ready to be sampled, whether or not the subject uses them."""
    size = {"width": clip.width, "height": clip.height}
    return {
        "model": node(
            "SEINECheckpointLoader", model_name="sample.safetensors", base_name="bundled", weight_dtype="fp32"
        ),
        "positive": node("CLIPTextEncode", text="a red ball", clip=["model", 1]),
        "negative": node("CLIPTextEncode", text="", clip=["model", 1]),
        "mask": node("SEINEMaskBuilder", mode="first frames", count=1, indices="0", frames=clip.frames, **size),
        "images": odd(tensor([clip.frames, clip.height, clip.width, 3])),
        "image": odd(tensor([1, clip.height, clip.width, 3])),
        # The host reads no video that is narrower than 16 pixels.
        "video images": odd(tensor([clip.frames, 32, 16 + clip.width, 3])),
        "video": node("CreateVideo", images=["video images", 0], fps=8.0),
        "latent": odd({"dict": {"samples": tensor([clip.frames, 4, clip.height // 8, clip.width // 8])}}),
        "clip": node(
            "SEINEImageToVideo",
            **{"positive": ["positive", 0], "negative": ["negative", 0], "vae": ["model", 2], "mask": ["mask", 0]},
            **{"keyframes": ["image", 0], "resize_mode": "stretch", "batch_size": 1, **size},
        ),
        "sigmas": node("SEINEScheduler", model=["model", 0], steps=2, denoise=1.0),
        "sampler": node("SEINESamplerDDPM"),
    }


def _sampling(draw, options: dict[str, list[str]], most_steps: int = 3) -> Inputs:
    return {
        "seed": draw(st.integers(0, 2**64 - 1)),
        "steps": draw(st.integers(1, most_steps)),
        "cfg": draw(st.sampled_from([0.0, 1.0, 2.0, 8.0, 100.0])),
        "sampler_name": draw(st.one_of(st.just("ddim"), st.sampled_from(options["sampler_name"]))),
        "scheduler": draw(st.one_of(st.just("normal"), st.sampled_from(options["scheduler"]))),
    }


def _film(draw, options: dict[str, list[str]]) -> Inputs:
    overlap = draw(st.integers(1, 3))
    window = draw(st.integers(2 * overlap, 2 * overlap + 4))
    return _sampling(draw, options, 2) | {"overlap": overlap, "window": window}


def _sampled(draw, clip: Clip, options: dict[str, list[str]]) -> Inputs:
    given = _sampling(draw, options) | {"model": ["model", 0], "latent_image": ["clip", 2]}
    given |= {"positive": ["clip", 0], "negative": ["clip", 1], "denoise": draw(st.sampled_from([0.0, 0.3, 1.0]))}
    return given


def _ksampler(draw, clip: Clip, options: dict[str, list[str]]) -> Inputs:
    given = _sampled(draw, clip, options)
    return given | draw(st.sampled_from([{}, {"mask": ["mask", 0], "latent_image": ["latent", 0]}]))


def _sampler_custom(draw, clip: Clip, options: dict[str, list[str]]) -> Inputs:
    return {
        **{"model": ["model", 0], "add_noise": draw(st.booleans()), "noise_seed": 0, "cfg": 2.0},
        **{"positive": ["clip", 0], "negative": ["clip", 1], "sampler": ["sampler", 0], "sigmas": ["sigmas", 0]},
        "latent_image": ["clip", 2],
    }


def _mask_builder(draw, clip: Clip, options: dict[str, list[str]]) -> Inputs:
    size = {"frames": clip.frames, "width": clip.width, "height": clip.height}
    indices = draw(st.sampled_from(["0", "0, -1", "0 0", str(clip.frames - 1)]))
    count = draw(st.integers(1, max(1, clip.frames // 2)))
    return size | {"mode": draw(st.sampled_from(options["mode"])), "count": count, "indices": indices}


def _image_to_video(draw, clip: Clip, options: dict[str, list[str]]) -> Inputs:
    sides = st.sampled_from([8, 16, 40])
    return {
        **{"positive": ["positive", 0], "negative": ["negative", 0], "vae": ["model", 2], "mask": ["mask", 0]},
        **{"keyframes": ["image", 0], "width": draw(sides), "height": draw(sides)},
        **{"resize_mode": draw(st.sampled_from(options["resize_mode"])), "batch_size": draw(st.integers(1, 3))},
    }


def _extend(draw, clip: Clip, options: dict[str, list[str]]) -> Inputs:
    direction = draw(st.sampled_from(options["direction"]))
    given = _film(draw, options) | {"direction": direction, "frames": draw(st.integers(1, 6))}
    given |= {"model": ["model", 0], "positive": ["positive", 0], "negative": ["negative", 0], "vae": ["model", 2]}
    given["overlap"] = min(given["overlap"], clip.frames)
    known = [("latent", "latent"), ("images", "images")]
    name, source = draw(st.sampled_from(known))
    given[name] = [source, 0]
    if direction == "between":
        name, source = draw(st.sampled_from(known))
        given[f"next_{name}"] = [source, 0]
    return given


def _extend_file(draw, clip: Clip, options: dict[str, list[str]]) -> Inputs:
    given = _film(draw, options) | {"direction": draw(st.sampled_from(options["direction"])), "video": ["video", 0]}
    given |= {"model": ["model", 0], "positive": ["positive", 0], "negative": ["negative", 0], "vae": ["model", 2]}
    given |= {"frames": draw(st.integers(1, 6)), "width": 16, "height": 16}
    return given | {"overlap": min(given["overlap"], clip.frames)}


def _story(draw, clip: Clip, options: dict[str, list[str]]) -> Inputs:
    lines = ["shot 2: a lake"] + ["transition 2: it freezes\nshot 1: ice"] * (clip.frames - 1)
    given = _film(draw, options)
    return given | {
        **{"model": ["model", 0], "clip": ["model", 1], "vae": ["model", 2], "images": ["images", 0]},
        **{"story": "\n".join(lines), "negative_prompt": "", "fps": 8.0, "width": clip.width, "height": clip.height},
        **{
            "resize_mode": draw(st.sampled_from(options["resize_mode"])),
            "overlap": 1,
            "window": max(3, given["window"]),
        },
    }


def _loader(draw, clip: Clip, options: dict[str, list[str]]) -> Inputs:
    given = {"model_name": "sample.safetensors", "weight_dtype": draw(st.sampled_from(options["weight_dtype"]))}
    return given | ({"base_name": "bundled"} if "base_name" in options else {})


def _fixed(**inputs: Any) -> Callable:
    return lambda draw, clip, options: dict(inputs)


def _decode(draw, clip: Clip, options: dict[str, list[str]]) -> Inputs:
    source = draw(st.sampled_from([["latent", 0], ["clip", 2]]))
    tiles = {"tiled": draw(st.booleans()), "tile_size": 128}
    return {"samples": source, "vae": ["model", 2], "frames_at_a_time": draw(st.integers(1, 4)), **tiles}


def _to_video(draw, clip: Clip, options: dict[str, list[str]]) -> Inputs:
    given = {"samples": ["latent", 0], "vae": ["model", 2], "frames_at_a_time": draw(st.integers(1, 4))}
    return given | {"fps": draw(st.sampled_from([1.0, 8.0, 23.976, 240.0]))}


def _travel(draw, clip: Clip, options: dict[str, list[str]]) -> Inputs:
    prompts = draw(st.sampled_from(["0: a ball", "0: a ball\n-1: a cube", f"{clip.frames - 1}: a (ball:1.2)"]))
    between = draw(st.sampled_from(options["between"]))
    return {"clip": ["model", 1], "prompts": prompts, "frames": max(2, clip.frames), "between": between}


def _soft(draw, clip: Clip, options: dict[str, list[str]]) -> Inputs:
    strength = draw(st.sampled_from([0.0, 0.5])) if clip.frames > 1 else 1.0  # of one frame, given, nothing is left
    return {"positive": ["clip", 0], "negative": ["clip", 1], "strength": strength, "given_frames": "0"}


PAIRS = "pairs"
"""A folder among the host's inputs, with two images in a folder of its own."""
ORDINARY: dict[str, Callable[[Callable, Clip, dict[str, list[str]]], Inputs]] = {
    "SEINEModelLoader": _loader,
    "SEINECheckpointLoader": _loader,
    "SEINEMaskBuilder": _mask_builder,
    "SEINEImageToVideo": _image_to_video,
    "SEINEKSampler": _ksampler,
    "SEINEScheduler": _fixed(model=["model", 0], steps=4, denoise=0.5),
    "SEINESamplerDDPM": _fixed(),
    "SEINEVAEDecode": _decode,
    "SEINEExtendVideo": _extend,
    "SEINEExtendVideoFile": _extend_file,
    "SEINEStory": _story,
    "SEINEMatchColors": _fixed(
        images=["images", 0], reference=["image", 0], reference_is="before", frames=1, strength=1.0
    ),
    "SEINESaveGIF": _fixed(images=["images", 0], filename_prefix="video/fuzz", fps=8.0, dither=True),
    "SEINEDecodeToVideo": _to_video,
    "SEINEGuidanceInterval": _fixed(model=["model", 0], start_percent=0.1, end_percent=0.7),
    "SEINESoftKeyframes": _soft,
    "SEINECamera": _fixed(
        positive=["clip", 0], negative=["clip", 1], vae=["model", 2], pan=0.3, tilt=0.0, zoom=0.5, strength=0.9
    ),
    "SEINEMotion": _fixed(model=["model", 0], motion=0.5),
    "SEINEPromptTravel": _travel,
    "SEINEModelMerge": _fixed(
        model1=["model", 0], model2=["model", 0], input=0.5, middle=1.0, output=0.0, temporal=0.1
    ),
    "SEINELoadBatch": lambda draw, clip, options: dict(
        source=PAIRS, take=draw(st.sampled_from(options["take"])), index=0, prompt=""
    ),
    "KSampler": lambda *given: _sampled(*given) | {"denoise": 0.5},  # with 0 it hands on what it was given
    "SamplerCustom": _sampler_custom,
}
"""What each node is given in a graph that works; inputs that may be left out are there in some of them."""


@dataclass(frozen=True)
class NodeFacts:
    """What the server says of a node: type and limits of each input, and how many outputs it has."""

    inputs: dict[str, tuple[str, dict[str, Any]]]
    outputs: int

    @classmethod
    def of(cls, info: dict[str, Any]) -> NodeFacts:
        inputs = {}
        wanted = [info["input"].get(group, {}) for group in ("required", "optional")]
        for name, (kind, *more) in (pair for group in wanted for pair in group.items()):
            facts = dict(more[0]) if more else {}
            if isinstance(kind, list):
                kind, facts["options"] = "COMBO", kind
            inputs[name] = kind, facts
        return cls(inputs, len(info["output"]))

    def options(self) -> dict[str, list[str]]:
        return {
            name: [option for option in facts["options"] if option not in ENDLESS]
            for name, (kind, facts) in self.inputs.items()
            if kind == "COMBO"
        }


def graphs(facts: dict[str, NodeFacts]) -> st.SearchStrategy[Graph]:
    """API graphs about each of the nodes; all end in the node that looks at the outputs."""
    return st.sampled_from(sorted(facts)).flatmap(lambda node_type: _graph(node_type, facts[node_type]))


@st.composite
def _graph(draw, node_type: str, facts: NodeFacts) -> Graph:
    clip = draw(clips())
    graph = base(clip)
    options = {name: values for name, values in facts.options().items()}
    inputs = ORDINARY[node_type](draw, clip, options)
    ours = node_type not in STOCK
    # What people type into the host's own nodes is not the pack's to check.
    changeable = [name for name, (kind, _) in facts.inputs.items() if ours or kind in WIRES]
    # … nor is what its sampler does with its sigmas: there, one odd thing at a time meets the pack's part.
    most = 2 if ours else 1
    names = draw(st.lists(st.sampled_from(changeable), max_size=most, unique=True)) if changeable else []
    for name in names:
        kind, limits = facts.inputs[name]
        if kind in WIRES:
            recipe = draw(odd_inputs.wired(kind, clip.frames, clip.height, clip.width))
            if not ours and isinstance(recipe, dict) and "dict" in recipe:
                recipe["dict"].pop("batch_index", None)  # the host draws as many noises as this says
            graph[f"odd {name}"] = odd(recipe)
            inputs[name] = [f"odd {name}", 0]
            continue
        value = draw(odd_inputs.chosen(name, kind, limits))
        if name in LARGEST_CHEAP and draw(st.integers(0, 3)) == 0:
            value = limits["max"]
        if draw(st.integers(0, 4)) == 0 and not isinstance(value, list | dict):
            inputs[name] = value
        else:
            graph[f"odd {name}"] = odd(value)
            inputs[name] = [f"odd {name}", 0]
    graph[SUBJECT] = node(node_type, **inputs)
    graph[LOOK] = node("FuzzLookAt", **{f"output{index}": [SUBJECT, index] for index in range(min(4, facts.outputs))})
    if not facts.outputs:
        del graph[LOOK]
    return _only_what_is_used(graph)


def _only_what_is_used(graph: Graph) -> Graph:
    """Without what no node asks for, but for the model, which the server so keeps from one graph to the next."""
    used, found = {SUBJECT, "model", "positive", "negative"}, [SUBJECT]
    while found:
        links = [value for value in graph[found.pop()]["inputs"].values() if isinstance(value, list) and value]
        new = {link[0] for link in links} - used
        used |= new
        found += new
    return {name: part for name, part in graph.items() if name in used | {LOOK}}
