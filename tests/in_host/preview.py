"""What the host's own latent preview shows of a clip."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import comfy.utils
import latent_preview
import server
import torch
from comfyui_seine.comfy_adapter import files, loading, preview
from comfyui_seine.seine_model.checkpoint import LATENT_RGB_KEY, read_checkpoint
from safetensors.torch import save_file


class Browser:
    """Stands where the server is while a browser is connected."""

    client_id = "browser"

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send_sync(self, event: str, data: dict[str, Any], client: str) -> None:
        self.sent.append([event, data, client])


class OtherPreviewer(latent_preview.LatentPreviewer):
    """As VideoHelperSuite wraps the host's: it plays the clip itself, and decodes the frames that are due."""

    def __init__(self, previewer: Any) -> None:
        self.factors, self.bias = previewer.latent_rgb_factors, previewer.latent_rgb_factors_bias
        self.latent_rgb_factors_reshape = getattr(previewer, "latent_rgb_factors_reshape", None)

    def decode_latent_to_preview(self, x0: torch.Tensor) -> torch.Tensor:
        if self.latent_rgb_factors_reshape is not None:
            x0 = self.latent_rgb_factors_reshape(x0)
        return torch.nn.functional.linear(x0.movedim(1, -1), self.factors, self.bias)


def shown(patcher: Any, browser: Browser, chosen: str) -> list[list[int]]:
    """Step, steps and width of what a sampler's callback sends, with this choice in the interface's settings."""
    sent = []
    browser.prompt_queue = SimpleNamespace(currently_running={0: (0, "id", {}, {"preview_method": chosen}, [])})
    latent_preview.set_preview_method(chosen)

    def hook(value: int, total: int, picture: Any, **_: Any) -> None:
        sent.append([value, total, 0 if picture is None else picture[1].width])

    comfy.utils.set_progress_bar_global_hook(hook)
    latents = torch.zeros(6, 4, 8, 16)
    preview.prepare_callback(patcher, 3)(0, latents, None, 3)
    preview.with_preview(latent_preview.prepare_callback(patcher, 3), patcher)(1, latents, None, 3)
    comfy.utils.set_progress_bar_global_hook(None)
    return sent


def main() -> dict[str, Any]:
    files.register_folder()
    bundle = files.model_path("sample.safetensors")
    tensors, metadata = read_checkpoint(bundle)
    colours = [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [0, 0, 0], [0, 0, 0]]
    with_colours = bundle.with_name("own-colours.safetensors")
    save_file(tensors, with_colours, metadata | {LATENT_RGB_KEY: json.dumps(colours)})

    browser = Browser()
    server.PromptServer.instance = browser
    clip = -torch.ones(6, 4, 8, 16)
    clip[4, 0] = 1.0  # the fifth frame is red
    patcher = loading.load_model(with_colours)
    model = patcher.model
    latent_preview.args.preview_method = latent_preview.LatentPreviewMethod.Latent2RGB
    _, picture, _ = latent_preview.get_previewer("cpu", model.latent_format).decode_latent_to_preview_image(
        "JPEG", clip
    )
    theirs = OtherPreviewer(latent_preview.get_previewer("cpu", model.latent_format))
    played = [theirs.decode_latent_to_preview(clip[first : first + 2]) for first in (0, 2, 4)]
    announced = list(browser.sent)
    asked = {
        "nothing chosen": shown(patcher, browser, "default"),
        "none chosen": shown(patcher, browser, "none"),
        "chosen in the host": shown(patcher, browser, "latent2rgb"),
        "another sampler's callback": preview.with_preview(print, patcher) is print,
    }
    del server.PromptServer.instance
    grids = {frames: list(preview.frame_grid(torch.zeros(frames, 4, 8, 16)).shape) for frames in (1, 6, 16, 200)}
    return {
        "size": list(picture.size),
        "red": [index for index in range(6) if picture.getpixel((16 * (index % 2), 8 * (index // 2)))[0] > 200],
        "sent": announced,
        "grids": grids,
        "played": [[list(frames.shape), round(float(frames[0, 0, 0, 0]), 3)] for frames in played],
        "asked": asked,
        "without": loading.load_model(bundle).model.latent_format.latent_rgb_factors_bias is None,
    }
