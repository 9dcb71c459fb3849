"""The files that the workflows name, where they are published, and the step that loads them."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from tools.graph_formats import Step

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
        return f"[{self.name}]({self.url}) → `models/{self.directory}`"


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

SMALL_MODEL = "seine-small.safetensors"
SMALL_SIZE, SMALL_CFG, SMALL_ENLARGED = 64, 2.0, 4
"""What the small model was trained at, the guidance that suits it, and how much its clips are enlarged to be seen."""
SMALL_NOTE = """### Nothing to download
The pack brings this small model, so that the graph can be tried at once, without a GPU. It knows coloured shapes only:

- a **red, yellow, green, blue, purple** or **white**
- **ball, triangle, ring** or **cross**
- **moves left, right, up, down; grows; shrinks; spins; turns blue; stays still**
- over a **green, blue, brown, grey** or **pink field**, or over **stripes** or **tiles** of these colours

For anything else take the full model, 512x320 and cfg 8."""

FILES_NOTE = f"""### Files
- **SEINE**: {SEINE.link()}
- **Text encoder and VAE**, of Stable Diffusion 1.5 (or 1.4): {BASE.link()}

The pack's `tools/convert_checkpoint.py` makes one smaller file of both: choose it as *model_name*, and *bundled* as \
*base_name*."""

CHAIN_NOTE = f"""### Two more files
- **Upscaling**: {UPSCALER.link()}. It enlarges 4 times, of which half is kept.
- **Interpolation**: {INTERPOLATOR.link()}

Three in-between frames make 8 frames per second 32."""


def small_checkpoint_step() -> Step:
    """Load SEINE Checkpoint with the model that the pack brings."""
    inputs = {"model_name": SMALL_MODEL, "base_name": "bundled", "weight_dtype": "default"}
    return Step("SEINECheckpointLoader", (0, 60), (380, 130), inputs)


def checkpoint_step() -> Step:
    """Load SEINE Checkpoint with the published files."""
    inputs = {"model_name": SEINE.name, "base_name": BASE.name, "weight_dtype": "default"}
    return Step("SEINECheckpointLoader", (0, 60), (380, 130), inputs, models=(SEINE.hint(), BASE.hint()))
