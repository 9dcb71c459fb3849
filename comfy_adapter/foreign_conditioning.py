"""What nodes for other models put into conditioning, and SEINE does not read: said, instead of silently nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PICTURES = "SEINE takes pictures by SEINE Image to Video"
_SOUND = "SEINE makes pictures alone"
_FOREIGN = {
    **dict.fromkeys(
        [
            *("concat_latent_image", "concat_mask", "concat_image", "concat_mask_index", "reference_latents"),
            *("reference_latents_text_embeds", "unclip_conditioning", "clip_vision_output", "clip_vision_outputs"),
            *("clip_vision_output_ref", "context_latents", "keyframe_idxs", "vace_frames", "vace_mask"),
            *("control_video", "pose_video_latent", "face_video_pixels", "reference_motion", "minimax_keyframes"),
            *("minimax_refs", "lq_latent", "stable_cascade_prior", "time_dim_concat", "time_dim_replace"),
            *("driving_mask_28ch", "ref_mask_28ch", "reference_latents_method", "ref_latent", "camera_conditions"),
        ],
        _PICTURES,
    ),
    **dict.fromkeys(
        [
            *("audio_embed", "ref_audio", "reference_audio_timbre_latents", "lyrics_strength"),
            *("seconds_start", "seconds_total"),
        ],
        _SOUND,
    ),
    "frame_rate": "SEINE's clips have no rate until a video is saved: choose it there",
    "guidance": "SEINE is guided by the cfg of its sampler",
}
"""Keys that core's nodes set, and what to do instead."""


def check_foreign_conditioning(conditioning: Mapping[str, Any]) -> None:
    """Raises ValueError for a prompt that carries what only another model reads."""
    for key, instead in _FOREIGN.items():
        if conditioning.get(key) is not None:
            raise ValueError(
                f"positive, negative: a node for another model put {key} into a prompt, which SEINE does not read: "
                f"take that node out. {instead}."
            )
