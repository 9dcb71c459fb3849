"""Tries ComfyUI's own nodes on SEINE, one after the other, and says of each what became of the clip."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tools.hosting.client import Client, ExecutionFailed, Graph, RunError, ValidationFailed

KINDS = ("MODEL", "CONDITIONING", "LATENT", "SIGMAS", "SAMPLER", "GUIDER")
"""What a node may give that a sampler takes; nodes are sorted by the first of these that they give."""
OURS = r"\b(comfy_adapter|seine_model)/"
"""In the last lines of a traceback: the error is one of the pack's."""
WIDGETS = ("INT", "FLOAT", "BOOLEAN", "COMBO", "STRING")
LOADERS = ("Loader", "LoadTraining", "LoadLatent")
"""Nodes that only read a file have nothing to try."""
FRAMES, WIDTH, HEIGHT, STEPS = 4, 96, 64, 4
LIMIT = 60
"""Seconds for a graph that takes one or two."""
SETTINGS: dict[str, dict[str, Any]] = {
    "ModelSamplingDiscrete": {"sampling": "v_prediction", "zsnr": True},
    "CFGOverride": {"cfg": 5.0},
    "UNetSelfAttentionMultiply": {"q": 1.5},
    "UNetCrossAttentionMultiply": {"q": 1.5},
    "UNetTemporalAttentionMultiply": {"self_structural": 1.5, "cross_structural": 1.5},
    "Epsilon Scaling": {"scaling_factor": 1.1},
    "ScaleROPE": {"scale_t": 0.5},
    "PerpNeg": {"empty_conditioning": ["clip", 1]},
    "PerpNegGuider": {"empty_conditioning": ["clip", 1], "negative": ["other clip", 0]},
    "ReferenceLatent": {"latent": ["start", 0]},
    "ReferenceTimbreAudio": {"latent": ["start", 0]},
    "RepeatLatentBatch": {"amount": 2},
    "ReplaceVideoLatentFrames": {"source": ["other start", 0]},
    "ConditioningAverage": {"conditioning_to_strength": 0.5},
    "ConditioningMultiply": {"multiplier": 2.0},
    "ConditioningSetTimestepRange": {"start": 0.5},
    "ConditioningSetArea": {"width": 64, "height": 64, "x": 32},
    "ConditioningSetAreaPercentage": {"width": 0.5, "height": 0.5},
    "ConditioningSetAreaPercentageVideo": {"width": 0.5, "height": 0.5, "temporal": 0.5},
    "ConditioningSetProperties": {"strength": 0.5, "mask": ["solid", 0]},
    "PairConditioningSetProperties": {"strength": 0.5, "mask": ["solid", 0]},
    "ConditioningSetPropertiesAndCombine": {"strength": 0.5},
    "ConditioningSetDefaultCombine": {"cond": ["part", 0]},
    "LatentMultiply": {"multiplier": 2.0},
    "LatentCrop": {"width": 64, "height": 64, "x": 32},
    "EasyCache": {"reuse_threshold": 3.0, "start_percent": 0.0, "end_percent": 1.0},
    "LazyCache": {"reuse_threshold": 3.0, "start_percent": 0.0, "end_percent": 1.0},
    "LatentBlend": {"blend_factor": 0.3},
    "LatentCutToBatch": {"dim": "x", "slice_size": 4},
    "LatentInterpolate": {"ratio": 0.3},
    "LatentRotate": {"rotation": "180 degrees"},
    "ModelComputeDtype": {"dtype": "bf16"},
    "KSamplerSelect": {"sampler_name": "heun"},
    "ManualSigmas": {"sigmas": "10, 5, 1, 0"},
    "HyperTile": {"tile_size": 1, "max_depth": 0},
    "PatchModelAddDownscale": {"end_percent": 1.0},
    "ContextWindowsManual": {"context_length": 2, "context_overlap": 1},
}
"""Where a node's defaults change nothing, or cannot on a clip so small."""


_OTHER_MODEL = "acts on the network of another model alone"
_ANSWERED = "one prompt for a place counts fully, whatever its strength; it acts where prompts meet"
BY_DESIGN: dict[str, str] = {
    "ChromaRadianceOptions": _OTHER_MODEL,
    "ConditioningSetAreaStrength": _ANSWERED,
    "DifferentialDiffusion": "acts on latents with a noise mask",
    "FluxDisableGuidance": "takes away what SEINE would refuse",
    "FluxKontextMultiReferenceLatentMethod": "says how to read reference latents, which SEINE refuses",
    "LTXVContextWindows": _OTHER_MODEL,
    "ModelAttentionBackend": "its default is no change",
    "SaveLatent": "hands on the latent it saves",
    "SelectModelDevice": "its default is no change",
    "SkipLayerGuidanceDiT": _OTHER_MODEL,
    "SkipLayerGuidanceSD3": _OTHER_MODEL,
    "MultiGPU_WorkUnits": "acts where there is more than one device; the clip is the same",
}
"""Why a node changes nothing here."""


