"""The small model's text encoder: CLIP's, two layers deep, taught to say what a caption is about.

Trained before the UNet and then fixed: from any of the padding behind a caption, linear heads must read off every
property of the scene. The UNet so finds each property in directions of its own instead of having to learn English.
"""

from __future__ import annotations

import random
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from . import world

WIDTH, LAYERS, HEADS, TOKENS = 40, 2, 1, 77
VOCABULARY = 49408
NOTHING = "nothing"
PROPERTIES: dict[str, tuple[str, ...]] = {
    "colour": tuple(world.COLOURS),
    "shape": world.SHAPES,
    "ground_colour": tuple(world.GROUND_COLOURS),
    "ground": world.GROUNDS,
    "motion": tuple(world.MOTIONS),
    "speed": tuple(world.SPEEDS),
    "second_colour": tuple(world.COLOURS),
    "second_shape": world.SHAPES,
    "second_ground_colour": tuple(world.GROUND_COLOURS),
    "second_ground": world.GROUNDS,
}
BATCH = 128


def new_text_encoder() -> CLIPTextModel:
    geometry = {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "projection_dim": WIDTH}
    depth = {"num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "max_position_embeddings": TOKENS}
    tokens = {"vocab_size": VOCABULARY, "bos_token_id": VOCABULARY - 2, "eos_token_id": VOCABULARY - 1}
    return CLIPTextModel(CLIPTextConfig(**geometry, **depth, **tokens))


class Tokenizer:
    """Captions to token numbers [captions, 77], padded with end-of-text as the host pads them."""

    def __init__(self, folder: Path) -> None:
        """`folder` has CLIP's vocabulary: a ComfyUI's comfy/sd1_tokenizer."""
        self._tokenizer = CLIPTokenizer.from_pretrained(folder)

    def __call__(self, captions: list[str]) -> Tensor:
        end = VOCABULARY - 1
        numbers = [self._tokenizer(caption)["input_ids"][:TOKENS] for caption in captions]
        return torch.tensor([row + [end] * (TOKENS - len(row)) for row in numbers])


class Heads(nn.Module):
    """One linear classifier per property; the last class says that a caption does not mention it."""

    def __init__(self) -> None:
        super().__init__()
        self.of = nn.ModuleDict({name: nn.Linear(WIDTH, len(values) + 1) for name, values in PROPERTIES.items()})

    def loss(self, features: Tensor, labels: dict[str, Tensor]) -> Tensor:
        return sum(F.cross_entropy(head(features), labels[name]) for name, head in self.of.items())


class Reader(nn.Module):
    """The text encoder with the classifiers that teach it."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.heads = new_text_encoder(), Heads()

    def features(self, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """Of each caption the encoding of one place in the padding behind it, [captions, width]."""
        lengths = (tokens == VOCABULARY - 1).float().argmax(1)
        places = lengths + (torch.rand(len(tokens), generator=generator) * (TOKENS - lengths)).long()
        return self.encoder(tokens).last_hidden_state[torch.arange(len(tokens)), places]


def text_loss(reader: Reader, tokenizer: Tokenizer, seed: int) -> Tensor:
    """Cross entropy of reading the properties of some captions from the padding behind them."""
    captions, labels = captions_and_labels(seed, BATCH)
    features = reader.features(tokenizer(captions), torch.Generator().manual_seed(seed))
    return reader.heads.loss(features, labels)


def stored_weights(encoder: CLIPTextModel) -> dict[str, Tensor]:
    """The weights under CLIP's usual names, which newer versions of transformers shorten."""
    weights = {key.removeprefix("text_model."): value for key, value in encoder.state_dict().items()}
    return {f"text_model.{key}": value for key, value in weights.items() if not key.endswith("position_ids")}


def captions_and_labels(seed: int, count: int) -> tuple[list[str], dict[str, Tensor]]:
    """Captions, some of them empty or without the ground or the motion, and the class of each property."""
    rng = random.Random(f"captions {seed}")
    captions, rows = [], []
    for index in range(count):
        scene = world.scene(seed * 100_000 + index, style=world.VARIED)
        thing, ground = scene.look.words()
        said = _properties(scene)
        caption = scene.caption
        form = rng.random()
        if form < 0.04:
            caption, kept = "", ()
        elif form < 0.08:
            caption, kept = thing, ("colour", "shape")
        elif form < 0.16:
            caption, kept = f"{thing} over {ground}", ("colour", "shape", "ground_colour", "ground")
        else:
            kept = tuple(said)
        captions.append(caption)
        rows.append({name: said[name] if name in kept else NOTHING for name in said})
    labels = {
        name: torch.tensor([(*values, NOTHING).index(row[name]) for row in rows]) for name, values in PROPERTIES.items()
    }
    return captions, labels


def _properties(scene: world.Scene) -> dict[str, str]:
    values = {name: getattr(scene.look, name) for name in ("colour", "shape", "ground_colour", "ground")}
    values["motion"], values["speed"] = scene.motion, scene.speed or NOTHING
    second = scene.second
    values["second_colour"] = second.colour if second else NOTHING
    for name in ("shape", "ground_colour", "ground"):
        values[f"second_{name}"] = getattr(second, name) if scene.motion == "change" else NOTHING
    return values
