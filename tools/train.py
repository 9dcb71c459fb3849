"""Training: `small` makes a small SEINE from nothing, `finetune` teaches a SEINE checkpoint your clips, `distill` has
it make clips in a few steps without guidance, and `distill-small` the small one. All can be stopped at any time: the
same command goes on where it was.

    python tools/train.py small
    python tools/train.py finetune --checkpoint seine.pt --base sd-v1-4.safetensors --clips my_clips \\
        --output tuned.safetensors
    python tools/train.py distill --checkpoint seine.pt --base sd-v1-4.safetensors --clips my_clips \\
        --output seine-4-steps.safetensors
    python tools/train.py distill-small
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.hosting import environment, hosts
from tools.hosting.environment import SetupError, say
from tools.hosting.model_files import SMALL_LORA, SMALL_MODEL

REPOSITORY = Path(__file__).resolve().parents[1]
SMALL, LORA = REPOSITORY / "models" / SMALL_MODEL, REPOSITORY / "loras" / SMALL_LORA
FEW_STEPS = 4
LEAST = {"frames": 1, "every": 1, "steps": 1, "videos": 1, "few_steps": 1, "teacher_steps": 1, "rank": 0, "to_clip": 0}
"""Of options that are counts."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)

    small = commands.add_parser("small", help="train a small SEINE from nothing")
    small.add_argument("--output", type=Path, default=SMALL, help="bundle (default: models/seine-small.safetensors)")
    small.add_argument("--folder", type=Path, help="where states, strips and curves go (default: the cache folder)")

    tune = commands.add_parser("finetune", help="train a SEINE checkpoint further on a folder of captioned clips")
    _add_clips(tune, output="UNet to write, .safetensors", learning_rate=1e-5)

    distill = commands.add_parser("distill", help="have a SEINE checkpoint make clips in a few steps without guidance")
    _add_clips(distill, output="LoRA to write, .safetensors; with --rank 0 a UNet", learning_rate=1e-4)
    distill.add_argument("--rank", type=int, default=64, help="of the LoRA (default 64); 0 trains all weights")
    distill.add_argument("--cfg", type=float, default=8.0, help="guidance that becomes part of it (default 8)")
    distill.add_argument("--few-steps", type=int, default=FEW_STEPS, help="steps it is to be sampled in (default 4)")
    distill.add_argument("--teacher-steps", type=int, default=6, help="guided ones that each stands for (default 6)")
    distill.add_argument(
        "--to-clip",
        type=int,
        default=0,
        metavar="WAYS",
        help="each step to the clip instead of to the next, from so many ways of the checkpoint that are made first",
    )

    few = commands.add_parser("distill-small", help="have the small SEINE make clips in a few steps without guidance")
    few.add_argument("--bundle", type=Path, default=SMALL, help="small model (default: models/seine-small.safetensors)")
    few.add_argument("--output", type=Path, help="LoRA (default: loras/seine-small-few-steps.safetensors)")
    few.add_argument("--folder", type=Path, help="where states, clips and curves go (default: the cache folder)")
    few.add_argument("--few-steps", type=int, default=FEW_STEPS, help="steps it is to be sampled in (default 4)")
    few.add_argument("--steps", type=int, help="training steps in all (default: the recipe's)")
    few.add_argument(
        "--compare", type=int, default=0, metavar="SCENES", help="then measure it on so many held-out scenes"
    )

    for command in (small, tune, distill, few):
        command.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps …")
        command.add_argument("--host", choices=hosts.CHOICES, default="best", help="ComfyUI to use")
    arguments = parser.parse_args()
    _check(parser, arguments)
    return arguments


def _add_clips(command: argparse.ArgumentParser, output: str, learning_rate: float) -> None:
    command.add_argument("--checkpoint", type=Path, required=True, help="SEINE file, .safetensors or .pt")
    command.add_argument("--base", type=Path, help="SD 1.4 file or diffusers folder, unless the checkpoint is a bundle")
    command.add_argument("--clips", type=Path, required=True, help="folder of videos, each with a caption in a .txt")
    command.add_argument("--output", type=Path, required=True, help=output)
    command.add_argument("--folder", type=Path, help="where states and curves go (default: beside the output)")
    command.add_argument("--frames", type=int, default=16, help="frames per clip (default 16)")
    command.add_argument("--every", type=int, default=1, help="take every n-th frame of the videos (default 1)")
    command.add_argument("--width", type=int, default=320, help="width in pixels, a multiple of 8 (default 320)")
    command.add_argument("--height", type=int, default=192, help="height in pixels, a multiple of 8 (default 192)")
    command.add_argument("--steps", type=int, default=1000, help="training steps in all (default 1000)")
    command.add_argument("--videos", type=int, default=1, help="clips per step (default 1)")
    command.add_argument(
        "--learning-rate", type=float, default=learning_rate, help=f"at its highest (default {learning_rate:g})"
    )
    command.add_argument("--gradient-checkpointing", action="store_true", help="less memory, more time")
    command.add_argument("--full-precision", action="store_true", help="compute in float32 instead of bfloat16")
    command.add_argument("--seed", type=int, default=0)


