"""SEINE's schedule as this host sees it in the MODEL."""

from __future__ import annotations

from typing import Any

from comfyui_seine.comfy_adapter import loading, sampling
from comfyui_seine.comfy_adapter.files import model_path, register_folder


def main() -> dict[str, Any]:
    register_folder()
    model = loading.load_model(model_path("sample.safetensors"))
    sampling_of = model.model.model_sampling
    sigmas = sampling.seine_sigmas(model, 10)
    return {
        "sigma max": float(sampling_of.sigma_max),
        "sigma min": float(sampling_of.sigma_min),
        "timesteps": sampling_of.timestep(sigmas[:-1]).tolist(),
        "last": float(sigmas[-1]),
        "half": len(sampling.seine_sigmas(model, 10, 0.5)),
        "names": [sampling.sampler_names()[-1], sampling.scheduler_names()[0]],
        "stock lengths": [
            len(sampling.sigmas_for(model, name, scheduler, 5, 1.0))
            for name, scheduler in (("euler", "normal"), ("dpm_2", "karras"), ("seine_ddpm", "normal"))
        ],
    }
