"""The VIDEO that decodes while it is written, beside the host's own of all frames."""

from __future__ import annotations

import io
from typing import Any

import av
import torch
from comfy_api.v0_0_2 import InputImpl, Types
from comfyui_seine.comfy_adapter import files, loading, video
from torch import Tensor

FRAMES, SIZE, FPS = 11, 64, 12.5


def main() -> dict[str, Any]:
    files.register_folder()
    vae = loading.load_bundle(files.model_path("sample.safetensors"), None)[2]
    alive: list[int] = []

    class CountingVAE:
        def decode(self, samples: Tensor) -> Tensor:
            alive.append(len(samples))
            return vae.decode(samples)

    samples = torch.randn(FRAMES, 4, SIZE // 8, SIZE // 8, generator=torch.Generator().manual_seed(0))
    ours = video.latent_video(CountingVAE(), samples, FPS, 4)
    facts = {
        "size": list(ours.get_dimensions()),
        "frames": ours.get_frame_count(),
        "seconds": ours.get_duration(),
        "rate": str(ours.get_frame_rate()),
        "decoded for that": list(alive),
    }
    decoded = torch.cat([vae.decode(chunk) for chunk in samples.split(4)])
    stock = InputImpl.VideoFromComponents(Types.VideoComponents(images=decoded, frame_rate=ours.rate))
    written = [_frames(each) for each in (ours, stock)]
    facts["decoded at a time"], _ = list(alive), alive.clear()
    components = ours.get_components()
    sound = {"waveform": torch.sin(torch.arange(2 * 8000) / 10).expand(1, 2, -1), "sample_rate": 8000}
    loud = video.latent_video(CountingVAE(), samples, FPS, 4, sound)
    return facts | {
        "sound": [_sound(loud), loud.get_components().audio is sound, _sound(ours)],
        "written": [list(frames.shape) for frames in written],
        "difference": (written[0].float() - written[1].float()).abs().mean().item(),
        "components": [list(components.images.shape), str(components.frame_rate)],
        "components equal": torch.equal(components.images, decoded),
        "iterated": all(torch.equal(frame, other) for frame, other in zip(ours.frames, decoded, strict=True)),
        "again": list(_frames(ours).shape),
    }


def _sound(source: Any) -> list[Any] | None:
    """Channels and seconds of the saved video's sound."""
    file = io.BytesIO()
    source.save_to(file, format=Types.VideoContainer("mp4"))
    file.seek(0)
    with av.open(file) as container:
        if not container.streams.audio:
            return None
        frames = list(container.decode(audio=0))
        return [frames[0].layout.nb_channels, sum(frame.samples for frame in frames) / frames[0].sample_rate]


def _frames(source: Any) -> Tensor:
    file = io.BytesIO()
    source.save_to(file, format=Types.VideoContainer("mp4"))
    file.seek(0)
    with av.open(file) as container:
        return torch.stack([torch.from_numpy(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)])
