"""Long films with the small model: seams, drift, keyframes and memory: `python benchmarks/long_video.py`.

Continues clips of held-out scenes many times, once from latents and once from images (which pass through the VAE each
time), tells a story of four pictures, continues clips with weights in every number format, and makes films of growing
length to see what memory they take. Prints the tables of docs/long_video.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.demo import sees_gpu
from tools.hosting import environment, hosts
from tools.hosting.model_files import SMALL_CFG
from tools.train import SMALL

MOTIONS, MOVING = ("spin", "still"), ("left", "right", "grow", "shrink")
"""Of the scenes that are continued, since what stays can drift, and of the story's."""
LENGTHS = (64, 256, 1024)
FIRST, NEW, LOOP = 16, 13, 10
"""Frames of the first clip, of each extension, and of what closes the clip to a loop."""
SHOTS, SHOT, TRANSITION = 4, 16, 14
"""Of the story: how many shots, and frames of each segment."""
FORMATS = ("fp32", "fp16", "bf16", "fp8_e4m3fn", "fp8_e5m2", "int8", "fp8_scaled")
"""Of weights; the last two are those of files by the converter."""
PARTS = ("films", "story", "formats", "memory")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=SMALL, help="bundle (default: models/seine-small.safetensors)")
    parser.add_argument("--scenes", type=int, default=6, help="held-out scenes (default 6)")
    parser.add_argument("--extensions", type=int, default=12, help="how often each clip is continued (default 12)")
    parser.add_argument("--steps", type=int, default=25, help="sampling steps (default 25)")
    parser.add_argument("--cfg", type=float, default=SMALL_CFG, help=f"guidance (default {SMALL_CFG:g})")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS, help="some of the parts (default: all)")
    parser.add_argument("--formats", choices=FORMATS, nargs="+", default=FORMATS, help="some number formats only")
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS, help="frames of the films of the last part")
    parser.add_argument("--plot", type=Path, help="also draw the drift, .png")
    parser.add_argument("--json", type=Path, help="also write every number")
    parser.add_argument("--device", choices=("cpu", "auto"), default="cpu", help="auto: a GPU where torch sees one")
    parser.add_argument("--host", choices=hosts.CHOICES, default="best", help="ComfyUI to run in")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    code = environment.enter(Path(__file__), "client", "torch", "training")
    if code is not None:
        return code
    host = hosts.find(arguments.host)
    measure = {"films": measure_films, "story": measure_story, "formats": measure_formats, "memory": measure_memory}
    numbers = {name: measure[name](arguments, host) for name in PARTS if name in arguments.only}
    if arguments.json:
        arguments.json.write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    return 0


def in_host(
    arguments: argparse.Namespace, host: hosts.Host, folder: Path, model: Path | None = None, **keywords: Any
) -> Any:
    from tools.hosting.server import prepare_base, run_in_host

    model = model or arguments.model.resolve()
    prepare_base(folder / "base", {"seine": [model]})
    script = Path(__file__).with_name("films_in_host.py")
    cpu = arguments.device == "cpu" or not sees_gpu(host, host.prepare())
    return run_in_host(host, folder / "base", script, {"model": model.name, **keywords}, timeout=24 * 3600, cpu=cpu)


def make_films(arguments: argparse.Namespace, host: hosts.Host, folder: Path, **settings: Any) -> dict[str, Any]:
    """Films of the held-out scenes, ``[scenes, frames, H, W, 3]`` of each kind."""
    import torch
    from safetensors.torch import load_file, save_file

    from tools.training.small_model import world
    from tools.training.small_model.recipe import HELD_OUT

    scenes = [world.scene(HELD_OUT + index, MOTIONS) for index in range(arguments.scenes)]
    first = torch.stack([world.render(scene, frames=1)[0].permute(1, 2, 0) for scene in scenes])
    save_file({"first": first.contiguous()}, folder / "pictures.safetensors")
    in_host(
        arguments,
        host,
        folder,
        task="films",
        loop=LOOP,
        scenes=[{"caption": scene.caption, "seed": index} for index, scene in enumerate(scenes)],
        pictures=str(folder / "pictures.safetensors"),
        target=str(folder / "films.safetensors"),
        extensions=arguments.extensions,
        steps=arguments.steps,
        cfg=arguments.cfg,
        **settings,
    )
    return {name: frames.float() for name, frames in load_file(folder / "films.safetensors").items()}


