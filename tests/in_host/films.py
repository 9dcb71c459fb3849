"""Our film nodes called directly, so that every sampled window can be counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from comfyui_seine.comfy_adapter import files, loading
from comfyui_seine.comfy_adapter.films import film, window_store
from comfyui_seine.nodes.film import SEINEExtendVideo, SEINEStory
from torch import Tensor

from nodes import CLIPTextEncode

SIZE = 32
STORY = "shot 10: a red ball\ntransition 6: it turns blue\nshot 4: a blue ball\ntransition 5: it turns green\nshot 1:"
SAMPLING = {"seed": 3, "steps": 2, "cfg": 2.0, "sampler_name": "ddim", "scheduler": "seine", "window": 8, "overlap": 2}


def main() -> dict[str, Any]:
    files.register_folder()
    model, clip, vae = loading.load_bundle(files.model_path("sample.safetensors"), None)
    positive, negative = (CLIPTextEncode().encode(clip, text)[0] for text in ("a red ball", ""))
    sampled: list[int] = []
    sample = film.sample

    def counting(*arguments: Any, **keywords: Any) -> Any:
        sampled.append(arguments[3]["samples"].shape[0])
        return sample(*arguments, **keywords)

    film.sample = counting

    def taken() -> list[int]:
        """Lengths of the windows sampled since the last call."""
        lengths = list(sampled)
        sampled.clear()
        return lengths

    def extended(direction: str, frames: int, **inputs: Any) -> tuple[Tensor, Tensor]:
        known = {"positive": positive, "negative": negative, "vae": vae} | SAMPLING
        result = SEINEExtendVideo.execute(model=model, direction=direction, frames=frames, **(known | inputs)).args
        return result[0]["samples"], result[1]["samples"]

    def message(action: Callable[[], Any]) -> str:
        try:
            action()
        except ValueError as error:
            return str(error)
        return "no error"

    def told(story: str = STORY, **inputs: Any) -> tuple[Tensor, str]:
        given = {"negative_prompt": "", "fps": 8.0, "width": SIZE, "height": SIZE, "resize_mode": "crop"} | SAMPLING
        given |= {"images": pictures, "story": story, "clip": clip, "vae": vae} | inputs
        latent, fps, timeline = SEINEStory.execute(model=model, **given).args
        assert fps == given["fps"]
        return latent["samples"], timeline

    torch.manual_seed(0)
    known = torch.randn(5, 4, SIZE // 8, SIZE // 8)
    latent = {"samples": known}
    report: dict[str, Any] = {"folder": str(window_store.folder())}

    film_, new = extended("after", 10, latent=latent)
    report["after"] = {
        "windows": taken(),
        "frames": [len(film_), len(new)],
        "given kept": torch.equal(film_[:5], known) and torch.equal(film_[5:], new),
        "finite": bool(torch.isfinite(new).all()),
    }
    longer, _ = extended("after", 14, latent=latent)
    report["longer"] = {"windows": taken(), "same start": torch.equal(longer[:15], film_)}
    extended("after", 10, latent=latent, seed=4)
    report["another seed"] = taken()
    extended("after", 10, latent=latent, positive=negative)
    report["another prompt"] = taken()
    patched = model.clone()
    key = next(key for key in patched.model_state_dict() if key.endswith("input_blocks.0.0.weight"))
    patched.add_patches({key: (torch.ones_like(patched.model_state_dict()[key]).cpu(),)}, 0.1)
    results = [
        SEINEExtendVideo.execute(
            model=each,
            direction="after",
            frames=10,
            latent=latent,
            positive=positive,
            negative=negative,
            vae=vae,
            **SAMPLING,
        ).args[1]["samples"]
        for each in (patched, model, patched)
    ]
    report["patched"] = {
        "windows": taken(),
        "differs": not torch.equal(results[0], new),
        "plain again": torch.equal(results[1], new),
        "patched again": torch.equal(results[2], results[0]),
    }

    before, new = extended("before", 7, latent=latent)
    report["before"] = {"windows": taken(), "given kept": torch.equal(before, torch.cat((new, known)))}
    other = torch.randn(3, 4, SIZE // 8, SIZE // 8)
    between, new = extended("between", 9, latent=latent, next_latent={"samples": other}, seed=9)
    joined = torch.cat((known, new, other))
    report["between"] = {"windows": taken(), "given kept": torch.equal(between, joined)}
    loop, new = extended("loop", 4, latent=latent)
    report["loop"] = {"windows": taken(), "given kept": torch.equal(loop, torch.cat((known, new)))}
    frames = torch.rand(4, SIZE, SIZE, 3)
    from_images, _ = extended("after", 3, images=frames)
    encoded = vae.encode(frames)
    report["images"] = {"windows": taken(), "encoded": torch.allclose(from_images[:4], encoded, atol=1e-5)}

    pictures = torch.rand(3, 40, SIZE, 3)
    story, timeline = told()
    keyframes = vae.encode(pictures[:, 4:36])
    report["story"] = {
        "windows": taken(),
        "frames": len(story),
        "timeline": timeline,
        "keyframes": [torch.allclose(story[at], keyframes[index], atol=1e-5) for index, at in enumerate((0, 16, 25))],
    }
    again, _ = told()
    report["told again"] = {"windows": taken(), "same": torch.equal(again, story)}
    changed, _ = told(STORY.replace("a blue ball", "a white ball"))
    report["middle shot changed"] = {
        "windows": taken(),
        "same shots": torch.equal(changed[:10], story[:10]) and torch.equal(changed[25:], story[25:]),
        "others differ": not torch.allclose(changed[10:25], story[10:25]),
    }
    rolled, _ = told(STORY.replace("shot 4:", "shot 4 seed 99:"))
    report["rolled again"] = {
        "windows": taken(),
        "same shots": torch.equal(rolled[:10], story[:10]) and torch.equal(rolled[25:], story[25:]),
        "others differ": not torch.allclose(rolled[10:25], story[10:25]),
    }
    cut, _ = told("shot 10: a red ball\ncut\nshot 4: a blue ball\ncut\nshot 1:")
    taken()
    report["cut"] = {"frames": len(cut), "first shot": torch.equal(cut[:10], story[:10])}
    alone = {f"image{number}": picture for number, picture in enumerate(pictures.split(1))}
    report["one by one"] = torch.equal(told(images=None, shot_images=alone)[0], story)
    taken()
    looped, _ = told(STORY + "\ntransition 5: it turns red")
    report["looped"] = {"windows": taken(), "frames": len(looped), "same film": torch.equal(looped[:26], story)}

    class Cancelled(Exception):
        pass

    def failing(*arguments: Any, **keywords: Any) -> Any:
        if len(sampled) == 2:
            raise Cancelled
        return counting(*arguments, **keywords)

    film.sample = failing
    try:
        told(seed=77)
    except Cancelled:
        report["cancelled after"] = taken()
    film.sample = counting
    told(seed=77)
    report["after the cancel"] = taken()
    for file in window_store.folder().glob("*.safetensors"):
        file.write_bytes(b"damaged")
    told(seed=77)
    report["damaged store"] = taken()

    window_store.MOST_BYTES = 1
    told(seed=78)
    taken()
    told(seed=78)
    report["larger than the store"] = taken()
    extended("after", 10, latent=latent)
    report["left of it"] = [len(taken()), len(list(window_store.folder().glob("*.safetensors")))]

    report["errors"] = {
        "nothing": message(lambda: extended("after", 4)),
        "both": message(lambda: extended("after", 4, latent=latent, images=frames)),
        "short": message(lambda: extended("after", 4, latent={"samples": known[:1]})),
        "overlap": message(lambda: extended("after", 4, latent=latent, overlap=4, window=4)),
        "loop overlap": message(lambda: extended("loop", 4, latent=latent, overlap=4)),
        "next unused": message(lambda: extended("after", 4, latent=latent, next_latent=latent)),
        "next missing": message(lambda: extended("between", 4, latent=latent)),
        "next size": message(lambda: extended("between", 4, latent=latent, next_images=torch.rand(4, 64, 48, 3))),
        "size": message(lambda: extended("after", 4, images=torch.rand(4, 33, 32, 3))),
        "video latent": message(lambda: extended("after", 4, latent={"samples": torch.zeros(1, 4, 5, 4, 4)})),
        "story images": message(lambda: told(images=pictures[:2])),
        "story line": message(lambda: told("shot 4 a ball")),
        "story overlap": message(lambda: told(overlap=4)),
    }
    return report
