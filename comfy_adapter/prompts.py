"""Prompts per frame: made from a script, and brought to the rows of a batch from whatever made them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..seine_model.prompt_travel import parse_prompt_travel, weights


def prompt_rows(embeddings: Tensor, frames: int, videos: int) -> Tensor:
    """A prompt's embeddings ``[n, tokens, width]`` for a batch of clips: one for all rows, or one for each row.

    n may be one for all, one for each frame of a clip (more are cut off, as the host does), for each row of the batch,
    or for each clip. Rows that are all alike are one. Raises ValueError for any other number.
    """
    given, rows = len(embeddings), frames * videos
    if given == 1 or torch.equal(embeddings, embeddings[:1].expand_as(embeddings)):
        return embeddings[:1]
    if given == rows:
        return embeddings
    if given >= frames:
        return embeddings[:frames].repeat(videos, 1, 1)
    if given == videos:
        return embeddings.repeat_interleave(frames, 0)
    raise ValueError(
        f"positive, negative: a prompt has {given} embeddings, the clip has {frames} frames: give one embedding for "
        "all of them, or one for each frame"
    )


def travel(clip: Any, script: str, frames: int, blend: bool) -> list:
    """CONDITIONING with an embedding for each frame ``[frames, tokens, width]``, see `parse_prompt_travel`.

    A CLIP whose hooks are scheduled encodes anew for each of its ranges of the steps: there is an entry for each.
    """
    prompts = parse_prompt_travel(script, frames)
    encoded = [clip.encode_from_tokens_scheduled(clip.tokenize(prompt.prompt)) for prompt in prompts]
    shares = [weights(prompts, frame, blend) for frame in range(frames)]
    # The ranges are the CLIP's, so all prompts have the same.
    return [
        [_per_frame([part[0] for part in parts], shares), dict(parts[0][1])] for parts in zip(*encoded, strict=True)
    ]


def _per_frame(embeddings: list[Tensor], shares: list[list[tuple[int, float]]]) -> Tensor:
    """Embeddings ``[1, tokens, width]`` of prompts as one for each frame, by the shares that it has of them."""
    # Repeated tokens change nothing for attention: prompts of several lengths become one.
    tokens = math.lcm(*(embedding.shape[1] for embedding in embeddings))
    alike = [embedding.repeat(1, tokens // embedding.shape[1], 1) for embedding in embeddings]
    return torch.cat([sum(alike[index] * share for index, share in mixed) for mixed in shares])
