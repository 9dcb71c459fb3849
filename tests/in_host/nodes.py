"""Our nodes called with tensors no stock node would make."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Any

import torch
from comfyui_seine.comfy_adapter import decoding, files, keyframes, loading
from comfyui_seine.nodes import mask as nodes
from comfyui_seine.seine_model.checkpoint import GRAY_LATENT_KEY, read_checkpoint
from comfyui_seine.seine_model.masks import frame_mask
from safetensors.torch import save_file


def main() -> dict[str, Any]:
    files.register_folder()
    _model, clip, vae = loading.load_bundle(files.model_path("sample.safetensors"), None)
    calls: list[int] = []

    class CountingVAE:
        def encode(self, pixels: torch.Tensor) -> torch.Tensor:
            calls.append(pixels.shape[0])
            return vae.encode(pixels)

        def decode(self, samples: torch.Tensor) -> torch.Tensor:
            calls.append(samples.shape[0])
            return vae.decode(samples)

    def message(action: Callable[[], Any]) -> str:
        try:
            action()
        except ValueError as error:
            return str(error)
        return "no error"

    images = torch.rand(2, 40, 72, 3)
    bad = images.clone()
    bad[1, 0, 0, 0] = float("nan")
    keyframes.encode_keyframes(CountingVAE(), frame_mask("onelast3", 16), {"keyframes": images}, 72, 40, "stretch")
    encoded, _ = list(calls), calls.clear()
    decoding.decode_frames(CountingVAE(), torch.zeros(10, 4, 5, 9), 4)
    broken = torch.zeros(2, 4, 5, 9)
    broken[0] = float("nan")
    mask = frame_mask("onelast1", 4)
    rgba = torch.rand(2, 40, 72, 4)
    bundle = files.model_path("sample.safetensors")
    tensors, metadata = read_checkpoint(bundle)
    own_gray = bundle.with_name("own-gray.safetensors")
    save_file(tensors, own_gray, metadata | {GRAY_LATENT_KEY: "[0.5, -1.0, 0.25, 0.0]"})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    long_mask = nodes.SEINEMaskBuilder.execute("first frames", 1, "", 4096, 1024, 576).args[0]
    kept = keyframes.frame_values(long_mask)
    long_clip = keyframes.attach(
        [[torch.zeros(1, 77, 64), {}]], kept, torch.zeros(1, 4, 72, 128).expand(4096, -1, -1, -1)
    )
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024
    return {
        "long mask": [list(long_mask.shape), kept.tolist().count(0.0), len(long_clip), grown],
        "gray latents": [list(loading.load_model(path).model.gray_latent) for path in (bundle, own_gray)],
        "encoded at once": encoded,
        "decoded at once": list(calls),
        "NaN keyframe": message(lambda: keyframes.encode_keyframes(vae, mask, {"keyframes": bad}, 72, 40, "stretch")),
        "NaN latent": message(lambda: decoding.decode_frames(vae, broken, 4)),
        "video latent": message(lambda: decoding.decode_frames(vae, torch.zeros(1, 4, 2, 5, 9), 4)),
        "RGBA": list(keyframes.encode_keyframes(vae, mask, {"keyframes": rgba}, 72, 40, "stretch").shape),
        "text": list(clip.encode_from_tokens(clip.tokenize("a red ball")).shape),
    }
