from __future__ import annotations

from comfy_api.v0_0_2 import Input, io

from ..comfy_adapter.films.extending_files import FILE_DIRECTIONS, extend_file
from ..comfy_adapter.films.film import Settings
from ..comfy_adapter.sampling import require_keyframes
from .checked import checked
from .sampling_inputs import window_inputs


class SEINEExtendVideoFile(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SEINEExtendVideoFile",
            display_name="SEINE Extend Video File",
            category="SEINE",
            description=(
                "Continue a video file of any length, from Load Video to Save Video: only its last frames are decoded, "
                "new ones are made from them and added, and the rest, with its sound, is copied as it is."
            ),
            search_aliases=[
                *("seine extend file", "extend mp4", "extend video file", "continue video", "video to video"),
                *("lengthen video", "loop video", "续写视频", "延长视频文件", "视频续写"),
            ],
            inputs=[
                io.Model.Input("model", tooltip="SEINE."),
                io.Conditioning.Input("positive", tooltip="What the new frames show: the prompt alone."),
                io.Conditioning.Input("negative", tooltip="What to avoid; an empty prompt is the usual choice."),
                io.Vae.Input("vae", tooltip="The VAE that goes with the model."),
                io.Video.Input("video", tooltip="The video, from Load Video or any node that gives one."),
                io.Combo.Input(
                    "direction",
                    options=list(FILE_DIRECTIONS),
                    default="after",
                    tooltip=(
                        "Where the new frames go: after the video, before it, or after it and back to its start (loop)."
                    ),
                ),
                io.Int.Input(
                    "frames",
                    default=32,
                    min=1,
                    max=100000,
                    tooltip="How many frames to make. They have the video's frame rate: 30 may be one second.",
                ),
                io.Int.Input(
                    "width",
                    default=512,
                    min=8,
                    max=8192,
                    step=8,
                    tooltip=(
                        "With height: how many pixels new frames are made at, in the shape of the video. They are then "
                        "scaled to its size; a video with fewer is continued at its own."
                    ),
                ),
                io.Int.Input("height", default=320, min=8, max=8192, step=8, tooltip="See width."),
                *window_inputs(),
            ],
            outputs=[
                io.Video.Output(
                    tooltip="The video and its new frames, for Save Video. They are decoded while it is saved."
                )
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
        video: Input.Video,
        direction: str,
        frames: int,
        width: int,
        height: int,
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        window: int,
        overlap: int,
    ) -> io.NodeOutput:
        require_keyframes(model)  # before anything is read
        settings = Settings(steps, cfg, sampler_name, scheduler, window, overlap)
        return io.NodeOutput(
            extend_file(model, vae, positive, negative, video, direction, frames, (width, height), seed, settings)
        )
