"""Graphs of every kind by the pack's nodes, on a small model, as functions of what loaders and stock nodes give."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import comfy.model_management
import folder_paths
import torch
from comfy_api.v0_0_2 import InputImpl
from comfy_extras.nodes_context_windows import ContextWindowsManualNode
from comfy_extras.nodes_custom_sampler import SamplerCustom
from comfy_extras.nodes_mask import MaskComposite, SolidMask
from comfyui_seine.comfy_adapter import files, loading, preview
from comfyui_seine.comfy_adapter.keyframes import CAMERA
from comfyui_seine.nodes import NODES, conditioning, decode, film, film_file, mask, merging, prompts, sampling, saving
from comfyui_seine.nodes import camera as cameras
from comfyui_seine.nodes import motion as motions
from torch import Tensor

FRAMES, SIZE = 6, 32
SETTINGS = {"seed": 3, "steps": 2, "cfg": 2.0, "sampler_name": "ddim", "scheduler": "seine"}
FILM = SETTINGS | {"window": 5, "overlap": 2}
STORY = "shot 2: a red ball\ntransition 3: it turns blue\nshot 1:"


class Made:
    """Model, prompts and pictures, as loaders and stock nodes give them."""

    def __init__(self) -> None:
        self.path = files.model_path("sample.safetensors")
        self.model, self.clip, self.vae = loading.load_bundle(self.path, None, torch.float32)
        self.prompts = [self.clip.encode_from_tokens_scheduled(self.clip.tokenize(text)) for text in ("a ball", "")]

    def pictures(self, number: int = 1, on_cpu: bool = False) -> Tensor:
        values = torch.rand(number, SIZE, SIZE, 3, generator=torch.Generator().manual_seed(1))
        management = comfy.model_management
        return values if on_cpu else values.to(management.intermediate_device(), management.intermediate_dtype())

    def mask(self, mode: str = "first frames") -> Tensor:
        return mask.SEINEMaskBuilder.execute(mode, 1, "0", FRAMES, SIZE, SIZE).args[0]

    def clip_of(self, chosen: Tensor | None = None, pictures: Tensor | None = None, clips: int = 1) -> tuple:
        chosen = self.mask() if chosen is None else chosen
        pictures = self.pictures() if pictures is None else pictures
        inputs = (self.vae, SIZE, SIZE, "stretch", clips)
        given = {"mask": chosen, "keyframes": pictures}
        return conditioning.SEINEImageToVideo.execute(*self.prompts, *inputs, **given).args

    def clip_between(self) -> tuple:
        inputs = (self.vae, SIZE, SIZE, "crop", 1)
        given = {"first_image": self.pictures(), "last_image": self.pictures(on_cpu=True), "frames": FRAMES}
        return conditioning.SEINEImageToVideo.execute(*self.prompts, *inputs, **given).args

    def sampled(self, *conds: Any, model: Any = None, **inputs: Any) -> dict[str, Any]:
        values = {"denoise": 1.0} | SETTINGS | inputs
        names = dict(zip(("positive", "negative", "latent_image"), conds, strict=True))
        return sampling.SEINEKSampler.execute(model=model or self.model, **names, **values).args[0]


def image_to_video(made: Made) -> dict[str, Tensor]:
    positive, negative, latent = made.clip_of(clips=2)
    samples = made.sampled(positive, negative, latent)
    images = decode.SEINEVAEDecode.execute(samples, made.vae, 3, False, 512).args[0]
    return {"latent": latent["samples"], "samples": samples["samples"], "images": images}


def wired(made: Made) -> dict[str, Tensor]:
    positive, negative, latent = made.clip_between()
    return {"latent": latent["samples"], "samples": made.sampled(positive, negative, latent)["samples"]}


def text_to_video(made: Made) -> dict[str, Tensor]:
    return {"samples": made.sampled(*made.prompts, {"samples": made.clip_of()[2]["samples"]})["samples"]}


def from_the_cpu(made: Made) -> dict[str, Tensor]:
    """What nodes of other packs leave on the CPU."""
    chosen = torch.ones(FRAMES, SIZE, SIZE)
    chosen[0] = 0
    return {"samples": made.sampled(*made.clip_of(chosen, made.pictures(on_cpu=True)))["samples"]}


def mask_on_the_sampler(made: Made) -> dict[str, Tensor]:
    latent = {"samples": made.clip_of()[2]["samples"] + 0.5}
    chosen = made.mask()
    half = made.sampled(*made.prompts, latent, mask=chosen, denoise=0.5)
    return {"mask": chosen, "whole": made.sampled(*made.prompts, latent, mask=chosen)["samples"], **half}


def stock_masks(made: Made) -> dict[str, Tensor]:
    white = SolidMask.execute(1.0, SIZE, SIZE).args[0]
    chosen = MaskComposite.execute(made.mask(), white, 0, 0, "multiply").args[0]
    return {"mask": chosen, "samples": made.sampled(*made.clip_of(chosen))["samples"]}


def second_pass(made: Made) -> dict[str, Tensor]:
    positive, negative, latent = made.clip_of()
    larger = {"samples": torch.nn.functional.interpolate(latent["samples"] + 0.5, scale_factor=1.5)}
    return {"samples": made.sampled(positive, negative, larger, denoise=0.5)["samples"]}


def custom_sampling(made: Made) -> dict[str, Tensor]:
    positive, negative, latent = made.clip_of()
    sampler = sampling.SEINESamplerDDPM.execute().args[0]
    sampler.extra_options = {"noise_sampler": lambda sigma, sigma_next: 0.0}  # the card has another generator
    sigmas = sampling.SEINEScheduler.execute(made.model, 3, 1.0).args[0]
    inputs = (made.model, True, 1, 2.0, positive, negative, sampler, sigmas, latent)
    return {"samples": SamplerCustom.execute(*inputs).args[0]["samples"]}


def context_windows(made: Made) -> dict[str, Tensor]:
    options = ("standard_static", 1, False, "pyramid", 0, False)
    windowed = ContextWindowsManualNode.execute(made.model, 4, 2, *options).args[0]
    return {"samples": made.sampled(*made.clip_of(), model=windowed)["samples"]}


def prompt_travel(made: Made) -> dict[str, Tensor]:
    script = "0: a red ball\n5: a blue ball"
    travel = prompts.SEINEPromptTravel.execute(made.clip, script, FRAMES, "blend").args[0]
    _, negative, latent = made.clip_of()
    return {"embeddings": travel[0][0], "samples": made.sampled(travel, negative, latent)["samples"]}


def extended(made: Made) -> dict[str, Tensor]:
    clip = made.sampled(*made.clip_of())
    inputs = {"model": made.model, "vae": made.vae, "positive": made.prompts[0], "negative": made.prompts[1]} | FILM
    longer, new = film.SEINEExtendVideo.execute(direction="after", frames=3, latent=clip, **inputs).args
    joined = torch.cat((clip["samples"], new["samples"]))  # as stock nodes batch latents
    return {"film": longer["samples"], "new": new["samples"], "joined": joined}


def from_images(made: Made) -> dict[str, Tensor]:
    inputs = {"model": made.model, "vae": made.vae, "positive": made.prompts[0], "negative": made.prompts[1]} | FILM
    longer, _ = film.SEINEExtendVideo.execute(direction="before", frames=2, images=made.pictures(2), **inputs).args
    return {"film": longer["samples"]}


def story(made: Made) -> dict[str, Tensor]:
    inputs = {"negative_prompt": "", "fps": 8.0, "width": SIZE, "height": SIZE, "resize_mode": "crop"} | FILM
    parts = {"clip": made.clip, "vae": made.vae, "images": made.pictures(2)}
    return {"film": film.SEINEStory.execute(model=made.model, story=STORY, **parts, **inputs).args[0]["samples"]}


def camera(made: Made) -> dict[str, Tensor]:
    positive, negative, latent = made.clip_of(made.mask("first and last frames"), made.pictures(2), clips=2)
    moved = cameras.SEINECamera.execute(positive, negative, made.vae, 0.4, -0.2, 0.5, 0.6).args
    (_, _, stills), *_ = moved[0][0][1][CAMERA]
    return {"led": stills, "samples": made.sampled(*moved, latent)["samples"]}


def soft_keyframes(made: Made) -> dict[str, Tensor]:
    positive, negative, latent = made.clip_of(made.mask("first and last frames"), made.pictures(2))
    softer = conditioning.SEINESoftKeyframes.execute(positive, negative, 0.5, "-1").args
    return {"samples": made.sampled(*softer, latent)["samples"]}


def patched_models(made: Made) -> dict[str, Tensor]:
    clip = made.clip_of()
    moving = motions.SEINEMotion.execute(made.model, 1.0).args[0]
    interval = sampling.SEINEGuidanceInterval.execute(made.model, 0.0, 0.5).args[0]
    merged = merging.SEINEModelMerge.execute(made.model, loading.load_model(made.path, torch.float32), *[0.5] * 4).args[
        0
    ]
    models = {"motion": moving, "interval": interval, "merged": merged}
    return {name: made.sampled(*clip, model=model)["samples"] for name, model in models.items()}


def extended_file(made: Made) -> dict[str, Tensor]:
    with TemporaryDirectory() as folder:
        source = str(Path(folder) / "clip.mp4")
        decode.SEINEDecodeToVideo.execute(made.clip_of()[2], made.vae, 8.0, 3).args[0].save_to(source)
        inputs = (*made.prompts, made.vae, InputImpl.VideoFromFile(source), "after", 2, SIZE, SIZE)
        longer = film_file.SEINEExtendVideoFile.execute(made.model, *inputs, **FILM).args[0]
        images = longer.get_components().images
    return {"images": images.to(comfy.model_management.intermediate_device())}  # of files the host reads to the CPU


def files_of_it(made: Made) -> dict[str, Tensor]:
    """A video and a GIF; what they show is measured elsewhere."""
    latent = made.clip_of()[2]
    video = decode.SEINEDecodeToVideo.execute(latent, made.vae, 8.0, 3).args[0]
    images = video.get_components().images
    with TemporaryDirectory() as folder, mock.patch.object(folder_paths, "output_directory", folder):
        video.save_to(str(Path(folder) / "clip.mp4"))
        saving.SEINESaveGIF.execute(images, "clip", 8.0, False)
        written = [file.stat().st_size > 0 for file in sorted(Path(folder).iterdir())]
    return {"images": images, "written": images.new_tensor(written)}


def colours(made: Made) -> dict[str, Tensor]:
    images = made.pictures(4)
    inputs = ("before", 1, 1.0)
    matched = decode.SEINEMatchColors.execute(images, images.flip(0) * 0.5, *inputs).args[0]
    mixed = decode.SEINEMatchColors.execute(images, made.pictures(1, on_cpu=True) * 0.5, *inputs).args[0]
    return {"matched": matched, "with the CPU's": mixed}


def previews(made: Made) -> dict[str, Tensor]:
    return {"grid": preview.frame_grid(made.clip_of()[2]["samples"])}


GRAPHS: dict[str, Callable[[Made], dict[str, Tensor]]] = {
    graph.__name__: graph
    for graph in (
        *(
            image_to_video,
            wired,
            text_to_video,
            from_the_cpu,
            mask_on_the_sampler,
            stock_masks,
            second_pass,
            custom_sampling,
        ),
        *(context_windows, prompt_travel, extended, from_images, story, files_of_it, colours),
        *(camera, soft_keyframes, patched_models, extended_file, previews),
    )
}


@contextmanager
def nodes_noted() -> Iterator[set[str]]:
    """Names of the pack's nodes that are executed."""
    used: set[str] = set()
    with ExitStack() as stack:
        for node in NODES:
            stack.enter_context(mock.patch.object(node, "execute", _noted(node, used)))
        yield used


def _noted(node: Any, used: set[str]) -> Callable:
    inner = node.execute

    def execute(*args: Any, **kwargs: Any) -> Any:
        used.add(node.__name__)
        return inner(*args, **kwargs)

    return execute