@dataclass(frozen=True)
class Found:
    """`answer`: "acts", "equal" (the plain clip), "refused" (SEINE's words), "fails" (the node's own), or "needs"."""

    node: str
    kind: str
    answer: str
    words: str = ""


def survey(client: Client, object_info: Mapping[str, Any], model_name: str) -> Iterator[Found]:
    """Of every node of ComfyUI itself that gives what a sampler takes."""
    plain = _samples(client, _graph(model_name))
    custom = _samples(client, _custom(_graph(model_name)))
    for name, info in sorted(object_info.items()):
        kind = next((kind for kind in KINDS if kind in info["output"]), None)
        own = info["python_module"].startswith(("nodes", "comfy_extras")) and not info.get("api_node")
        if not own or kind is None or any(word in name for word in LOADERS):
            continue
        yield _try(client, name, info, kind, model_name, plain if kind in KINDS[:3] else custom)


def _try(client: Client, name: str, info: Mapping[str, Any], kind: str, model_name: str, plain: bytes) -> Found:
    sources = _graph(model_name)
    inputs, missing = _inputs(name, info)
    if missing:
        return Found(name, kind, "needs", missing)
    sources["tried"] = _node(name, **inputs)
    try:
        found = _samples(client, _wired(sources, info["output"], kind))
    except ExecutionFailed as problem:
        words = (problem.exception_message.strip().splitlines() or [""])[0]
        refused = re.search(OURS, "\n".join(problem.traceback.strip().splitlines()[-2:])) is not None
        return Found(name, kind, "refused" if refused else "fails", words)
    except ValidationFailed as problem:
        return Found(name, kind, "fails", str(problem).splitlines()[-1])
    except TimeoutError:
        return Found(name, kind, "slow")
    except RunError as problem:
        return Found(name, kind, "fails", str(problem).splitlines()[0])
    if found is None:
        return Found(name, kind, "fails", "values that are not finite")
    return Found(name, kind, "equal" if found == plain else "acts")


