"""Where a host may look into, or change, a forward pass. The UNet calls these; by default nothing happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from .layers import Attention
    from .temporal import FramePositions, TemporalAttention


class Hooks:
    """Override what you need. Feature maps are ``[videos*frames, channels, h, w]``.

    Block positions are those of Stable Diffusion 1.x: ``("input", 0..11)``, ``("middle", 0)``, ``("output", 0..11)``.
    """

    per_frame_text = False
    """True: cross-attention goes through `attention` frame by frame. The text may then differ from frame to frame."""

    frame_distance = 1.0
    """How far apart neighbouring frames are in the rotary positions of temporal attention."""

    def enter(self, kind: str, index: int) -> None:
        """The blocks called from here on belong to this position."""

    def time_embedding(self, embedding: Tensor) -> Tensor:
        """After the time embedding, ``[videos, 4*width]``; may return one for each frame."""
        return embedding

    def after_input(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """After each input block; returns what goes on and what is kept for the skip connection."""
        return h, h

    def after_middle(self, h: Tensor) -> Tensor:
        return h

    def before_output(self, h: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
        """Before each output block joins its skip connection."""
        return h, skip

    def attention(self, name: str, attn: Attention, x: Tensor, context: Tensor | None) -> Tensor:
        """``attn1`` (self) and ``attn2`` (text): tokens ``[batch, tokens, width]``, context None for self-attention."""
        return attn(x, context)

    changes_between = False
    """Whether `between_attentions` is asked; where nothing is done there, one pass over the tokens does more."""

    def between_attentions(self, x: Tensor, heads: int) -> Tensor:
        """Tokens between self- and cross-attention, which have so many heads."""
        return x

    def temporal_attention(self, attn: TemporalAttention, x: Tensor, positions: FramePositions) -> Tensor:
        """``[videos, pixels, frames, width]``."""
        return attn(x, positions)


NO_HOOKS = Hooks()

AttentionFunction = Callable[..., Tensor]
"""``attention(q, k, v, heads, **options)``: ``[batch, tokens, heads*dim]`` to the same shape as q."""