def measure_films(arguments: argparse.Namespace, host: hosts.Host) -> dict[str, Any]:
    import torch

    from tools.training.small_model import measures

    with tempfile.TemporaryDirectory(prefix="seine-films-") as folder:
        films = make_films(arguments, host, Path(folder))
    seams = [FIRST + NEW * number for number in range(arguments.extensions)]
    result: dict[str, Any] = {"frames": films["latent"].shape[1]}
    print(f"\n### {result['frames']} frames, {arguments.extensions} extensions, {arguments.scenes} scenes\n")
    print(
        "| path | difference at seams / inside clips | colour drift after half | at the end |",
        "| --- | --- | --- | --- |",
        sep="\n",
    )
    for name in ("latent", "image"):
        clips = films[name]
        ratio = measures.seam_ratio(clips, seams)
        drift = measures.colour_drift(clips, FIRST)
        result[name] = {"seams": ratio, "drift": drift.tolist()}
        half, end = (float(drift[at - FIRST : at].mean()) for at in (len(drift) // 2, len(drift)))
        print(f"| {name} | {ratio:.2f} | {half:.2f} | {end:.2f} |")
    result["steps"] = measures.steps_around(films["latent"], seams)
    words = ", ".join(f"{step:.2f}" for step in result["steps"])
    print(f"\nBy latents, the difference before a seam, at it and behind it over the mean: {words}")
    closed = films["loop"]
    result["loop"] = measures.seam_ratio(torch.cat((closed, closed[:, :1]), 1), [closed.shape[1]])
    print(f"\nLoop of {closed.shape[1]} frames: last to first frame over neighbouring frames {result['loop']:.2f}")
    if arguments.plot:
        draw(result, seams, arguments.plot)
    return result


def measure_story(arguments: argparse.Namespace, host: hosts.Host) -> dict[str, Any]:
    """How exactly a film shows its pictures at their frames."""
    import torch
    from safetensors.torch import load_file, save_file

    from tools.training.small_model import measures, world
    from tools.training.small_model.recipe import HELD_OUT

    scenes = [world.scene(HELD_OUT + index, MOVING) for index in range(SHOTS)]
    names = [" over ".join(scene.look.words()) for scene in scenes]
    script = [f"shot {SHOT}: {scenes[0].caption}"]
    for index in range(1, SHOTS):
        script.append(f"transition {TRANSITION}: {names[index - 1]} changes into {names[index]}")
        script.append(f"shot {SHOT}: {scenes[index].caption}")
    with tempfile.TemporaryDirectory(prefix="seine-story-") as name:
        folder = Path(name)
        pictures = torch.cat([world.render(scene, frames=1) for scene in scenes])
        save_file({"first": pictures.permute(0, 2, 3, 1).contiguous()}, folder / "pictures.safetensors")
        told = in_host(
            arguments,
            host,
            folder,
            task="story",
            script="\n".join(script),
            pictures=str(folder / "pictures.safetensors"),
            target=str(folder / "story.safetensors"),
            steps=arguments.steps,
            cfg=arguments.cfg,
        )
        made = {key: value.permute(0, 3, 1, 2) for key, value in load_file(folder / "story.safetensors").items()}
    expected = SHOTS * SHOT + (SHOTS - 1) * TRANSITION
    print(f"\n### Story of {SHOTS} pictures: {len(made['film'])} frames, {expected} asked for\n")
    print(told["timeline"])
    print("\n| picture | frame | PSNR in the film, dB | VAE alone, dB |\n| --- | --- | --- | --- |")
    rows = []
    for index, picture in enumerate(pictures):
        frame = index * (SHOT + TRANSITION)
        rows.append([measures.psnr(made["film"][frame], picture), measures.psnr(made["pictures"][index], picture)])
        print(f"| {index + 1} | {frame} | {rows[-1][0]:.1f} | {rows[-1][1]:.1f} |")
    return {"frames": len(made["film"]), "keyframes": rows}


def measure_formats(arguments: argparse.Namespace, host: hosts.Host) -> dict[str, dict[str, float]]:
    """Seams, drift and loops with the same weights in each number format, and how far from fp32 the films are."""
    import torch

    from seine_model.conversion import convert
    from tools.training.small_model import measures

    seams = [FIRST + NEW * number for number in range(arguments.extensions)]
    print(
        f"\n### Number formats: {arguments.extensions} extensions, {arguments.scenes} scenes, {arguments.steps} steps\n"
    )
    print("| weights | seams | colour drift at the end | loop | first clip against fp32 | last frames against fp32 |")
    print("| --- " * 6 + "|", flush=True)
    result: dict[str, dict[str, float]] = {}
    exact: dict[str, Any] = {}
    for name in arguments.formats:
        with tempfile.TemporaryDirectory(prefix="seine-formats-") as temporary:
            folder, settings = Path(temporary), {"kinds": ["latent", "loop"]}
            if name in ("int8", "fp8_scaled"):
                settings["model"] = folder / f"{name}.safetensors"
                convert(arguments.model, settings["model"], name)
            else:
                settings["weight_dtype"] = name
            films = make_films(arguments, host, folder, **settings)
        film, closed = films["latent"], films["loop"]
        row = {
            "seams": measures.seam_ratio(film, seams),
            "drift": float(measures.colour_drift(film, FIRST)[-FIRST:].mean()),
            "loop": measures.seam_ratio(torch.cat((closed, closed[:, :1]), 1), [closed.shape[1]]),
        }
        exact = exact or films
        if exact is not films:
            row["first"] = measures.psnr(film[:, :FIRST], exact["latent"][:, :FIRST])
            row["last"] = measures.psnr(film[:, -FIRST:], exact["latent"][:, -FIRST:])
        result[name] = {key: float(value) for key, value in row.items()}
        cells = [f"{row[key]:.2f}" for key in ("seams", "drift", "loop")]
        cells += [f"{row[key]:.1f} dB" if key in row else "–" for key in ("first", "last")]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    return result


def draw(result: dict[str, Any], seams: list[int], file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(6, 3), constrained_layout=True)
    for name in ("latent", "image"):
        axis.plot(result[name]["drift"], label=f"continued from {name}s")
    for seam in seams:
        axis.axvline(seam, color="0.9", zorder=0)
    axis.set(xlabel="frame", ylabel="colour drift (ΔE in CIE Lab)")
    axis.legend()
    figure.savefig(file, dpi=100)


def measure_memory(arguments: argparse.Namespace, host: hosts.Host) -> dict[int, dict[str, float]]:
    """Peak memory by number of frames, each in a process of its own."""
    print("\n### Peak memory at 320x512 beyond one window and one chunk of decoded frames\n")
    print("| frames | sampled | written while decoding | decoded at once | of it the frames themselves |")
    print("| --- | --- | --- | --- | --- |")
    result = {}
    for frames in arguments.lengths:
        with tempfile.TemporaryDirectory(prefix="seine-memory-") as folder:
            size = {"width": 512, "height": 320, "steps": 2}
            result[frames] = in_host(arguments, host, Path(folder), task="memory", frames=frames, **size)
        columns = ("sampled", "written", "decoded", "output")
        print(f"| {frames} | {' | '.join(f'{result[frames][name]:.0f} MB' for name in columns)} |", flush=True)
    return result


if __name__ == "__main__":
    sys.exit(main())
