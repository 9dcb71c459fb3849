"""Files that cannot be finished: a disk that becomes full, a run that is cancelled, a folder that is none."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import comfy.model_management
import folder_paths
import torch
from comfyui_seine.comfy_adapter import gif, loading, video
from comfyui_seine.comfy_adapter.files import model_path, register_folder

NOISE = torch.rand(24, 128, 128, 3, generator=torch.Generator().manual_seed(0))
LATENTS = torch.randn(40, 4, 16, 16, generator=torch.Generator().manual_seed(0))


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """Files end after so many bytes, as on a disk that becomes full while they are written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def main() -> dict[str, Any]:
    register_folder()
    vae = loading.load_bundle(model_path("sample.safetensors"), None)[2]
    output = Path(folder_paths.get_output_directory())

    def save_gif(prefix: str) -> Callable[[], Any]:
        return lambda: gif.save_gif(NOISE, 8.0, prefix, True)

    def save_video(name: str) -> Callable[[], Any]:
        (output / "clips").mkdir(exist_ok=True)
        return lambda: video.latent_video(vae, LATENTS, 8.0, 4).save_to(str(output / "clips" / f"{name}.mp4"))

    def outcome(call: Callable[[], Any]) -> list[Any]:
        """The error, and which files are new."""
        before = {path for path in output.rglob("*") if path.is_file()}
        try:
            call()
            said = "done"
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        new = {path for path in output.rglob("*") if path.is_file()} - before
        return [said, sorted(str(path.relative_to(output)) for path in new)]

    report: dict[str, Any] = {}
    with full_disk(100_000):
        report["GIF, full disk"] = outcome(save_gif("clips/full"))
    with full_disk(10_000):
        report["video, full disk"] = outcome(save_video("full"))

    decode, calls = vae.first_stage_model.decode, []

    def cancelled_later(*given: Any, **options: Any) -> Any:
        calls.append(len(calls))
        comfy.model_management.interrupt_current_processing(len(calls) == 4)
        return decode(*given, **options)

    vae.first_stage_model.decode = cancelled_later
    report["video, cancelled"] = outcome(save_video("cancelled"))
    vae.first_stage_model.decode = decode
    quantize, frames = gif.Image.Image.quantize, []

    def cancelled_frame(*given: Any, **options: Any) -> Any:
        frames.append(len(frames))
        comfy.model_management.interrupt_current_processing(len(frames) == 4)
        return quantize(*given, **options)

    gif.Image.Image.quantize = cancelled_frame
    report["GIF, cancelled"] = outcome(save_gif("clips/cancelled"))
    report["frames until then"] = len(frames)
    gif.Image.Image.quantize = quantize
    (output / "file").write_bytes(b"")
    report["GIF, a file for a folder"] = outcome(save_gif("file/clip"))
    report["GIF, outside"] = outcome(save_gif("../../clip"))
    report["GIF"] = outcome(save_gif("clips/whole"))
    report["video"] = outcome(save_video("whole"))
    report["bytes"] = [path.stat().st_size for path in sorted((output / "clips").glob("whole*"))]
    return report
