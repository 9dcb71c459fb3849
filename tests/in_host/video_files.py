"""Video files continued by what the node is made of, and by the node; what was written is looked at by the test."""

from __future__ import annotations

import gc
import io
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import folder_paths
import numpy as np
import torch
from comfy_api.v0_0_2 import InputImpl, Types
from comfyui_seine.comfy_adapter import files, loading
from comfyui_seine.comfy_adapter.video_files import joining, reading
from comfyui_seine.nodes.film_file import SEINEExtendVideoFile

from nodes import CLIPTextEncode

SAMPLING = {"seed": 3, "steps": 2, "cfg": 2.0, "sampler_name": "ddim", "scheduler": "seine", "window": 8, "overlap": 3}


class Repeated:
    """A file's own first, or last, frame in the place of new ones: what is beside it should look the same."""

    def __init__(self, source: str, before: bool, count: int) -> None:
        read = reading.first_frames if before else reading.last_frames
        self.frames = [read(source, 1)[0][0]] * count

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter(self.frames)


def joined(source: str, target: str, before: bool, file_format: str, new: int) -> dict[str, Any]:
    """The file with its own first, or last, frame some more times; whether that could be, and how it looks then."""
    read = reading.first_frames if before else reading.last_frames
    known, look = read(source, 3)
    if not joining.can_join(source, file_format):
        return {"joined": False}
    repeated = [known[0 if before else -1]] * new
    joining.join(source, repeated, before, look, Path(target), file_format, {"prompt": {"a": 1}})
    # From the new frames back to the file's own, in one decoder: each needs its own parameter sets.
    with av.open(target) as container:
        first = next(container.decode(video=0)).to_ndarray(format="rgb24")
        last = list(container.decode(video=0))[-1].to_ndarray(format="rgb24")
        container.seek(0)
        again = next(container.decode(video=0)).to_ndarray(format="rgb24")
    seeks = bool(np.array_equal(first, again)) and not np.array_equal(first, last)
    return {"joined": True, "same look": reading.last_frames(target, 1)[1] == look, "seeks": seeks}


def main(
    joins: list[list[Any]],
    plain: str,
    phone: str,
    others: dict[str, str],
    wrong: dict[str, str],
    lengths: list[str],
    folder: str,
    new: int,
) -> dict[str, Any]:
    """joins: arguments of `joined`; lengths: a short file and a long one; the rest: files, and a folder to write to."""
    files.register_folder()
    av.logging.set_level(av.logging.ERROR)
    place = Path(folder)
    model, clip, vae = loading.load_bundle(files.model_path("sample.safetensors"), None)
    positive, negative = (CLIPTextEncode().encode(clip, text)[0] for text in ("a red ball", ""))

    def extended(source: Any, **inputs: Any) -> Any:
        video = InputImpl.VideoFromFile(source) if isinstance(source, str) else source
        known = {"positive": positive, "negative": negative, "vae": vae, "width": 64, "height": 64} | SAMPLING
        known |= {"direction": "after", "frames": new, "video": video}
        return SEINEExtendVideoFile.execute(model=model, **(known | inputs)).args[0]

    def saved(video: Any, name: str, **options: Any) -> str:
        video.save_to(str(place / name), **options)
        return str(place / name)

    def message(action: Callable[[], Any]) -> str:
        try:
            action()
        except ValueError as error:
            return str(error)
        return "no error"

    # First, before anything else has raised the peak of memory.
    report: dict[str, Any] = {"long": _of_a_long_file(*lengths, extended, saved)}
    report["joins"] = [joined(*arguments, new) for arguments in joins]
    for direction in ("after", "before", "loop"):
        video = extended(plain, direction=direction)
        saved(video, f"{direction}.mp4", metadata={"prompt": {"b": 2}})
        report[direction] = [video.get_frame_count(), video.get_duration(), str(video.get_frame_rate())]
    video = extended(plain, direction="before")
    parts = video.get_components()
    report["components"] = [list(parts.images.shape), list(parts.audio["waveform"].shape), parts.audio["sample_rate"]]
    silent = round(parts.audio["sample_rate"] * new / video.get_frame_rate())
    report["silence"] = float(parts.audio["waveform"][..., :silent].abs().max())
    report["trimmed"] = len(video.as_trimmed(0.0, 0.4, False).get_components().images)
    file = io.BytesIO()
    video.save_to(file, format=Types.VideoContainer("mp4"))
    (place / "in memory.mp4").write_bytes(file.getvalue())
    saved(extended(video), "twice.mp4")
    video = extended(phone)
    saved(video, "phone.mp4")
    report["phone"] = list(video.get_components().images.shape)

    for name, other in others.items():
        for before in (False, True):
            made = extended(other, direction="before" if before else "after")
            made.frames = Repeated(other, before, new)
            saved(made, f"re-encoded {name} {before}.mp4")
    saved(extended(InputImpl.VideoFromFile(plain, start_time=0.4, duration=0.8)), "cut.mp4")
    images = torch.linspace(0, 1, 6).view(6, 1, 1, 1).expand(6, 48, 64, 3)
    drawn = InputImpl.VideoFromComponents(Types.VideoComponents(images=images, frame_rate=parts.frame_rate))
    saved(extended(drawn), "drawn.mp4")
    saved(extended(plain), "small.mp4", format="mp4", codec="h264", crf=40)
    del drawn, video
    gc.collect()
    report["left over"] = [path.name for path in place.iterdir() if path.name.startswith(".")]
    report["in temp"] = [path.name for path in Path(folder_paths.get_temp_directory()).glob("*.mp4")]
    report["errors"] = {name: message(lambda path=path: extended(path)) for name, path in wrong.items()}
    report["errors"] |= {
        "short loop": message(lambda: extended(wrong["short"], direction="loop")),
        "none": message(lambda: extended(7)),
    }
    return report


def _of_a_long_file(short: str, long: str, extended: Callable[..., Any], saved: Callable[..., str]) -> dict[str, Any]:
    """Frames that are decoded while new ones are made, and until all is saved; how much higher than for a short file
    memory's peak is, in MB."""
    saved(extended(short), "not so long.mp4")
    decoded = []
    read = reading._decoded

    def counting(*arguments: Any) -> Any:
        for frame in read(*arguments):
            decoded.append(frame.pts)
            yield frame

    reading._decoded = counting
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    video = extended(long)
    while_making = len(decoded)
    saved(video, "long.mp4")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024
    reading._decoded = read
    return {"decoded": [while_making, len(decoded)], "grown": grown}
