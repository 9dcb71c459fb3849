"""How much more clips move with the dials of SEINE Motion, on held-out scenes: `python benchmarks/motion.py`.

Clips are made by the pack's nodes in a real ComfyUI, as by small_model.py. Prints the tables that docs/motion.md
records, and draws them with --plot.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.judged import mean
from benchmarks.small_model import DEFAULT, MOTIONS
from tools.hosting import environment, hosts
from tools.hosting.model_files import SMALL_CFG
from tools.train import SMALL

SHIPPED = {"guidance": 2.0, "end_percent": 0.6}
DIALS = {
    "motion": [SHIPPED | {"motion": value} for value in (0.0, 0.25, 0.5, 0.75, 1.0)],
    "guidance": [SHIPPED | {"motion": 1.0, "guidance": value} for value in (0.0, 1.0, 2.0, 4.0, 8.0)],
    "end_percent": [SHIPPED | {"motion": 1.0, "end_percent": value} for value in (0.0, 0.3, 0.6, 1.0)],
}
"""Each from nothing to too much, the others as shipped or 0."""
PROMPTS = {
    "unsaid": "{thing} over {ground}",
    "still": "{thing} stays still over {ground}",
    "said": "{caption}",
}
"""Of the same scenes: no word of motion, none wanted, and the world's own caption."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=SMALL, help="bundle (default: models/seine-small.safetensors)")
    parser.add_argument("--scenes", type=int, default=32, help="held-out scenes per row (default 32)")
    parser.add_argument("--steps", type=int, default=12, help="of ddim (default 12)")
    parser.add_argument("--dials", choices=DIALS, nargs="+", default=[*DIALS], help="some of the dials only")
    parser.add_argument("--values", type=float, nargs="+", help="some of their values only")
    parser.add_argument("--prompts", choices=PROMPTS, nargs="+", default=["unsaid"], help="default: unsaid")
    parser.add_argument("--tasks", choices=("image to video", "text to video"), nargs="+", default=["image to video"])
    parser.add_argument("--json", type=Path, help="also write every number; what it holds already is kept")
    parser.add_argument("--plot", type=Path, help="also draw everything in --json, .png")
    parser.add_argument("--host", choices=hosts.CHOICES, default="best", help="ComfyUI to run in")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    code = environment.enter(Path(__file__), "client", "torch", "training")
    if code is not None:
        return code
    with tempfile.TemporaryDirectory(prefix="seine-motion-") as folder:
        rows = measure(arguments, Path(folder))
    report(rows)
    if arguments.json:
        known = json.loads(arguments.json.read_text(encoding="utf-8")) if arguments.json.exists() else []
        rows = [row for row in known if not any(_same(row, new) for new in rows)] + rows
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    if arguments.plot:
        draw(rows, arguments.plot)
    return 0


