from __future__ import annotations

import torch
from comfy_api.v0_0_2 import io

from ..comfy_adapter import keyframes as clip_keyframes
from ..comfy_adapter.clip_checks import CLIP, clip_facts, seems_inverted
from ..comfy_adapter.progress_text import notice
from ..comfy_adapter.soft_keyframes import soften
from ..seine_model.preprocessing import FIT_CLIP, RESIZE_MODES
from .checked import checked

MOST_KEYFRAMES = 32


class SEINEImageToVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SEINEImageToVideo",
            display_name="SEINE Image to Video",
            category="SEINE",
            description=(
                "What is wired in is what it makes: with first_image a clip from an image, with last_image too a "
                "transition, with keyframes any frames between, with none a clip of text."
            ),
            search_aliases=[
                *("seine", "i2v", "t2v", "flf2v", "image to video", "text to video", "transition", "morph"),
                *("keyframes", "first frame", "last frame", "first last frame", "interpolate", "inbetween"),
                *("图生视频", "文生视频", "首尾帧", "首帧", "尾帧", "关键帧", "转场", "过渡"),
            ],
            inputs=[
                io.Conditioning.Input("positive", tooltip="What the clip shows."),
                io.Conditioning.Input("negative", tooltip="What to avoid; an empty prompt is the usual choice."),
                io.Vae.Input("vae", tooltip="The Stable Diffusion 1.x VAE that goes with the model."),
                io.Int.Input("width", default=560, min=8, max=8192, step=8, tooltip="Width of the clip in pixels."),
                io.Int.Input("height", default=240, min=8, max=8192, step=8, tooltip="Height of the clip in pixels."),
                io.Combo.Input(
                    "resize_mode",
                    options=[*RESIZE_MODES, FIT_CLIP],
                    default="crop",
                    tooltip=(
                        "How images of another shape fit: crop the sides, pad with black bars, or stretch as the "
                        "official code does. fit clip to image: the clip has the first image's shape, and about as "
                        "many pixels as width x height."
                    ),
                ),
                io.Int.Input("batch_size", default=1, min=1, max=64, tooltip="How many clips to make at once."),
                io.Image.Input("first_image", optional=True, tooltip="The clip begins with it."),
                io.Image.Input("last_image", optional=True, tooltip="The clip ends with it."),
                io.Autogrow.Input(
                    "more_keyframes",
                    optional=True,
                    tooltip="Images between first and last, each of any size; every wire makes room for another.",
                    template=io.Autogrow.TemplatePrefix(
                        io.Image.Input("keyframe", tooltip="An image between first and last."),
                        prefix="keyframe",
                        min=0,
                        max=MOST_KEYFRAMES,
                    ),
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip=(
                        "From SEINE Mask Builder, in place of frames and keyframe_places: images fill the frames it "
                        "keeps, in order."
                    ),
                ),
                io.Image.Input(
                    "keyframes",
                    optional=True,
                    tooltip="A batch of images of one size: frames between first and last, or those a mask keeps.",
                ),
                io.Int.Input(
                    "frames",
                    default=16,
                    min=1,
                    max=4096,
                    optional=True,
                    tooltip=(
                        "Length of the clip; a mask has its own. SEINE was trained on 16: use context windows for long "
                        "ones."
                    ),
                ),
                io.String.Input(
                    "keyframe_places",
                    default="",
                    optional=True,
                    tooltip=(
                        "Which frames the keyframes are, such as 7, 11. Empty: spread evenly. Counted from 0, negative "
                        "ones from the end. Not with a mask."
                    ),
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="positive with the keyframes."),
                io.Conditioning.Output(display_name="negative", tooltip="negative with the keyframes."),
                io.Latent.Output(display_name="latent", tooltip="An empty latent, frames as batch."),
            ],
        )

    @classmethod
    @checked
    def execute(
        cls,
        positive: list,
        negative: list,
        vae,
        width: int,
        height: int,
        resize_mode: str,
        batch_size: int,
        first_image: torch.Tensor | None = None,
        last_image: torch.Tensor | None = None,
        more_keyframes: dict[str, torch.Tensor] | None = None,
        mask: torch.Tensor | None = None,
        keyframes: torch.Tensor | None = None,
        frames: int = 16,
        keyframe_places: str = "",
    ) -> io.NodeOutput:
        clip_keyframes.check_size(width, height)
        named = {"first_image": first_image, **(more_keyframes or {}), "keyframes": keyframes, "last_image": last_image}
        pictures = {name: images for name, images in named.items() if images is not None}
        generated, pictures = clip_keyframes.given_frames(pictures, mask, frames, keyframe_places)
        if seems_inverted(generated, sum(map(len, pictures.values()))):
            notice(
                f"mask: it keeps most of the {len(generated)} frames, more than there are images. 1 (white) is for "
                "frames to generate, 0 (black) for given ones: if they are exchanged, use Invert Mask."
            )
        width, height, resize_mode = clip_keyframes.clip_size(pictures, width, height, resize_mode)
        latents = clip_keyframes.encode_keyframes(vae, generated, pictures, width, height, resize_mode)
        return io.NodeOutput(
            clip_keyframes.attach(positive, generated, latents),
            clip_keyframes.attach(negative, generated, latents),
            {"samples": torch.zeros_like(latents).repeat(batch_size, 1, 1, 1), CLIP: clip_facts(generated)},
        )


class SEINESoftKeyframes(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SEINESoftKeyframes",
            display_name="SEINE Soft Keyframes",
            category="SEINE",
            description=(
                "Keep given frames for a part of the sampling only: they lead the clip, and it may leave them. Several "
                "of these in a row give each frame a strength of its own."
            ),
            search_aliases=[
                *("seine", "soft keyframes", "keyframe strength", "image strength", "conditioning strength"),
                *("关键帧强度", "图像强度", "柔和关键帧"),
            ],
            inputs=[
                io.Conditioning.Input("positive", tooltip="From SEINE Image to Video."),
                io.Conditioning.Input("negative", tooltip="From the same node."),
                io.Float.Input(
                    "strength",
                    default=0.6,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Share of the sampling in which they are kept: 1 is all, as without this node; 0 is none.",
                ),
                io.String.Input(
                    "given_frames",
                    default="",
                    tooltip="Which of them, such as 0, -1. Empty: all. Counted from 0, negative ones from the end.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="positive with softer keyframes."),
                io.Conditioning.Output(display_name="negative", tooltip="negative with softer keyframes."),
            ],
        )

    @classmethod
    @checked
    def execute(cls, positive: list, negative: list, strength: float, given_frames: str) -> io.NodeOutput:
        return io.NodeOutput(
            soften(positive, strength, given_frames, "positive"), soften(negative, strength, given_frames, "negative")
        )
