from __future__ import annotations

import torch
from comfy_api.v0_0_2 import io

from ..comfy_adapter.films.extending import DIRECTIONS, clip_latents, extend
from ..comfy_adapter.films.film import Settings
from ..comfy_adapter.films.storytelling import sample_story
from ..comfy_adapter.intermediates import kept
from ..comfy_adapter.keyframes import check_size
from ..comfy_adapter.sampling import require_keyframes
from ..seine_model.preprocessing import FIT_CLIP, RESIZE_MODES
from .checked import checked
from .sampling_inputs import window_inputs


class SEINEExtendVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SEINEExtendVideo",
            display_name="SEINE Extend Video",
            category="SEINE",
            description=(
                "Continue a clip by any number of frames, say what came before it, fill the gap between two clips, or "
                "close it to a loop. Wire in latents where you have them: they lose nothing. Finished windows are kept "
                "on disk, so a cancelled run goes on where it was."
            ),
            search_aliases=[
                *(
                    "seine extend",
                    "extend video",
                    "continue video",
                    "prediction",
                    "autoregressive",
                    "long video",
                    "loop",
                ),
                *("延长视频", "续写", "循环"),
            ],
            inputs=[
                io.Model.Input("model", tooltip="SEINE."),
                io.Conditioning.Input("positive", tooltip="What the new frames show: the prompt alone."),
                io.Conditioning.Input("negative", tooltip="What to avoid; an empty prompt is the usual choice."),
                io.Vae.Input("vae", tooltip="The VAE that goes with the model."),
                io.Combo.Input(
                    "direction",
                    options=list(DIRECTIONS),
                    default="after",
                    tooltip=(
                        "Where the new frames go: after the clip, before it, between it and the next clip, or from its "
                        "end back to its start (loop)."
                    ),
                ),
                io.Int.Input("frames", default=32, min=1, max=100000, tooltip="How many frames to make."),
                *window_inputs(),
                io.Latent.Input("latent", optional=True, tooltip="The clip, frames as batch, as sampled."),
                io.Image.Input("images", optional=True, tooltip="The clip as images, where there is no latent of it."),
                io.Latent.Input("next_latent", optional=True, tooltip="Only for between: the clip after the gap."),
                io.Image.Input("next_images", optional=True, tooltip="The same as images."),
            ],
            outputs=[
                io.Latent.Output(display_name="film", tooltip="What was given and the new frames, in order."),
                io.Latent.Output(display_name="new frames", tooltip="The new frames alone."),
            ],
        )

    @classmethod
    @checked
    def execute(
        cls,
        model,
        positive: list,
        negative: list,
        vae,
        direction: str,
        frames: int,
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        window: int,
        overlap: int,
        latent: dict | None = None,
        images: torch.Tensor | None = None,
        next_latent: dict | None = None,
        next_images: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        require_keyframes(model)  # before anything is encoded
        settings = Settings(steps, cfg, sampler_name, scheduler, window, overlap)
        clip = clip_latents(vae, latent, images, "latent", "images")
        other = None
        if direction == "between":
            other = clip_latents(vae, next_latent, next_images, "next_latent", "next_images")
        elif next_latent is not None or next_images is not None:
            raise ValueError(f"next clip: it is wired in, but direction is {direction}: choose between, or unplug it")
        new = extend(model, vae, positive, negative, direction, clip, other, frames, seed, settings)
        parts = {"after": [clip, new], "loop": [clip, new], "before": [new, clip], "between": [clip, new, other]}
        return io.NodeOutput({"samples": kept(torch.cat(parts[direction]))}, {"samples": kept(new)})


MOST_SHOTS = 64


class SEINEStory(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SEINEStory",
            display_name="SEINE Story",
            category="SEINE",
            description=(
                "A film of many shots: each begins with one of the images, and transitions lead from the end of one to "
                "the start of the next. After a change only the segments that depend on it are made again."
            ),
            search_aliases=[
                *("seine story", "storyboard", "long video", "shots", "transitions", "film", "loop"),
                *("故事", "分镜", "转场", "长视频"),
            ],
            inputs=[
                io.Model.Input("model", tooltip="SEINE."),
                io.Clip.Input("clip", tooltip="Reads the prompts: the CLIP of the same checkpoint."),
                io.Vae.Input("vae", tooltip="The VAE that goes with the model."),
                io.String.Input(
                    "story",
                    multiline=True,
                    default=(
                        "shot 2s: a boat on a lake in the morning\n"
                        "transition 1.5s: the lake freezes, smooth transition\n"
                        "shot 2s: a frozen lake in winter"
                    ),
                    tooltip=(
                        "One line per segment, shots and transitions in turn: shot, or transition, its length in "
                        "frames or seconds (2s), a colon and the prompt; or cut alone. A transition at the end leads "
                        "back to the start."
                    ),
                ),
                io.String.Input("negative_prompt", default="", tooltip="What to avoid in all of it; may be empty."),
                io.Float.Input(
                    "fps",
                    default=8.0,
                    min=0.1,
                    max=240.0,
                    step=0.1,
                    tooltip="Frames per second, for seconds.",
                ),
                io.Int.Input("width", default=512, min=8, max=8192, step=8, tooltip="Width of the film in pixels."),
                io.Int.Input("height", default=320, min=8, max=8192, step=8, tooltip="Height of the film in pixels."),
                io.Combo.Input(
                    "resize_mode",
                    options=[*RESIZE_MODES, FIT_CLIP],
                    default="crop",
                    tooltip=(
                        "How images of another shape fit: crop the sides, pad with black bars, or stretch. fit clip to "
                        "image: the film has the first image's shape, and about as many pixels as width x height."
                    ),
                ),
                *window_inputs(),
                io.Image.Input("images", optional=True, tooltip="The first image of each shot, in order, as a batch."),
                io.Autogrow.Input(
                    "shot_images",
                    optional=True,
                    tooltip="The same, one by one and each of any size; every wire makes room for another.",
                    template=io.Autogrow.TemplatePrefix(
                        io.Image.Input("image", tooltip="The first image of a shot."),
                        prefix="image",
                        min=0,
                        max=MOST_SHOTS,
                    ),
                ),
            ],
            outputs=[
                io.Latent.Output(display_name="film", tooltip="All frames, as batch."),
                io.Float.Output(display_name="fps", tooltip="fps, for Create Video."),
                io.String.Output(display_name="timeline", tooltip="Which frames each segment has."),
            ],
        )

    @classmethod
    @checked
    def execute(
        cls,
        model,
        clip,
        vae,
        story: str,
        negative_prompt: str,
        fps: float,
        width: int,
        height: int,
        resize_mode: str,
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        window: int,
        overlap: int,
        images: torch.Tensor | None = None,
        shot_images: dict[str, torch.Tensor] | None = None,
    ) -> io.NodeOutput:
        require_keyframes(model)
        check_size(width, height)
        named = {"images": images, **(shot_images or {})}
        pictures = {name: given for name, given in named.items() if given is not None}
        settings = Settings(steps, cfg, sampler_name, scheduler, window, overlap)
        latents, timeline = sample_story(
            model, clip, vae, pictures, story, negative_prompt, fps, (width, height), resize_mode, seed, settings
        )
        return io.NodeOutput({"samples": kept(latents)}, fps, timeline)