def _check(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    given = {name: value for name, value in vars(arguments).items() if value is not None}
    for name in given.keys() & {"checkpoint", "base", "clips", "bundle"}:
        if not given[name].exists():
            parser.error(f"--{name}: there is no {given[name]}")
    if "clips" in given and not given["clips"].is_dir():
        parser.error(f"--clips: {given['clips']} is no folder: give the one that the videos are in")
    for name in given.keys() & {"width", "height"}:
        if given[name] < 8 or given[name] % 8:
            parser.error(f"--{name} is {given[name]}: it must be a multiple of 8")
    for name, least in LEAST.items():
        if given.get(name, least) < least:
            parser.error(f"--{name.replace('_', '-')} is {given[name]}: it must be at least {least}")
    if "output" in given and given["output"].suffix != ".safetensors":
        parser.error(f"--output is {given['output'].name}: its name must end with .safetensors")


def main() -> int:
    arguments = parse_arguments()
    try:
        code = environment.enter(Path(__file__), "client", "torch", "training")
        if code is not None:
            return code
        host = hosts.find(arguments.host)
        host.prepare()
        COMMANDS[arguments.command](arguments, host)
    except (SetupError, ValueError, RuntimeError, FloatingPointError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last saved state", file=sys.stderr)
        return 130
    return 0


def train_small(arguments: argparse.Namespace, host: hosts.Host) -> None:
    from tools.training.small_model import recipe

    folder = arguments.folder or environment.cache_folder() / "small_model"
    recipe.make(folder, host.folder / "comfy" / "sd1_tokenizer", arguments.output, _device(arguments.device))
    say(f"{arguments.output.name}: {arguments.output.stat().st_size / 1e6:.1f} MB; strips and curves in {folder}")


def finetune(arguments: argparse.Namespace, host: hosts.Host) -> None:
    from tools.training import finetuning

    folder = _encoded(arguments, host)
    finetuning.train(arguments, folder, _device(arguments.device))
    say(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.1f} MB")


def distill(arguments: argparse.Namespace, host: hosts.Host) -> None:
    from tools.training import distilling

    folder = _encoded(arguments, host)
    distilling.distil(arguments, folder, _device(arguments.device))
    _say_how_to_sample(arguments.output, arguments.few_steps)


def distill_small(arguments: argparse.Namespace, host: hosts.Host) -> None:
    from dataclasses import replace

    from tools.training.small_model import few_steps

    options = few_steps.options_for(arguments.few_steps)
    if arguments.steps is not None:
        options = replace(options, steps=arguments.steps)
    few = arguments.few_steps
    own = LORA if few == FEW_STEPS else LORA.with_name(f"{SMALL.stem}-{few}-steps.safetensors")
    output = arguments.output or own
    folder = arguments.folder or environment.cache_folder() / "few_steps"
    tokenizer = host.folder / "comfy" / "sd1_tokenizer"
    device = _device(arguments.device)
    distiller = few_steps.distil(arguments.bundle, tokenizer, folder, output, device, options)
    _say_how_to_sample(output, arguments.few_steps)
    if arguments.compare:
        for name, task, found in few_steps.compared(distiller, arguments.bundle, tokenizer, arguments.compare):
            say(f"{name}, {task}: " + ", ".join(f"{measure} {value:.2f}" for measure, value in found.items()))


COMMANDS = {"small": train_small, "finetune": finetune, "distill": distill, "distill-small": distill_small}


def _encoded(arguments: argparse.Namespace, host: hosts.Host) -> Path:
    """The folder with the encoded clips."""
    from tools.training import finetuning

    finetuning.check_trainable(arguments.checkpoint)
    folder = arguments.folder or arguments.output.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    finetuning.encode(host, arguments, folder / "clips.safetensors")
    return folder


def _say_how_to_sample(file: Path, steps: int) -> None:
    say(f"{file}: {file.stat().st_size / 1e6:.1f} MB; sample it by euler, scheduler simple, {steps} steps, cfg 1")


def _device(wanted: str) -> str:
    import torch

    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


if __name__ == "__main__":
    sys.exit(main())
