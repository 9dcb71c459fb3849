"""Time clips from prompt to saved video, in a real ComfyUI at the nodes' defaults: `python benchmarks/clip.py`.

Runs the text-to-video workflow again and again with other prompts and seeds. Without --checkpoint the weights are made
up: UNet, text encoder and VAE of full size, so that there is as much to compute. What their clips show is noise.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.hosting import environment, hosts, workflow_graph
from tools.hosting.client import Client, Progress
from tools.hosting.server import ComfyServer, run_in_host, sees_gpu

STAGES = ("text", "sampling", "decoding", "saving")
BEGINS = {"SEINEKSampler": "sampling", "SEINEVAEDecode": "decoding"}
"""The stage that starts with a node of this type; text is before, saving after."""
TEXT_LAYERS = 12
"""Of CLIP ViT-L/14."""
DISTILLED = {"cfg": 1.0, "sampler_name": "euler", "scheduler": "simple"}
"""How a distilled model is sampled (tools/train.py distill), in few steps."""
OFFICIAL = {"steps": 250, "sampler_name": "seine_ddpm", "scheduler": "seine"}
"""How the official code samples."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, help="a bundle to use, .safetensors (default: made-up weights)")
    parser.add_argument("--width", type=int, default=512, help="in pixels, a multiple of 8 (default 512)")
    parser.add_argument("--height", type=int, default=320, help="in pixels, a multiple of 8 (default 320)")
    parser.add_argument("--frames", type=int, default=16, help="frames per clip (default 16)")
    parser.add_argument("--steps", type=int, help="sampling steps (default: the node's)")
    parser.add_argument("--weight-dtype", default="default", help="of the loader (default: default)")
    parser.add_argument("--clips", type=int, default=3, help="clips to time, after one that loads (default 3)")
    parser.add_argument(
        "--distilled",
        nargs="*",
        type=int,
        metavar="STEPS",
        help="then as many clips as a distilled model makes them, in each of these numbers of steps (default 4)",
    )
    parser.add_argument("--official", action="store_true", help="then one clip in the official code's 250 steps")
    parser.add_argument("--device", choices=("auto", "cpu"), default="auto", help="auto: a GPU where torch sees one")
    parser.add_argument("--json", type=Path, help="also write every number")
    parser.add_argument("--host", choices=hosts.CHOICES, default="best", help="ComfyUI to run in")
    arguments = parser.parse_args()
    if arguments.checkpoint and not arguments.checkpoint.is_file():
        parser.error(f"--checkpoint: there is no {arguments.checkpoint}")
    if arguments.clips < 1:
        parser.error("--clips: at least 1")
    return arguments


def main() -> int:
    arguments = parse_arguments()
    code = environment.enter(Path(__file__), "client", "torch")
    if code is not None:
        return code
    host = hosts.find(arguments.host)
    with tempfile.TemporaryDirectory(prefix="seine-clip-") as name:
        folder = Path(name)
        file = arguments.checkpoint or made_up_bundle(folder / "full_size.safetensors", host)
        cpu = arguments.device == "cpu" or not sees_gpu(host, host.prepare())
        with ComfyServer(host, folder / "base", {"seine": [file.resolve()]}, cpu=cpu) as server:
            device = server.client.system_stats()["devices"][0]["name"]
            first, *clips = time_clips(server.client, file.name, arguments, arguments.clips + 1)
            others = {
                words: time_clips(
                    server.client,
                    file.name,
                    arguments,
                    1 if settings is OFFICIAL else arguments.clips,
                    1000 * number,
                    settings,
                )
                for number, (words, settings) in enumerate(others_of(arguments).items(), 1)
            }
    report(arguments, f"{host.describe()}, {device}", first, clips, others)
    return 0


def made_up_bundle(file: Path, host: hosts.Host) -> Path:
    """A bundle of full size in half precision with made-up weights."""
    from seine_model import SeineConfig
    from tools.hosting.sample_bundle import sample_bundle

    shapes = run_in_host(host, file.parent / "base", Path(__file__).with_name("vae_in_host.py"))
    return sample_bundle(file, SeineConfig(), text_layers=TEXT_LAYERS, vae_shapes=shapes)