def measure(arguments: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    runs = [
        {"dial": dial, "value": settings[dial], "prompt": prompt, "task": task, "dials": settings}
        | {"name": f"{dial} {settings[dial]:g}, {prompt}, {task}"}
        for dial in arguments.dials
        for settings in DIALS[dial]
        for prompt in arguments.prompts
        for task in arguments.tasks
        if not arguments.values or settings[dial] in arguments.values
    ]
    rows = []
    for run, clips, scenes, truth, seconds in clips_of(runs, arguments, folder):
        kept = {name: run[name] for name in ("dial", "value", "prompt", "task", "steps", "scenes")}
        rows.append(kept | judge(clips, scenes, truth, run["task"]) | {"seconds": seconds})
    return rows


def clips_of(runs: list[dict[str, Any]], arguments: argparse.Namespace, folder: Path) -> Iterator[tuple]:
    """Each run with its clips [scenes, frames, 3, H, W], the scenes, their own clips, and seconds per clip."""
    import torch
    from safetensors.torch import load_file, save_file

    from tools.hosting.server import prepare_base, run_in_host
    from tools.training.small_model import world
    from tools.training.small_model.recipe import HELD_OUT

    scenes = [world.scene(HELD_OUT + index, MOTIONS) for index in range(arguments.scenes)]
    truth = [world.render(scene) for scene in scenes]
    ends = {name: torch.stack([clip[at] for clip in truth]) for name, at in (("first", 0), ("last", -1))}
    pictures = folder / "pictures.safetensors"
    save_file({name: images.permute(0, 2, 3, 1).contiguous() for name, images in ends.items()}, pictures)
    settings = DEFAULT | {"model": arguments.model.name, "cfg": SMALL_CFG, "steps": arguments.steps}
    for index, run in enumerate(runs):
        run |= settings | {"scenes": len(scenes), "target": str(folder / f"{index}.safetensors")}
    prepare_base(folder / "base", {"seine": [arguments.model.resolve()]})
    seconds = run_in_host(
        hosts.find(arguments.host),
        folder / "base",
        Path(__file__).with_name("clips_in_host.py"),
        {
            "scenes": [{"seed": index, **_prompts(scene)} for index, scene in enumerate(scenes)],
            "pictures": str(pictures),
            "runs": runs,
            "frames": world.FRAMES,
        },
        timeout=24 * 3600,
        cpu=True,
    )
    for run, took in zip(runs, seconds, strict=True):
        yield run, load_file(run["target"])["clips"].float().movedim(-1, -3), scenes, truth, took


def judge(clips: Any, scenes: list, truth: list, task: str) -> dict[str, float | None]:
    from tools.training.small_model import measures

    colours = [scene.look.colour for scene in scenes]
    middles = [measures.look_at(clip[len(clip) // 2]) for clip in clips]
    looks = [(scene.look.colour, scene.look.shape) for scene in scenes]
    pairs = list(zip(clips, colours, strict=True))
    first = [measures.psnr(clip[0], real[0]) for clip, real in zip(clips, truth, strict=True)]
    return {
        "displacement": mean([measures.displacement(*pair) for pair in pairs]),
        "first": mean(first) if task == "image to video" else None,
        "smoothness": mean([measures.smoothness(clip) for clip in clips]),
        "motion": mean([measures.motion(*pair) == scene.motion for pair, scene in zip(pairs, scenes, strict=True)]),
        "looks": mean([bool(s) and (s.colour, s.shape) == look for s, look in zip(middles, looks, strict=True)]),
    }


def report(rows: list[dict[str, Any]]) -> None:
    print(
        "\n| dial | prompt | task | pixels per frame | first frame, dB | smoothness | colour and shape | motion | s |"
    )
    print("| --- " * 9 + "|")
    for row in rows:
        first = "–" if row["first"] is None else f"{row['first']:.1f}"
        print(
            f"| {row['dial']} {row['value']:g} | {row['prompt']} | {row['task']} | {row['displacement']:.2f} | {first} "
            f"| {row['smoothness']:.2f} | {row['looks']:.0%} | {row['motion']:.0%} | {row['seconds']:.1f} |"
        )


def draw(rows: list[dict[str, Any]], file: Path) -> None:
    """One plot a dial: how far shapes move, for each prompt and task."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    dials = [dial for dial in DIALS if any(row["dial"] == dial for row in rows)]
    figure, axes = pyplot.subplots(
        1, len(dials), figsize=(3.6 * len(dials), 3.4), constrained_layout=True, squeeze=False
    )
    for axis, dial in zip(axes[0], dials, strict=True):
        mine = [row for row in rows if row["dial"] == dial]
        for line in dict.fromkeys((row["prompt"], row["task"]) for row in mine):
            points = sorted((r["value"], r["displacement"]) for r in mine if (r["prompt"], r["task"]) == line)
            axis.plot(*zip(*points, strict=True), marker="o", label=f"{line[1]}, motion {line[0]}")
        axis.set(xlabel=dial, ylabel="pixels per frame")
        axis.set_ylim(bottom=0)
        axis.legend(fontsize=7)
    figure.savefig(file, dpi=80)


def _prompts(scene: Any) -> dict[str, str]:
    thing, ground = scene.look.words()
    return {name: words.format(thing=thing, ground=ground, caption=scene.caption) for name, words in PROMPTS.items()}


def _same(row: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(row[name] == other[name] for name in ("dial", "value", "prompt", "task"))


if __name__ == "__main__":
    sys.exit(main())
