"""Time and memory of distilling a network of full width, with made-up weights: `python benchmarks/distillation.py`.

python benchmarks/distillation.py --rank 0 --width 320 --height 192 --frames 16 --device cuda
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.hosting import environment


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rank", type=int, default=64, help="of the LoRA (default 64); 0 trains all weights")
    parser.add_argument("--width", type=int, default=128, help="in pixels (default 128)")
    parser.add_argument("--height", type=int, default=128, help="in pixels (default 128)")
    parser.add_argument("--frames", type=int, default=4, help="frames (default 4)")
    parser.add_argument("--teacher-steps", type=int, default=2, help="for each of the student's four (default 2)")
    parser.add_argument("--steps", type=int, default=3, help="training steps (default 3)")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, mps …")
    parser.add_argument("--no-checkpointing", action="store_true", help="keep all activations")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    code = environment.enter(Path(__file__), "client", "torch", "training")
    if code is not None:
        return code
    import torch

    from tools.training.distillation import DistillationOptions, Distiller
    from tools.training.latent_clips import LatentClips

    sizes = arguments.frames, 4, arguments.height // 8, arguments.width // 8
    texts = torch.randn(77, 768)
    clips = LatentClips(torch.randn(2, *sizes), texts.expand(2, -1, -1), torch.zeros(1, *sizes[1:]), 0 * texts)
    options = DistillationOptions(
        steps=arguments.steps,
        videos=1,
        frames=arguments.frames,
        cfg=8.0,
        teacher_steps=arguments.teacher_steps,
        rank=arguments.rank,
        learning_rate=1e-5,
        mixed_precision=arguments.rank == 0,
        gradient_checkpointing=not arguments.no_checkpointing,
    )
    student = made_up(torch.bfloat16 if arguments.rank else torch.float32, arguments.device)
    teacher = None if arguments.rank else made_up(torch.bfloat16, arguments.device)
    distiller = Distiller(student, clips, options, teacher)
    trained = sum(value.numel() for value in distiller.ema.values())
    print(f"{trained / 1e6:.0f} million trained values, {memory(arguments.device):.1f} GB before the first step")
    for step in range(arguments.steps):
        began = time.perf_counter()
        distiller.advance()
        errors = [column[-1] for column in distiller.errors().values()]  # waits for the device
        took = time.perf_counter() - began
        print(f"step {step + 1}: {took:.1f} s, errors {' '.join(f'{each:.2e}' for each in errors)}", flush=True)
    print(f"at most {memory(arguments.device):.1f} GB")
    return 0


def made_up(dtype, device: str):
    """A network of full width: random weights, small enough for its predictions to stay in range."""
    import torch

    from seine_model import SeineUNet3D
    from seine_model.temporal import RotaryEmbedding, rotary_frequencies

    unet = SeineUNet3D(dtype=dtype, device=device)
    generator = torch.Generator(device).manual_seed(0)
    with torch.no_grad():
        for name, value in unet.named_parameters():
            value.fill_(float("norm" in name and name.endswith("weight")))
            if value.ndim > 1:
                value.normal_(std=0.5 / value[0].numel() ** 0.5, generator=generator)
        for module in unet.modules():
            if isinstance(module, RotaryEmbedding):
                module.freqs.data = rotary_frequencies(device)
    return unet.eval().requires_grad_(False)


def memory(device: str) -> float:
    """Most memory so far in GB: of the process, or of the card."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    sys.exit(main())
