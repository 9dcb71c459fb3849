"""The architecture's parameters, in the reference's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

ROTARY_DIM = 32
"""Leading dimensions of each temporal head that are rotated; a head cannot be narrower."""

KEYFRAME_CHANNELS, TEXT_ONLY_CHANNELS = 9, 4
"""What SEINE reads: noisy latents, mask, latents of kept frames; and what LaVie's base model does."""

_LEVELS = 4
_ARCHITECTURE = {
    "center_input_sample": False,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "down_block_types": ("CrossAttnDownBlock3D", "CrossAttnDownBlock3D", "CrossAttnDownBlock3D", "DownBlock3D"),
    "mid_block_type": "UNetMidBlock3DCrossAttn",
    "up_block_types": ("UpBlock3D", "CrossAttnUpBlock3D", "CrossAttnUpBlock3D", "CrossAttnUpBlock3D"),
    "only_cross_attention": False,
    "downsample_padding": 1,
    "mid_block_scale_factor": 1,
    "act_fn": "silu",
    "norm_eps": 1e-5,
    "dual_cross_attention": False,
    "use_linear_projection": False,
    "class_embed_type": None,
    "num_class_embeds": None,
    "upcast_attention": False,
    "resnet_time_scale_shift": "default",
    "use_first_frame": False,
    "use_relative_position": False,
}
"""Reference options that SEINE fixes: any other value would be another network."""
_LARGEST = {
    "in_channels": 64,
    "out_channels": 64,
    "block_out_channels": 8192,
    "layers_per_block": 8,
    "attention_head_dim": 256,
    "cross_attention_dim": 8192,
    "norm_num_groups": 1024,
}
"""Far beyond the published model, and still built, without weights, in seconds."""


@dataclass(frozen=True)
class SeineConfig:
    """Widths and depths of a SEINE UNet; the defaults are the published model (909 M parameters).

    With 4 ``in_channels`` it is the UNet of LaVie's base model (arXiv 2309.15103), of which SEINE's was made: it reads
    noisy latents alone, no mask and no kept frames.

    ``attention_head_dim`` is the **number** of heads, as in the reference. Raises ValueError where the values cannot
    form a network.
    """

    in_channels: int = 9
    out_channels: int = 4
    block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280)
    layers_per_block: int = 2
    attention_head_dim: int = 8
    cross_attention_dim: int = 768
    norm_num_groups: int = 32

    def __post_init__(self) -> None:
        if not isinstance(self.block_out_channels, (list, tuple)) or len(self.block_out_channels) != _LEVELS:
            raise ValueError(f"block_out_channels: give {_LEVELS} widths, not {_shown(self.block_out_channels)}")
        object.__setattr__(self, "block_out_channels", tuple(self.block_out_channels))
        for field in fields(self):
            values, most = getattr(self, field.name), _LARGEST[field.name]
            for value in values if isinstance(values, tuple) else (values,):
                if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                    raise ValueError(f"{field.name}: give positive integers, not {_shown(values)}")
                if value > most:
                    raise ValueError(f"{field.name}: give {most} at most, not {_shown(values)}")
        for width in self.block_out_channels:
            if width % self.norm_num_groups:
                raise ValueError(
                    f"block_out_channels: {width} is not divisible into {self.norm_num_groups} norm groups: change it"
                )
            if width % self.attention_head_dim or width // self.attention_head_dim < ROTARY_DIM:
                raise ValueError(
                    f"block_out_channels: {width} with {self.attention_head_dim} heads: give each head the same whole "
                    f"number of dimensions, at least {ROTARY_DIM}"
                )

    @property
    def reads_keyframes(self) -> bool:
        """Whether the network is told which frames are given, and what they show."""
        return self.in_channels == KEYFRAME_CHANNELS

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SeineConfig:
        """Read a dict in the reference's key names (its ``config.json``); unknown keys are ignored.

        Raises ValueError for an option that would make a different network than SEINE.
        """
        if not isinstance(values, Mapping):
            raise ValueError(f"seine_config: give an object of names and values, not {_shown(values)}")
        for key, expected in _ARCHITECTURE.items():
            value = values.get(key, expected)
            if (tuple(value) if isinstance(value, list) else value) != expected:
                raise ValueError(f"{key} = {_shown(value)} is not SEINE's architecture: use {expected!r}")
        names = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in values.items() if key in names})

    def to_dict(self) -> dict[str, Any]:
        """The same values as plain JSON types."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def _shown(value: Any) -> str:
    """The value in a message, short whatever it is."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
