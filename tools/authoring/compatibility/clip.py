"""A small SEINE clip as a graph, and everything that a node beside it may ask for.

Two samplers make it: SamplerCustomAdvanced from noise, and SEINE KSampler on what comes out, so that guiders, samplers,
schedules and noise have a place, and so have nodes that change a LATENT between two samplers.
"""

from __future__ import annotations

from typing import Any

Graph = dict[str, dict[str, Any]]
Link = list[Any]

FRAMES, SIZE = 3, 96
MODEL_FILE, OTHER_FILE, PICTURE = "sample.safetensors", "other.safetensors", "picture.png"
FIRST, SECOND = "saved first", "saved second"
"""Ids of the nodes that save the latents of the two samplers."""

WIRES: dict[str, tuple[Link, ...]] = {
    "MODEL": (["model", 0], ["other", 0]),
    "CLIP": (["model", 1], ["other", 1]),
    "VAE": (["model", 2],),
    "IMAGE": (["pictures", 0],),
    "MASK": (["half", 0],),
    "LATENT": (["first", 0], ["other latent", 0]),
    "CONDITIONING": (["clip", 0], ["other clip", 0]),
    "NOISE": (["noise", 0],),
    "GUIDER": (["guider", 0],),
    "SAMPLER": (["sampler", 0],),
    "SIGMAS": (["sigmas", 0],),
    "LATENT_OPERATION": (["operation", 0],),
    "TIMESTEPS_RANGE": (["half of the steps", 0],),
    "HOOKS": (["hook", 0], ["other hook", 0]),
    "HOOK_KEYFRAMES": (["hook keyframe", 0],),
    "CONTROL_NET": (["control net", 0],),
    "CLIP_VISION": (["image encoder", 0],),
    "CLIP_VISION_OUTPUT": (["encoded image", 0],),
    "GLIGEN": (["gligen", 0],),
    "STYLE_MODEL": (["style model", 0],),
    "LORA_MODEL": (["lora", 0],),
    "FLOATS": (["floats", 0],),
    "AUDIO": (["sound", 0],),
}
"""What an input of each type is given: the first, the second of a node, and the last again."""


