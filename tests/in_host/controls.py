"""ControlNets that write down what they are given, on SEINE as core's ControlNetApplyAdvanced puts them there."""

from __future__ import annotations

from typing import Any

import torch
from comfy.context_windows import (
    ContextFuseMethods,
    ContextSchedules,
    IndexListContextHandler,
    get_matching_context_schedule,
    get_matching_fuse_method,
)
from comfy.controlnet import ControlLora, ControlNet
from comfyui_seine.comfy_adapter import files, keyframes, loading, sampling
from comfyui_seine.nodes.film import SEINEExtendVideo
from comfyui_seine.nodes.sampling import SEINEScheduler
from comfyui_seine.seine_model.masks import frame_mask
from torch import Tensor, nn

from nodes import CLIPTextEncode, ControlNetApplyAdvanced

SIZE = 8
SAMPLING = {"seed": 3, "steps": 4, "cfg": 1.0, "sampler_name": "ddim", "scheduler": "seine"}


class Recorder(nn.Module):
    """Adds nothing, and keeps timesteps, scale of the latents, and which frames' hints it saw (their values)."""

    dtype = torch.float32

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[float, float, list[int]]] = []

    def forward(self, x: Tensor, hint: Tensor, timesteps: Tensor, context: Tensor, **_: Any) -> dict[str, list]:
        shown = (hint.flatten(1).mean(1) * 1000).round().int().tolist()
        self.seen.append((float(timesteps[0]), float(x.std()), shown))
        return {"middle": [torch.zeros_like(x[:, :1, :1, :1])], "output": []}


def main() -> dict[str, Any]:
    files.register_folder()
    model, clip, vae = loading.load_bundle(files.model_path("sample.safetensors"), None)
    prompts = [CLIPTextEncode().encode(clip, text)[0] for text in ("a red ball", "")]
    recorder = Recorder()

    def controlled(frames: int, before: int = 0) -> list:
        """Both prompts, with hints whose values are the numbers of their frames, in thousandths."""
        hints = (torch.arange(frames) / 1000).view(-1, 1, 1, 1).expand(-1, 64, 64, 3)
        recorder.seen.clear()
        given = prompts
        for _ in range(1 + before):
            net = ControlNet(recorder, load_device=torch.device("cpu"))
            given = ControlNetApplyAdvanced().apply_controlnet(*given, net, hints, 1.0, 0.0, 1.0)
        return list(given)

    def clip_of(frames: int, given: list, chosen: Any = model) -> Tensor:
        gray = torch.zeros(frames, 4, SIZE, SIZE)
        conds = [keyframes.attach(cond, frame_mask("all", frames), gray) for cond in given]
        return sampling.sample(chosen, *conds, {"samples": gray}, **SAMPLING)["samples"]

    report: dict[str, Any] = {}
    plain = clip_of(4, prompts)
    same = clip_of(4, controlled(4))
    report["changes nothing"] = torch.equal(plain, same)
    report["timesteps"] = [round(timestep) for timestep, _, _ in recorder.seen]
    stable = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0)
    own = torch.cumprod(1 - torch.linspace(0.0001, 0.02, 1000, dtype=torch.float64), 0)
    sigmas = SEINEScheduler.execute(model, SAMPLING["steps"], 1.0).args[0][:-1].double()
    signal = 1 / (1 + sigmas**2)
    report["steps"] = [int((own - part).abs().argmin()) for part in signal]
    report["as noisy"] = [int((stable - part).abs().argmin()) for part in signal]
    report["as noisy as 500"] = int((stable - own[500]).abs().argmin())
    report["scale of what it sees"] = [scale for _, scale, _ in recorder.seen]
    report["frames"] = recorder.seen[0][2]

    windowed = model.clone()
    windowed.model_options["context_handler"] = IndexListContextHandler(
        context_schedule=get_matching_context_schedule(ContextSchedules.STATIC_STANDARD),
        fuse_method=get_matching_fuse_method(ContextFuseMethods.PYRAMID),
        context_length=8,
        context_overlap=2,
        context_stride=1,
        closed_loop=False,
        dim=0,
    )
    clip_of(14, controlled(14, before=1), windowed)
    report["in windows"] = sorted({tuple(shown) for _, _, shown in recorder.seen})
    clip_of(14, controlled(1), windowed)
    report["one hint in windows"] = sorted({tuple(shown) for _, _, shown in recorder.seen})

    def film(frames: int, direction: str, hints: int) -> list:
        given = controlled(hints)
        known = torch.zeros(3, 4, SIZE, SIZE)
        known[:, :, 0, 0] = hints + len(direction)  # a film of its own in the store
        SEINEExtendVideo.execute(
            model=model,
            positive=given[0],
            negative=given[1],
            vae=vae,
            direction=direction,
            frames=frames,
            window=8,
            overlap=2,
            latent={"samples": known},
            **SAMPLING,
        )
        return list(dict.fromkeys(tuple(shown) for _, _, shown in recorder.seen))

    report["film"] = {
        "after, all frames": film(9, "after", 12),
        "after, new frames": film(9, "after", 9),
        "before": film(5, "before", 8),
        "loop": film(5, "loop", 8),
    }
    for name, action in {
        "film of another length": lambda: film(9, "after", 7),
        "Control-LoRA": lambda: clip_of(4, [with_control_lora(prompts[0]), prompts[1]]),
    }.items():
        try:
            action()
            report[name] = "no error"
        except ValueError as error:
            report[name] = str(error)
    return report


def with_control_lora(prompt: list) -> list:
    control = ControlLora({"input_hint_block.0.weight": torch.zeros(16, 3, 3, 3)})
    control.set_cond_hint(torch.zeros(1, 3, 64, 64))
    return [[embedding, {**options, "control": control}] for embedding, options in prompt]