def _inputs(name: str, info: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Values of a node's inputs, and the first of its required ones that there is nothing for."""
    inputs: dict[str, Any] = {}
    for key, (kind, *options) in info["input"].get("required", {}).items():
        chosen = options[0] if options else {}
        if isinstance(kind, list):
            value = kind[0] if kind else None
        elif kind in WIDGETS:
            value = chosen.get("default", (chosen.get("options") or [None])[0])
            value = "" if value is None and kind == "STRING" else value
            if name.startswith("ModelMerge") and kind == "FLOAT":
                value = 0.5  # at their defaults all is the first model
        else:
            again = any(given == SOURCES.get(kind) for given in inputs.values())
            value = OTHERS.get(kind, SOURCES.get(kind)) if again else SOURCES.get(kind)
        if value is None:
            return {}, kind if isinstance(kind, str) else "a file"
        inputs[key] = value
    return inputs | SETTINGS.get(name, {}), ""


SOURCES: dict[str, list] = {
    "MODEL": ["model", 0],
    "CLIP": ["model", 1],
    "VAE": ["model", 2],
    "CONDITIONING": ["clip", 0],
    "LATENT": ["start", 0],
    "IMAGE": ["picture", 0],
    "MASK": ["solid", 0],
    "SIGMAS": ["sigmas", 0],
    "SAMPLER": ["sampler", 0],
    "GUIDER": ["guider", 0],
    "NOISE": ["noise", 0],
    "LATENT_OPERATION": ["operation", 0],
    "TIMESTEPS_RANGE": ["range", 0],
}
OTHERS: dict[str, list] = {
    "MODEL": ["other model", 0],
    "CONDITIONING": ["other clip", 0],
    "LATENT": ["other start", 0],
}
"""For a node's second input of a kind, so that combining the two is not combining equals."""


def _graph(model_name: str) -> Graph:
    """An image to video in small, and a source for what nodes may ask for."""
    size = {"width": WIDTH, "height": HEIGHT}
    prompts = {"positive": ["positive", 0], "negative": ["negative", 0]}
    clip = {"vae": ["model", 2], "mask": ["mask", 0], "keyframes": ["picture", 0], **size}
    clip |= {"resize_mode": "stretch", "batch_size": 1}
    return {
        "model": _node("SEINECheckpointLoader", model_name=model_name, base_name="bundled", weight_dtype="fp32"),
        "positive": _node("CLIPTextEncode", text="a red ball moves left", clip=["model", 1]),
        "negative": _node("CLIPTextEncode", text="", clip=["model", 1]),
        "mask": _node("SEINEMaskBuilder", mode="first frames", count=1, indices="0", frames=FRAMES, **size),
        "picture": _node("EmptyImage", **size, batch_size=1, color=0xC04020),
        "none": _node("SolidMask", value=0.0, **size),
        "half": _node("SolidMask", value=1.0, width=WIDTH // 2, height=HEIGHT),
        "solid": _node("MaskComposite", destination=["none", 0], source=["half", 0], x=0, y=0, operation="add"),
        "clip": _node("SEINEImageToVideo", **prompts, **clip),
        "another": _node("CLIPTextEncode", text="a blue square grows", clip=["model", 1]),
        "other clip": _node("SEINEImageToVideo", **(prompts | {"positive": ["another", 0]}), **clip),
        "other model": _node("UNetSelfAttentionMultiply", model=["model", 0], q=1.5, k=1.0, v=1.0, out=1.2),
        # Neither uniform nor of zeros, which most operations leave as they are.
        "rows": _node("RepeatImageBatch", image=["picture", 0], amount=FRAMES),
        "flat": _node("VAEEncode", pixels=["rows", 0], vae=["model", 2]),
        "start": _node(
            *("AddNoise",),
            model=["model", 0],
            noise=["noise", 0],
            sigmas=["low", 0],
            latent_image=["flat", 0],
        ),
        "low": _node("ManualSigmas", sigmas="0.5, 0"),
        "other start": _node("LatentMultiply", samples=["flat", 0], multiplier=0.5),
        "part": _node(
            "ConditioningSetAreaPercentage", conditioning=["clip", 0], width=0.5, height=1, x=0, y=0, strength=1
        ),
        "range": _node("ConditioningTimestepsRange", start_percent=0.0, end_percent=0.5),
        "operation": _node("LatentOperationSharpen", sharpen_radius=1, sigma=1.0, alpha=0.5),
        "sigmas": _node("SEINEScheduler", model=["model", 0], steps=STEPS, denoise=0.9),
        "sampler": _node("KSamplerSelect", sampler_name="euler"),
        "noise": _node("RandomNoise", noise_seed=3),
        "guider": _node("CFGGuider", model=["model", 0], positive=["clip", 0], negative=["clip", 1], cfg=3.0),
        "end": _node(
            *("KSampler",),
            model=["model", 0],
            positive=["clip", 0],
            negative=["clip", 1],
            latent_image=["start", 0],
            seed=3,
            steps=STEPS,
            cfg=3.0,
            sampler_name="euler",
            scheduler="normal",
            denoise=0.9,
        ),
        "save": _node("SaveLatent", samples=["end", 0], filename_prefix="compatibility"),
    }


def _custom(graph: Graph) -> Graph:
    wired = {name: [name, 0] for name in ("noise", "guider", "sampler", "sigmas")}
    return graph | {"end": _node("SamplerCustomAdvanced", **wired, latent_image=["start", 0])}


def _wired(graph: Graph, outputs: list[str], kind: str) -> Graph:
    """The graph with what the tried node gives where the sampler takes it."""
    if kind in ("SIGMAS", "SAMPLER", "GUIDER"):
        graph = _custom(graph)
        graph["end"]["inputs"][kind.lower()] = ["tried", outputs.index(kind)]
        return graph
    places = {"MODEL": ["model"], "CONDITIONING": ["positive", "negative"], "LATENT": ["latent_image"]}
    for index, output in enumerate(outputs):
        if places.get(output):
            graph["end"]["inputs"][places[output].pop(0)] = ["tried", index]
    return graph


def _samples(client: Client, graph: Graph) -> bytes | None:
    """The sampled latent's bytes; None where some are not finite."""
    from safetensors.torch import load

    (file,) = [file for file in client.files(client.run(graph, timeout=LIMIT)) if file.node_id == "save"]
    latent = load(client.fetch(file))["latent_tensor"].float()
    if not latent.isfinite().all():
        return None
    content = io.BytesIO(str(list(latent.shape)).encode())
    return content.getvalue() + latent.numpy().tobytes()


def _node(node_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": node_type, "inputs": inputs}
