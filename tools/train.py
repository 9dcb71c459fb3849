"""Training: `python tools/train.py small` makes a small SEINE from nothing, `python tools/train.py finetune` teaches a
SEINE checkpoint your clips. Both can be stopped at any time: the same command goes on where it was.

    python tools/train.py small
    python tools/train.py finetune --checkpoint seine.pt --base sd-v1-4.safetensors --clips my_clips \\
        --output tuned.safetensors
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.hosting import environment, hosts
from tools.hosting.environment import SetupError, say
from tools.hosting.model_files import SMALL_MODEL

REPOSITORY = Path(__file__).resolve().parents[1]
SMALL = REPOSITORY / "models" / SMALL_MODEL


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)

    small = commands.add_parser("small", help="train a small SEINE from nothing")
    small.add_argument("--output", type=Path, default=SMALL, help="bundle (default: models/seine-small.safetensors)")
    small.add_argument("--folder", type=Path, help="where states, strips and curves go (default: the cache folder)")

    tune = commands.add_parser("finetune", help="train a SEINE checkpoint further on a folder of captioned clips")
    tune.add_argument("--checkpoint", type=Path, required=True, help="SEINE file, .safetensors or .pt")
    tune.add_argument("--base", type=Path, help="SD 1.4 file or diffusers folder, unless the checkpoint is a bundle")
    tune.add_argument("--clips", type=Path, required=True, help="folder of videos, each with a caption in a .txt")
    tune.add_argument("--output", type=Path, required=True, help="UNet to write, .safetensors")
    tune.add_argument("--folder", type=Path, help="where states and curves go (default: beside the output)")
    tune.add_argument("--frames", type=int, default=16, help="frames per clip (default 16)")
    tune.add_argument("--every", type=int, default=1, help="take every n-th frame of the videos (default 1)")
    tune.add_argument("--width", type=int, default=320, help="width in pixels, a multiple of 8 (default 320)")
    tune.add_argument("--height", type=int, default=192, help="height in pixels, a multiple of 8 (default 192)")
    tune.add_argument("--steps", type=int, default=1000, help="training steps in all (default 1000)")
    tune.add_argument("--videos", type=int, default=1, help="clips per step (default 1)")
    tune.add_argument("--learning-rate", type=float, default=1e-5, help="at its highest (default 1e-5)")
    tune.add_argument("--gradient-checkpointing", action="store_true", help="less memory, more time")
    tune.add_argument("--full-precision", action="store_true", help="compute in float32 instead of bfloat16")
    tune.add_argument("--seed", type=int, default=0)

    for command in (small, tune):
        command.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps …")
        command.add_argument("--host", choices=hosts.CHOICES, default="best", help="ComfyUI to use")
    arguments = parser.parse_args()
    if arguments.command == "finetune":
        _check(parser, arguments)
    return arguments


def _check(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    for name in ("checkpoint", "base", "clips"):
        path = getattr(arguments, name)
        if path is not None and not path.exists():
            parser.error(f"--{name}: there is no {path}")
    for name in ("width", "height"):
        if getattr(arguments, name) < 8 or getattr(arguments, name) % 8:
            parser.error(f"--{name} is {getattr(arguments, name)}: it must be a multiple of 8")
    for name in ("frames", "every", "steps", "videos"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} is {getattr(arguments, name)}: it must be at least 1")
    if arguments.output.suffix != ".safetensors":
        parser.error(f"--output is {arguments.output.name}: its name must end with .safetensors")


def main() -> int:
    arguments = parse_arguments()
    try:
        code = environment.enter(Path(__file__), "client", "torch", "training")
        if code is not None:
            return code
        host = hosts.find(arguments.host)
        host.prepare()
        (train_small if arguments.command == "small" else finetune)(arguments, host)
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

    finetuning.check_trainable(arguments.checkpoint)
    folder = arguments.folder or arguments.output.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    finetuning.encode(host, arguments, folder / "clips.safetensors")
    finetuning.train(arguments, folder, _device(arguments.device))
    say(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.1f} MB")


def _device(wanted: str) -> str:
    import torch

    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


if __name__ == "__main__":
    sys.exit(main())