def others_of(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """What is timed beside the defaults: sampling, by the words of its row."""
    steps = [4] if arguments.distilled == [] else arguments.distilled or []
    named = {f"{count} steps without cfg" if count > 1 else "1 step without cfg": count for count in steps}
    others: dict[str, dict[str, Any]] = {words: {"steps": count, **DISTILLED} for words, count in named.items()}
    return others | ({"official, 250 steps": OFFICIAL} if arguments.official else {})


def time_clips(
    client: Client,
    model: str,
    arguments: argparse.Namespace,
    count: int,
    first: int = 0,
    sampled: dict[str, Any] | None = None,
) -> list[dict[str, float]]:
    """The seconds of so many clips, whose prompts and seeds count from `first` on."""
    return [
        time_clip(client, graph_of(model, arguments, number, sampled or {})) for number in range(first, first + count)
    ]


def graph_of(model: str, arguments: argparse.Namespace, number: int, sampled: dict[str, Any]) -> workflow_graph.Graph:
    """The workflow, with words and seed of its own for each clip, so that nothing of it is left from the one before."""
    changes = {name: getattr(arguments, name) for name in ("width", "height", "frames", "weight_dtype")}
    if arguments.steps:
        changes["steps"] = arguments.steps
    changes |= sampled
    graph = workflow_graph.with_prompt(workflow_graph.load("text_to_video"), f"clip number {number} of a lake")
    return workflow_graph.with_inputs(graph, model_name=model, base_name="bundled", seed=number, **changes)


def time_clip(client: Client, graph: workflow_graph.Graph) -> dict[str, float]:
    """Seconds of each stage and in all, from queueing the graph to its end."""
    began = time.monotonic()
    starts = {"text": began}

    def note(event: Progress) -> None:
        stage = BEGINS.get(event.node_type, "saving" if "decoding" in starts else "text")
        starts.setdefault(stage, time.monotonic())

    client.run(graph, note, timeout=24 * 3600)
    ends = [*list(starts.values())[1:], time.monotonic()]
    seconds = {stage: end - start for (stage, start), end in zip(starts.items(), ends, strict=True)}
    return seconds | {"in all": ends[-1] - began}


def report(
    arguments: argparse.Namespace,
    where: str,
    first: dict[str, float],
    clips: list[dict[str, float]],
    others: dict[str, list[dict[str, float]]],
) -> None:
    size = f"{arguments.frames} frames of {arguments.width}x{arguments.height}"
    steps = f"{arguments.steps} steps" if arguments.steps else "the node's own steps"
    weights = arguments.checkpoint.name if arguments.checkpoint else "made-up weights of full size"
    print(f"\n{size}, {steps}, {weights}: seconds from the prompt to the saved video\n{where}\n")
    columns = (*STAGES, "in all")
    print(f"| | {' | '.join(columns)} | times as fast |", "| --- " * (len(columns) + 2) + "|", sep="\n")
    print(f"| first, with loading | {' | '.join(f'{first[column]:.2f}' for column in columns)} | |")
    medians = {words: median_of(timed) for words, timed in {"": clips, **others}.items()}
    for words, middle in medians.items():
        name = f"median of {len(others.get(words, clips))}{words and ', '}{words}"
        cells = [f"{middle[column]:.2f}" for column in columns]
        print(f"| {name} | {' | '.join(cells)} | {medians['']['in all'] / middle['in all']:.2f} |")
    if arguments.json:
        numbers = {"where": where, "first": first, "clips": clips, "others": others}
        arguments.json.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")


def median_of(clips: list[dict[str, float]]) -> dict[str, float]:
    return {stage: statistics.median(clip[stage] for clip in clips) for stage in clips[0]}


if __name__ == "__main__":
    sys.exit(main())
