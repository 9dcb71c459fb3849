"""Quality of the small model the pack ships, on held-out scenes of its world: `python benchmarks/small_model.py`.

Clips are made by the pack's nodes in a real ComfyUI and measured by plain image processing, see measures.py in
tools/training/small_model. Prints the tables that docs/small_model.md records.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.judged import Result, judge, mean
from tools.demo import sees_gpu
from tools.hosting import environment, hosts
from tools.hosting.model_files import SMALL_CFG
from tools.train import SMALL

MOTIONS = ("left", "right", "up", "down", "grow", "shrink")
TASKS = ("image to video", "transition", "text to video")
DEFAULT = {"sampler_name": "ddim", "scheduler": "seine", "steps": 25}
SAMPLERS = (
    {"sampler_name": "seine_ddpm", "scheduler": "seine", "steps": 250},
    DEFAULT,
    {"sampler_name": "dpmpp_2m", "scheduler": "seine", "steps": 25},
    {"sampler_name": "uni_pc", "scheduler": "seine", "steps": 20},
)
STEPS = (8, 12, 16, 25, 50, 100)
"""Of the default sampler."""
INTERVALS = ((0.0, 0.85), (0.0, 0.7), (0.0, 0.5), (0.0, 0.3), (0.15, 0.7))
"""Parts of the schedule in which guidance applies."""
STRENGTHS = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)
"""Shares of the sampling in which the last frame of a transition is kept."""
CACHES = (None, 0.05, 0.1, 0.2, 0.4)
"""Thresholds of ComfyUI's EasyCache."""
PRECISIONS = ("fp32", "fp16", "bf16", "fp8_e4m3fn", "fp8_e5m2")
FILE_FORMATS = ("int8", "fp8_scaled")
"""Of the converter; files in them are made of the model."""
FEW = ((4, 2.0), (4, 1.0), (2, 1.0), (1, 1.0))
"""Steps and cfg of few predictions, by the sampler and on the timesteps that a distilled model is made for."""
TABLES = ("quality", "samplers", "steps", "few", "guidance", "soft", "cache", "precision", "broken")
COMPARED = ("few", "cache", "precision")
"""Tables whose clips are also compared with those of their first row."""
BROKEN = ("untrained", "inverted mask", "no temporal attention")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=SMALL, help="bundle (default: models/seine-small.safetensors)")
    parser.add_argument("--scenes", type=int, default=32, help="held-out scenes per measure (default 32)")
    parser.add_argument("--cfg", type=float, default=SMALL_CFG, help=f"guidance (default {SMALL_CFG:g})")
    parser.add_argument("--steps", type=int, help="steps of the first table (default: the sampler's)")
    parser.add_argument("--only", choices=TABLES, nargs="+", help="some of the tables only")
    parser.add_argument("--lora", type=Path, help="of tools/train.py distill-small: few steps with it, too")
    parser.add_argument(
        "--bf16-vae", action="store_true", help="ComfyUI's flag: most of the time of few steps is the VAE's"
    )
    parser.add_argument("--sheet", type=Path, help="also write a contact sheet of 8 clips, .png")
    parser.add_argument("--json", type=Path, help="also write every number")
    parser.add_argument("--device", choices=("cpu", "auto"), default="cpu", help="auto: a GPU where torch sees one")
    parser.add_argument("--host", choices=hosts.CHOICES, default="best", help="ComfyUI to run in")
    arguments = parser.parse_args()
    if not arguments.model.is_file():
        parser.error(f"--model: there is no {arguments.model}; tools/train.py small makes one")
    return arguments


def main() -> int:
    arguments = parse_arguments()
    code = environment.enter(Path(__file__), "client", "torch", "training")
    if code is not None:
        return code
    host = hosts.find(arguments.host)
    with tempfile.TemporaryDirectory(prefix="seine-quality-") as folder:
        results, rows = measure(arguments, host, Path(folder))
        report(results, arguments.json)
        if arguments.sheet:
            from tools.training.small_model.sheet import contact_sheet

            contact_sheet(rows, arguments.sheet)
    return 0


