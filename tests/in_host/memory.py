"""What happens when memory runs out: allocations above a limit fail as a GPU's do."""

from __future__ import annotations

from typing import Any
from unittest import mock

import comfy.model_management
import torch
from comfyui_seine.comfy_adapter import decoding, encoding, loading, sampling
from comfyui_seine.comfy_adapter.files import model_path, register_folder
from comfyui_seine.comfy_adapter.memory import OutOfMemory

WORDS = {
    "PyTorch's": torch.cuda.OutOfMemoryError("CUDA out of memory"),
    "cuBLAS's": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    "cuDNN's": RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    "no engine": RuntimeError("GET was unable to find an engine to execute this computation"),
}
"""How it is put that memory ran out; the last may mean something else."""
SIDE = 20
"""Of the latents; four of the smallest tiles cover them."""
SMALLEST_TILE = decoding.SMALLEST_TILE // 8


def main() -> dict[str, Any]:
    register_folder()
    model, clip, vae = loading.load_bundle(model_path("sample.safetensors"), None, torch.float32)
    report = decoded_in_pieces(vae) | encoded_in_pieces(vae) | sampled_in_pieces(model, clip)
    return report | {"unloads for it": comfy.model_management.is_oom(OutOfMemory("too large"))}


def lack(inner: Any, name: str, most: int, words: str = "PyTorch's") -> list[list[int]]:
    """Let the network inside the host's VAE fail as the device's allocator does; returns the shapes that are tried."""
    tried: list[list[int]] = []
    real = getattr(type(inner), name)

    def call(rows: torch.Tensor, *others: Any, **options: Any) -> torch.Tensor:
        tried.append(list(rows.shape))
        if len(rows) * rows.shape[-1] * rows.shape[-2] > most:
            raise WORDS[words]
        return real(inner, rows, *others, **options)

    setattr(inner, name, call)
    return tried


def decoded_in_pieces(vae: Any) -> dict[str, Any]:
    samples = torch.randn(6, 4, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    whole = decoding.decode_frames(vae, samples, 6)
    report: dict[str, Any] = {}
    tried = lack(vae.first_stage_model, "decode", 2 * SIDE**2)
    report["two frames fit"] = float((decoding.decode_frames(vae, samples, 6) - whole).abs().max())
    report["tries for two frames"] = tried
    tried = lack(vae.first_stage_model, "decode", SMALLEST_TILE**2)
    small = decoding.decode_frames(vae, samples, 6)
    report["tiles fit"] = [list(small.shape), float((small - whole).abs().mean())]
    report["tries for tiles"] = tried
    lack(vae.first_stage_model, "decode", 1)
    report["nothing fits"] = refusal(lambda: decoding.decode_frames(vae, samples, 6))
    report["no engine"] = []
    for most in (2 * SIDE**2, 1):
        lack(vae.first_stage_model, "decode", most, "no engine")
        report["no engine"].append(refusal(lambda: decoding.decode_frames(vae, samples, 6)))
    lack(vae.first_stage_model, "decode", 10**9)
    report["later"] = float((decoding.decode_frames(vae, samples, 6) - whole).abs().max())
    return report


def encoded_in_pieces(vae: Any) -> dict[str, Any]:
    images = torch.rand(6, 8 * SIDE, 8 * SIDE, 3, generator=torch.Generator().manual_seed(0))
    whole = encoding.encode_images(vae, images, "images")
    report: dict[str, Any] = {}
    tried = lack(vae.first_stage_model, "encode", 2 * (8 * SIDE) ** 2)
    report["two images fit"] = float((encoding.encode_images(vae, images, "images") - whole).abs().max())
    report["tries for two images"] = tried
    lack(vae.first_stage_model, "encode", 1)
    report["no image fits"] = refusal(lambda: encoding.encode_images(vae, images, "images"))
    lack(vae.first_stage_model, "encode", 1, "no engine")
    report["no engine to encode"] = refusal(lambda: encoding.encode_images(vae, images, "images"))
    lack(vae.first_stage_model, "encode", 10**9)
    return report


def refusal(call: Any) -> str:
    try:
        call()
    except OutOfMemory as error:
        return str(error)
    except RuntimeError as error:
        return f"as it was: {error}"
    return "none"


def sampled_in_pieces(model: Any, clip: Any) -> dict[str, Any]:
    positive, negative = ([[clip.encode_from_tokens(clip.tokenize(text)), {}]] for text in ("a red ball", ""))
    latent = {"samples": torch.zeros(4, 4, 8, 8)}
    settings = {"seed": 1, "steps": 3, "cfg": 5.0, "sampler_name": "ddim", "scheduler": "seine"}
    whole = sampling.sample(model, positive, negative, latent, **settings)["samples"]
    unet = model.model.diffusion_model.network
    real, tried = unet.forward_frames, []

    def limit(rows: int, words: str = "PyTorch's") -> None:
        def call(x: torch.Tensor, *others: Any) -> torch.Tensor:
            tried.append(len(x))
            if len(x) > rows:
                raise WORDS[words]
            return real(x, *others)

        unet.forward_frames = call

    report: dict[str, Any] = {}
    limit(4)
    halves = sampling.sample(model, positive, negative, latent, **settings)["samples"]
    report["one half at a time"] = float((halves - whole).abs().max() / whole.std())
    report["rows tried"] = list(tried)
    tried.clear()
    limit(8)
    sampling.sample(model, positive, negative, latent, **settings)
    report["rows when there is more memory"] = list(tried)
    with mock.patch.object(unet, "prepare") as prepared:
        sampling.sample(model, positive, negative, latent, **settings)
    report["begun"] = prepared.call_count
    limit(2)
    report["clip too large"] = refusal(lambda: sampling.sample(model, positive, negative, latent, **settings))
    for words in WORDS:
        found = report.setdefault("in other words", {})[words] = []
        for rows in (4, 2):
            limit(rows, words)
            said = refusal(lambda: sampling.sample(model, positive, negative, latent, **settings))
            found.append(said.partition(":")[0])
    unet.forward_frames = real
    return report