def node(node_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": node_type, "inputs": inputs}


TWO_PROMPTS, WITH_CONTROL, WITH_HOOK = "two prompts", "ControlNet", "hook"
MORE_STEPS, WITH_MASK = "more steps", "noise mask"
"""Other plain clips, for nodes that tell nothing where there is one prompt, no ControlNet, hook or mask, few steps."""


def plain(variant: str = "", number: int = 0) -> Graph:
    """The clip without any other node. One of another number is the same, but not in the server's cache.

    The start latent is cut, twice, to lengths beyond its end, which changes nothing; the host allows 64.
    """
    graph = _clip(number)
    if variant == TWO_PROMPTS:
        graph["positives"] = node("ConditioningCombine", conditioning_1=["clip", 0], conditioning_2=["other clip", 0])
    elif variant == WITH_CONTROL:
        graph["positives"] = node(
            "ControlNetApply",
            conditioning=["clip", 0],
            control_net=["control net", 0],
            image=["pictures", 0],
            strength=1.0,
        )
    elif variant == WITH_HOOK:
        graph["positives"] = node(
            "ConditioningSetProperties", cond_NEW=["clip", 0], strength=1.0, set_cond_area="default", hooks=["hook", 0]
        )
    elif variant == MORE_STEPS:
        graph["sigmas"]["inputs"]["steps"] = 12
    elif variant == WITH_MASK:
        graph["masked"] = node("SetLatentNoiseMask", samples=["first", 0], mask=["half", 0])
        graph["second"]["inputs"]["latent_image"] = ["masked", 0]
    if "positives" in graph:
        for sampler in ("guider", "second"):
            graph[sampler]["inputs"]["positive"] = ["positives", 0]
    return graph


def _clip(number: int) -> Graph:
    again, once = divmod(number, 60)
    to_video = {"vae": ["model", 2], "mask": ["mask", 0], "keyframes": ["keyframe", 0], "width": SIZE, "height": SIZE}
    to_video |= {"resize_mode": "stretch", "batch_size": 1}
    loaded = {"base_name": "bundled", "weight_dtype": "fp32"}
    prompts = {"positive": ["clip", 0], "negative": ["clip", 1]}
    return {
        "model": node("SEINECheckpointLoader", model_name=MODEL_FILE, **loaded),
        "positive": node("CLIPTextEncode", text="a red ball moves left", clip=["model", 1]),
        "negative": node("CLIPTextEncode", text="", clip=["model", 1]),
        "mask": node(
            "SEINEMaskBuilder", mode="first frames", count=1, indices="0", frames=FRAMES, width=SIZE, height=SIZE
        ),
        "keyframe": node("LoadImage", image=PICTURE),
        "clip": node("SEINEImageToVideo", positive=["positive", 0], negative=["negative", 0], **to_video),
        "cut once": node("LatentFromBatch", samples=["clip", 2], batch_index=0, length=FRAMES + once),
        "start": node("LatentFromBatch", samples=["cut once", 0], batch_index=0, length=FRAMES + again),
        "noise": node("RandomNoise", noise_seed=1),
        "guider": node("CFGGuider", model=["model", 0], cfg=2.0, **prompts),
        "sampler": node("KSamplerSelect", sampler_name="euler"),
        "sigmas": node("BasicScheduler", model=["model", 0], scheduler="normal", steps=3, denoise=1.0),
        "first": node(
            "SamplerCustomAdvanced",
            **{"noise": ["noise", 0], "guider": ["guider", 0], "sampler": ["sampler", 0], "sigmas": ["sigmas", 0]},
            latent_image=["start", 0],
        ),
        "second": node(
            "SEINEKSampler",
            **{"model": ["model", 0], **prompts, "latent_image": ["first", 0], "seed": 2, "steps": 1, "cfg": 2.0},
            **{"sampler_name": "ddim", "scheduler": "seine", "denoise": 0.5},
        ),
        FIRST: node("SaveLatent", samples=["first", 0], filename_prefix="latents/first"),
        SECOND: node("SaveLatent", samples=["second", 0], filename_prefix="latents/second"),
        # What nodes ask for beside the clip; the server runs only what is wired to something.
        "other": node("SEINECheckpointLoader", model_name=OTHER_FILE, **loaded),
        "other prompt": node("CLIPTextEncode", text="a blue square grows", clip=["model", 1]),
        "other clip": node("SEINEImageToVideo", positive=["other prompt", 0], negative=["negative", 0], **to_video),
        "pictures": node("RepeatImageBatch", image=["keyframe", 0], amount=FRAMES),
        "other latent": node("VAEEncode", pixels=["pictures", 0], vae=["model", 2]),
        "masked clip": node(
            "ConditioningSetMask", conditioning=["clip", 0], mask=["half", 0], strength=1.0, set_cond_area="default"
        ),
        "dataset": node(
            "MakeTrainingDataset", images=["keyframe", 0], vae=["model", 2], clip=["model", 1], texts="a ball"
        ),
        "half": node("LoadImageMask", image=PICTURE, channel="red"),
        "operation": node("LatentOperationSharpen", sharpen_radius=1, sigma=1.0, alpha=0.5),
        "half of the steps": node("ConditioningTimestepsRange", start_percent=0.0, end_percent=0.5),
        "hook": node("CreateHookLoraModelOnly", lora_name="acting.safetensors", strength_model=1.0),
        "other hook": node("CreateHookLoraModelOnly", lora_name="acting.safetensors", strength_model=0.5),
        "hook keyframe": node("CreateHookKeyframe", strength_mult=0.5, start_percent=0.0),
        "control net": node("MadeUpControlNet", model=["model", 0]),
        "image encoder": node("MadeUpImageEncoder"),
        "encoded image": node(
            "CLIPVisionEncode", clip_vision=["image encoder", 0], image=["keyframe", 0], crop="center"
        ),
        "gligen": node("MadeUpGligen", model=["model", 0]),
        "style model": node("MadeUpStyleModel", model=["model", 0]),
        "lora": node("MadeUpLora", model=["model", 0]),
        "floats": node("MadeUpFloats"),
        "sound": node("EmptyAudio", duration=1.0, sample_rate=16000, channels=1),
    }
