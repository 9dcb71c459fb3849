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
DISTILLED = {"steps": 4, "cfg": 1.0, "sampler_name": "euler", "scheduler": "simple"}
"""How a distilled model is sampled (tools/train.py distill)."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, help="a bundle to use, .safetensors (default: made-up weights)")
    parser.add_argument("--width", type=int, default=512, help="in pixels, a multiple of 8 (default 512)")
    parser.add_argument("--height", type=int, default=320, help="in pixels, a multiple of 8 (default 320)")
    parser.add_argument("--frames", type=int, default=16, help="frames per clip (default 16)")
    parser.add_argument("--steps", type=int, help="sampling steps (default: the node's)")
    parser.add_argument("--weight-dtype", default="default", help="of the loader (default: default)")
    parser.add_argument("--clips", type=int, default=3, help="clips to time, after one that loads (default 3)")
    parser.add_argument("--distilled", action="store_true", help="then as many clips as a distilled model makes them")
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
            sets = {"": time_clips(server.client, file.name, arguments, {})}
            if arguments.distilled:
                sets[f", {DISTILLED['steps']} steps without cfg"] = time_clips(
                    server.client, file.name, arguments, DISTILLED
                )
    report(arguments, f"{host.describe()}, {device}", sets)
    return 0


def made_up_bundle(file: Path, host: hosts.Host) -> Path:
    """A bundle of full size in half precision with made-up weights."""
    from seine_model import SeineConfig
    from tools.hosting.sample_bundle import sample_bundle

    shapes = run_in_host(host, file.parent / "base", Path(__file__).with_name("vae_in_host.py"))
    return sample_bundle(file, SeineConfig(), text_layers=TEXT_LAYERS, vae_shapes=shapes)


def time_clips(
    client: Client, model: str, arguments: argparse.Namespace, sampled: dict[str, Any]
) -> list[dict[str, float]]:
    """The seconds of a first clip and those of as many more as wanted."""
    numbers = range(1000 * bool(sampled), 1000 * bool(sampled) + arguments.clips + 1)
    return [time_clip(client, graph_of(model, arguments, number, sampled)) for number in numbers]


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


def report(arguments: argparse.Namespace, where: str, sets: dict[str, list[dict[str, float]]]) -> None:
    size = f"{arguments.frames} frames of {arguments.width}x{arguments.height}"
    steps = f"{arguments.steps} steps" if arguments.steps else "the node's own steps"
    weights = arguments.checkpoint.name if arguments.checkpoint else "made-up weights of full size"
    print(f"\n{size}, {steps}, {weights}: seconds from the prompt to the saved video\n{where}\n")
    columns = (*STAGES, "in all")
    print(f"| | {' | '.join(columns)} |", "| --- " * (len(columns) + 1) + "|", sep="\n")
    rows = {"first, with loading": sets[""][0]}
    for words, (_, *timed) in sets.items():
        rows[f"median of {len(timed)}{words}"] = {
            name: statistics.median(clip[name] for clip in timed) for name in columns
        }
    for name, clip in rows.items():
        print(f"| {name} | {' | '.join(f'{clip[column]:.2f}' for column in columns)} |")
    if arguments.json:
        first, *timed = sets.pop("")
        numbers = {"where": where, "first": first, "clips": timed, "distilled": [clips[1:] for clips in sets.values()]}
        arguments.json.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