def runs_of(arguments: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """What to make: name, table, model file, task and sampler settings."""
    wanted = arguments.only or TABLES
    default = DEFAULT | ({"steps": arguments.steps} if arguments.steps else {})
    model, runs = arguments.model.name, []
    if "quality" in wanted or arguments.sheet:
        runs += [{"name": task, "table": "quality", "task": task, "model": model, **default} for task in TASKS]
    if "samplers" in wanted:
        for settings in SAMPLERS:
            name = f"{settings['sampler_name']} {settings['steps']}"
            runs.append({"name": name, "table": "samplers", "task": "transition", "model": model, **settings})
    if "steps" in wanted:
        for steps in STEPS:
            for task in ("transition", "text to video"):
                settings = {**DEFAULT, "steps": steps}
                runs.append({"name": f"ddim {steps}", "table": "steps", "task": task, "model": model, **settings})
    if "few" in wanted:
        runs += [run | {"task": task, "model": model} for run in few_runs(arguments) for task in TASKS]
    if "guidance" in wanted:
        for interval in INTERVALS:
            name = f"cfg from {interval[0]:.0%} to {interval[1]:.0%}"
            run = {"name": name, "table": "guidance", "task": "text to video", "model": model, "guided": interval}
            runs.append(run | default)
    if "soft" in wanted:
        for strength in STRENGTHS:
            run = {"name": f"{strength:.0%}", "table": "soft", "task": "transition", "model": model, "soft": strength}
            runs.append(run | default)
    if "cache" in wanted:
        for threshold in CACHES:
            name = "every step" if threshold is None else f"EasyCache {threshold:g}"
            for task in ("transition", "text to video"):
                run = {"name": name, "table": "cache", "task": task, "model": model, "cache": threshold}
                runs.append(run | default)
    if "precision" in wanted:
        for dtype in PRECISIONS:
            run = {"name": dtype, "table": "precision", "task": "transition", "model": model, "weight_dtype": dtype}
            runs.append(run | default)
        for name in FILE_FORMATS:
            file = f"{name}.safetensors"
            run = {"name": name, "table": "precision", "task": "transition", "model": file}
            runs.append(run | default)
    if "broken" in wanted:
        for name in BROKEN:
            file = model if name == "inverted mask" else f"{name.replace(' ', '-')}.safetensors"
            runs += [
                {"name": name, "table": "broken", "task": task, "model": file, "inverted": name == "inverted mask"}
                | default
                for task in TASKS
                if not (name == "inverted mask" and task == "text to video")
            ]
    for index, run in enumerate(runs):
        run |= {
            "cfg": run.get("cfg", arguments.cfg),
            "scenes": arguments.scenes,
            "target": str(folder / f"{index}.safetensors"),
        }
    return runs


def few_runs(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The default, and few predictions of the model as it is and with a LoRA for them."""
    runs = [{"name": "default", "table": "few", **DEFAULT}]
    for lora in (None, arguments.lora) if arguments.lora else (None,):
        for steps, cfg in FEW:
            settings = {"sampler_name": "euler", "scheduler": "simple", "steps": steps, "cfg": cfg}
            name = f"{steps} steps, cfg {cfg:g}"
            if lora is None:
                runs.append({"name": name, "table": "few", **settings})
            elif cfg == 1:
                runs.append({"name": f"{name}, {lora.stem}", "table": "few", "lora": str(lora.resolve()), **settings})
    return runs


def measure(arguments: argparse.Namespace, host: hosts.Host, folder: Path) -> tuple[list[tuple[dict, Result]], list]:
    """Each run with its result, and the rows of a contact sheet."""
    from safetensors.torch import load_file, save_file

    from seine_model.conversion import convert
    from tools.hosting.server import prepare_base, run_in_host
    from tools.training.small_model import measures, world
    from tools.training.small_model.recipe import HELD_OUT
    from tools.training.small_model.sheet import rows_of

    scenes = [world.scene(HELD_OUT + index, MOTIONS) for index in range(arguments.scenes)]
    truth = [world.render(scene) for scene in scenes]
    pictures = folder / "pictures.safetensors"
    ends = {name: _stack([clip[index] for clip in truth]) for name, index in (("first", 0), ("last", -1))}
    save_file({name: images.permute(0, 2, 3, 1).contiguous() for name, images in ends.items()}, pictures)
    runs = runs_of(arguments, folder)
    models, wanted = [arguments.model.resolve()], {run["table"] for run in runs}
    models += broken_models(arguments.model, folder) if "broken" in wanted else []
    for name in FILE_FORMATS if "precision" in wanted else ():
        models.append(folder / f"{name}.safetensors")
        convert(arguments.model, models[-1], name)
    prepare_base(folder / "base", {"seine": models})
    seconds = run_in_host(
        host,
        folder / "base",
        Path(__file__).with_name("clips_in_host.py"),
        {
            "scenes": [{"caption": scene.caption, "seed": index} for index, scene in enumerate(scenes)],
            "pictures": str(pictures),
            "runs": runs,
            "frames": world.FRAMES,
            "bf16_vae": arguments.bf16_vae,
        },
        timeout=24 * 3600,
        cpu=arguments.device == "cpu" or not sees_gpu(host, host.prepare()),
    )
    results, clips, compared = [], {}, {}
    for run, took in zip(runs, seconds, strict=True):
        made = {key: value.float().movedim(-1, -3) for key, value in load_file(run["target"]).items()}
        result = judge(run, took, scenes, truth, made["clips"], made["reconstructed"])
        if run["table"] in COMPARED:
            of = compared.setdefault((run["table"], run["task"]), made["clips"])
            if of is not made["clips"]:
                pairs = zip(made["clips"], of, strict=True)
                result.same = mean([measures.psnr(clip, other) for clip, other in pairs])
        results.append((run, result))
        if run["table"] == "quality":
            clips[run["task"]] = made["clips"]
    return results, rows_of(scenes, truth, clips) if arguments.sheet else []


def broken_models(model: Path, folder: Path) -> list[Path]:
    """The same file with an untrained UNet, and with temporal attention that adds nothing."""
    from safetensors.torch import save_file

    from seine_model import SeineUNet3D
    from seine_model.checkpoint import UNET_PREFIX, infer_config, read_checkpoint
    from tools.training.initialisation import initialise

    tensors, metadata = read_checkpoint(model)
    untrained = SeineUNet3D(infer_config(tensors, metadata))
    initialise(untrained, seed=1)
    fresh = {UNET_PREFIX + key: value.detach().clone() for key, value in untrained.state_dict().items()}
    still = {key: value * 0 for key, value in tensors.items() if ".attn_temp.to_out." in key}
    files = []
    for name, changed in (("untrained", fresh), ("no-temporal-attention", still)):
        files.append(folder / f"{name}.safetensors")
        save_file(tensors | changed, files[-1], metadata)
    return files


def report(results: list[tuple[dict[str, Any], Result]], json_file: Path | None) -> None:
    """Print the tables."""
    columns = {
        "first": "first frame, dB",
        "last": "last frame, dB",
        "reconstruction": "VAE alone, dB",
        "clip": "whole clip, dB",
        "same": "against the first row, dB",
        "motion": "motion",
        "colour": "colour",
        "shape": "shape",
        "both": "both",
        "smoothness": "smoothness",
        "seconds": "s per clip, median",
    }
    for table in TABLES:
        rows = [result for run, result in results if run["table"] == table]
        if not rows:
            continue
        print(f"\n### {table}\n\n| | task | {' | '.join(columns.values())} |")
        print("| --- " * (len(columns) + 2) + "|")
        for row in rows:
            print(f"| {row.name} | {row.task} | {' | '.join(_cell(name, getattr(row, name)) for name in columns)} |")
    if json_file:
        json_file.write_text(json.dumps([vars(result) for _, result in results], indent=1), encoding="utf-8")


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0%}" if name in ("motion", "colour", "shape", "both") else f"{value:.2f}"


def _stack(tensors: Sequence) -> Any:
    import torch

    return torch.stack(list(tensors))


if __name__ == "__main__":
    sys.exit(main())
