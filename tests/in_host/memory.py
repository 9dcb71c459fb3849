"""What happens when memory runs out: allocations above a limit fail as a GPU's do."""

from __future__ import annotations

from typing import Any

import torch
from comfyui_seine.comfy_adapter import decoding, loading, sampling
from comfyui_seine.comfy_adapter.files import model_path, register_folder
from comfyui_seine.comfy_adapter.memory import OutOfMemory


def main() -> dict[str, Any]:
    register_folder()
    model, clip, vae = loading.load_bundle(model_path("sample.safetensors"), None, torch.float32)
    return decoded_in_pieces(vae) | sampled_in_pieces(model, clip)


def decoded_in_pieces(vae: Any) -> dict[str, Any]:
    samples = torch.randn(6, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    whole = decoding.decode_frames(vae, samples, 6)
    tried: list[tuple[str, int, int]] = []
    real = vae.decode, vae.decode_tiled

    def limited(kind: str, decode: Any, most: int) -> Any:
        def call(rows: torch.Tensor, tile_x: int = 0, **options: Any) -> torch.Tensor:
            tried.append((kind, len(rows), 8 * tile_x))
            if len(rows) * (tile_x or rows.shape[-1]) ** 2 > most:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")
            return decode(rows, **({"tile_x": tile_x} if tile_x else {}), **options)

        return call

    def run(most: int) -> torch.Tensor:
        tried.clear()
        vae.decode, vae.decode_tiled = limited("whole", real[0], most), limited("tiles", real[1], most)
        return decoding.decode_frames(vae, samples, 6)

    report: dict[str, Any] = {}
    report["two frames fit"] = float((run(2 * 32**2) - whole).abs().max())
    report["tries for two frames"] = list(tried)
    small = run(16**2)
    report["tiles fit"] = [list(small.shape), float((small - whole).abs().mean())]
    report["tries for tiles"] = list(tried)
    try:
        run(1)
    except OutOfMemory as error:
        report["nothing fits"] = str(error)
    vae.decode, vae.decode_tiled = real
    return report


def sampled_in_pieces(model: Any, clip: Any) -> dict[str, Any]:
    positive, negative = ([[clip.encode_from_tokens(clip.tokenize(text)), {}]] for text in ("a red ball", ""))
    latent = {"samples": torch.zeros(4, 4, 8, 8)}
    settings = {"seed": 1, "steps": 3, "cfg": 5.0, "sampler_name": "ddim", "scheduler": "seine"}
    whole = sampling.sample(model, positive, negative, latent, **settings)["samples"]
    unet = model.model.diffusion_model
    real, tried = unet.forward_frames, []

    def limit(rows: int) -> None:
        def call(x: torch.Tensor, *others: Any) -> torch.Tensor:
            tried.append(len(x))
            if len(x) > rows:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")
            return real(x, *others)

        unet.forward_frames = call

    report: dict[str, Any] = {}
    limit(4)
    halves = sampling.sample(model, positive, negative, latent, **settings)["samples"]
    report["one half at a time"] = float((halves - whole).abs().max() / whole.std())
    report["rows tried"] = list(tried)
    limit(2)
    try:
        sampling.sample(model, positive, negative, latent, **settings)
    except OutOfMemory as error:
        report["clip too large"] = str(error)
    unet.forward_frames = real
    return report
