"""A quick look at how good a small UNet's clips are, without a host: seconds on a GPU, a minute on a CPU.

`benchmarks/small_model.py` measures the same on the nodes' own clips, which is what counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seine_model import SeineUNet3D
from seine_model.diffusion import ddim_sample
from seine_model.masks import frame_mask
from tools.training.batches import masked_latents

from . import measures, world
from .autoencoder import Autoencoder
from .bundle import Parts
from .recipe import HELD_OUT, gray_latents
from .text_encoder import Tokenizer

MASKS = {"image to video": "first1", "transition": "onelast1", "text to video": "all"}
MOTIONS = ("left", "right", "up", "down", "grow", "shrink")


@dataclass(frozen=True)
class Trial:
    """Held-out scenes, encoded: scenes, their frames [n, frames, 3, H, W], latents [n, 4, frames, h, w], contexts."""

    autoencoder: Autoencoder
    scenes: list[world.Scene]
    truth: Tensor
    latents: Tensor
    gray: Tensor
    contexts: Tensor
    empty: Tensor

    def clips(self, unet: SeineUNet3D, task: str, timesteps: Sequence[int], cfg: float = 1.0, seed: int = 0) -> Tensor:
        """Sampled by DDIM at these timesteps: [n, frames, 3, H, W], on the CPU."""
        device = next(unet.parameters()).device
        mask = frame_mask(MASKS[task], world.FRAMES).expand(len(self.scenes), -1)
        masked = masked_latents(self.latents, mask, self.gray[:1])
        given = torch.cat((mask[:, None, :, None, None].expand_as(masked[:, :1]), masked), 1).to(device)
        noise = torch.randn(self.latents.shape, generator=torch.Generator().manual_seed(seed)).to(device)
        contexts = self.contexts.to(device)
        if cfg != 1:
            contexts = torch.cat((contexts, self.empty.to(device).expand_as(contexts)))

        def eps(x: Tensor, t: Tensor) -> Tensor:
            sample = torch.cat((x, given), 1)
            if cfg == 1:
                return unet(sample, t, contexts)
            asked, unasked = unet(sample.repeat(2, 1, 1, 1, 1), t.repeat(2), contexts).chunk(2)
            return torch.lerp(unasked, asked, cfg)

        with torch.inference_mode():
            made = ddim_sample(eps, noise, torch.tensor(list(timesteps)))
            return torch.stack([self.autoencoder.decode(clip.transpose(0, 1)).cpu() for clip in made])

    def judged(self, clips: Tensor, task: str) -> dict[str, float]:
        """Shares of the clips that move, and show colour and shape, as asked; dB of given frames; smoothness."""
        pairs = list(zip(clips, self.scenes, strict=True))
        seen = [(measures.look_at(clip[len(clip) // 2]), scene.look) for clip, scene in pairs]
        found = {
            "motion": _mean([measures.motion(clip, scene.look.colour) == scene.motion for clip, scene in pairs]),
            "look": _mean([s is not None and (s.colour, s.shape) == (look.colour, look.shape) for s, look in seen]),
            "smoothness": _mean([measures.smoothness(clip) for clip in clips]),
        }
        for name, index, tasks in (("first", 0, ("image to video", "transition")), ("last", -1, ("transition",))):
            if task in tasks:
                frames = zip(clips[:, index], self.truth[:, index], strict=True)
                found[name] = _mean([measures.psnr(made, real) for made, real in frames])
        return found


@torch.inference_mode()
def trial(parts: Parts, tokenizer: Tokenizer, scenes: int, device: str = "cpu") -> Trial:
    """The scenes that the benchmark takes; moves the VAE to `device`."""
    chosen = [world.scene(HELD_OUT + index, MOTIONS) for index in range(scenes)]
    truth = torch.stack([world.render(scene) for scene in chosen])
    gray, autoencoder = gray_latents(parts.autoencoder), parts.autoencoder.to(device)
    latents = torch.stack([autoencoder.encode(clip.to(device)).transpose(0, 1).cpu() for clip in truth])

    def read(captions: list[str]) -> Tensor:
        return parts.reader.encoder(tokenizer(captions)).last_hidden_state

    return Trial(autoencoder, chosen, truth, latents, gray, read([scene.caption for scene in chosen]), read([""]))


def _mean(values: Sequence[float]) -> float:
    return sum(map(float, values)) / len(values)
