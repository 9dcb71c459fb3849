"""The files that the workflows name, and where they are published."""

from __future__ import annotations

from dataclasses import asdict, dataclass

HUB = "https://huggingface.co"


@dataclass(frozen=True)
class ModelFile:
    """A file, where it is published, and its folder in models/, as the interface's download hints have it."""

    name: str
    url: str
    directory: str

    def hint(self) -> dict[str, str]:
        return asdict(self)

    def link(self) -> str:
        """For a note: the download, and where it goes."""
        return f"[{self.name}]({self.url}) → **models/{self.directory}**"


SEINE = ModelFile("seine.pt", f"{HUB}/xinyuanc91/SEINE/resolve/main/seine.pt", "seine")
BASE = ModelFile(
    "v1-5-pruned-emaonly-fp16.safetensors",
    f"{HUB}/Comfy-Org/stable-diffusion-v1-5-archive/resolve/main/v1-5-pruned-emaonly-fp16.safetensors",
    "checkpoints",
)
UPSCALER = ModelFile(
    "RealESRGAN_x4plus.safetensors",
    f"{HUB}/Comfy-Org/Real-ESRGAN_repackaged/resolve/main/RealESRGAN_x4plus.safetensors",
    "upscale_models",
)
INTERPOLATOR = ModelFile(
    "film_net_fp16.safetensors",
    f"{HUB}/Comfy-Org/frame_interpolation/resolve/main/frame_interpolation/film_net_fp16.safetensors",
    "frame_interpolation",
)

SMALL_MODEL, SMALL_LORA = "seine-small.safetensors", "seine-small-few-steps.safetensors"
"""What the pack brings, in models/ and loras/."""
SMALL_SIZE, SMALL_CFG, SMALL_ENLARGED = 64, 2.0, 4
"""What the small model was trained at, the guidance that suits it, and how much its clips are enlarged to be seen."""
