"""The demo: `python tools/demo.py` turns pictures into clips in a real ComfyUI and leaves them in output/.

Sets up a ComfyUI ($COMFYUI_PATH if set, see hosts.py), links the pack into it, and runs the image-to-video and the
transition workflow of workflows/api over HTTP. Each clip is left as MP4, with its first, middle and last frame as PNG.
Without --checkpoint it runs the small model of the pack, which knows only pictures like those in example_inputs/.

    python tools/demo.py
    python tools/demo.py --checkpoint seine.pt --base sd-v1-4.safetensors --width 560 --height 240
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.hosting import environment, hosts, workflow_graph
from tools.hosting.bars import PhaseBars
from tools.hosting.client import Client, Progress, RunError
from tools.hosting.environment import SetupError, say
from tools.hosting.model_files import SMALL_CFG, SMALL_ENLARGED, SMALL_MODEL, SMALL_SIZE
from tools.hosting.server import ComfyServer, ServerError, sees_gpu

REPOSITORY = Path(__file__).resolve().parents[1]
OUTPUT = REPOSITORY / "output"
EXAMPLES = REPOSITORY / "example_inputs"


@dataclass(frozen=True)
class Clip:
    """A clip to make: the workflow, and its pictures (of example_inputs/, else photographs that scikit-image ships).

    `prompt` None leaves the workflow's own.
    """

    workflow: str
    pictures: tuple[str, ...]
    prompt: str | None = None


SMALL_MODEL_CLIPS = {
    "image_to_video": Clip("image_to_video", ("seine_red_ball.png",), "a red ball moves right over a green field"),
    "transition": Clip(
        "transition",
        ("seine_yellow_ring.png", "seine_purple_cross.png"),
        "a yellow ring over blue stripes changes into a purple cross over a pink field",
    ),
    # Far from anything the small model has seen.
    "photograph": Clip("image_to_video", ("rocket",), "a white triangle moves up over a blue field"),
}
PHOTOGRAPH_CLIPS = {
    "image_to_video": Clip("image_to_video", ("rocket",)),
    "transition": Clip("transition", ("coffee", "chelsea")),
}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--checkpoint", type=Path, help="SEINE file to use, .safetensors or .pt (default: the pack's small model)"
    )
    parser.add_argument(
        "--base", type=Path, help="SD 1.4 file or diffusers folder, for a checkpoint without VAE and CLIP"
    )
    parser.add_argument("--host", choices=hosts.CHOICES, default="best", help="ComfyUI to run in")
    parser.add_argument("--steps", type=int, default=25, help="sampling steps (default 25)")
    parser.add_argument("--frames", type=int, default=16, help="frames per clip (default 16)")
    for side, size in (("width", 256), ("height", 160)):
        text = f"{side} in pixels, a multiple of 8 (default {size}, of the small model {SMALL_SIZE})"
        parser.add_argument(f"--{side}", type=int, help=text)
    parser.add_argument("--device", choices=("auto", "cpu"), default="auto", help="auto: a GPU where torch sees one")
    parser.add_argument(
        "--output", type=Path, default=OUTPUT, help="folder for the clips (default: output/ of the pack)"
    )
    arguments = parser.parse_args()
    for name in ("checkpoint", "base"):
        path = getattr(arguments, name)
        if path is not None and not path.exists():
            parser.error(f"--{name}: there is no {path}")
    if arguments.base and not arguments.checkpoint:
        parser.error("--base goes with --checkpoint: the small model brings its own")
    arguments.width = arguments.width or (256 if arguments.checkpoint else SMALL_SIZE)
    arguments.height = arguments.height or (160 if arguments.checkpoint else SMALL_SIZE)
    return arguments


def main() -> int:
    arguments = parse_arguments()
    try:
        code = environment.enter(Path(__file__), "client")
        return make_clips(arguments, float(os.environ[environment.STARTED])) if code is None else code
    except (SetupError, ServerError, RunError, TimeoutError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("cancelled", file=sys.stderr)
        return 130


def make_clips(arguments: argparse.Namespace, started: float) -> int:
    host = hosts.find(arguments.host)
    python = host.prepare()
    say(f"ComfyUI: {host.describe()}")
    cpu = arguments.device == "cpu" or not sees_gpu(host, python)
    arguments.output.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    with tempfile.TemporaryDirectory(prefix="seine-demo-") as folder:
        models, choice = place_models(arguments)
        say("starting the server")
        with ComfyServer(host, Path(folder) / "base", models, cpu=cpu) as server:
            say(f"server ready after {time.time() - started:.0f} s")
            clips = PHOTOGRAPH_CLIPS if arguments.checkpoint else SMALL_MODEL_CLIPS
            for name, clip in clips.items():
                began = time.monotonic()
                size = f"{arguments.width}x{arguments.height}"
                say(f"{name}: {arguments.frames} frames of {size}, {arguments.steps} steps")
                graph = adapted_graph(server.client, clip, choice, arguments)
                outputs = server.client.run(graph, shown_on(PhaseBars()), timeout=6 * 3600)
                (file,) = server.client.files(outputs)
                made += keep_clip(server.client.fetch(file), arguments.output / name)
                say(f"{name}: done in {time.monotonic() - began:.0f} s")
    print(f"\nIn {arguments.output}:")
    for path in made:
        print(f"  {path.name}  ({path.stat().st_size / 1024:.0f} KB)")
    if arguments.checkpoint is None:
        print("Made by the pack's small model, which knows coloured shapes; photograph.mp4 shows where that ends.")
        print("With the published checkpoint: python tools/demo.py --checkpoint seine.pt --base sd-v1-4.safetensors")
    print(f"All of it took {time.time() - started:.0f} s.")
    return 0


def place_models(arguments: argparse.Namespace) -> tuple[dict[str, list[Path]], dict[str, Any]]:
    """The files to show the server, by model folder, and the inputs that choose and suit them."""
    if arguments.checkpoint is None:  # the pack shows the host its own
        return {}, {"model_name": SMALL_MODEL, "base_name": "bundled", "cfg": SMALL_CFG}
    models = {"seine": [arguments.checkpoint]}
    if arguments.base is None:
        return models, {"model_name": arguments.checkpoint.name, "base_name": "bundled"}
    models["diffusers" if arguments.base.is_dir() else "checkpoints"] = [arguments.base]
    return models, {"model_name": arguments.checkpoint.name, "base_name": arguments.base.name}


def adapted_graph(
    client: Client, clip: Clip, choice: dict[str, Any], arguments: argparse.Namespace
) -> workflow_graph.Graph:
    """The workflow with our pictures, prompt, checkpoint and sizes."""
    uploaded = [client.upload_image(f"{Path(name).stem}.png", picture_png(name)) for name in clip.pictures]
    graph = workflow_graph.with_images(workflow_graph.load(clip.workflow), uploaded)
    if clip.prompt is not None:
        graph = workflow_graph.with_prompt(graph, clip.prompt)
    sizes = {key: getattr(arguments, key) for key in ("width", "height", "frames", "steps")}
    graph = workflow_graph.with_inputs(graph, **choice, **sizes, resize_mode="crop")  # all clips are of one size
    if arguments.checkpoint is None:
        graph = workflow_graph.enlarged(graph, SMALL_ENLARGED)
    return graph


def picture_png(name: str) -> bytes:
    """A file of example_inputs/, else one of the photographs that scikit-image ships, as a PNG file."""
    if (EXAMPLES / name).is_file():
        return (EXAMPLES / name).read_bytes()
    return photograph_png(name)


def photograph_png(name: str) -> bytes:
    """One of the photographs that scikit-image ships, as a PNG file."""
    import io

    import skimage.data
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(getattr(skimage.data, name)()).save(file, "PNG")
    return file.getvalue()


def shown_on(bars: PhaseBars) -> Callable[[Progress], None]:
    """Shows the steps of each node that counts them."""

    def show(event: Progress) -> None:
        if event.maximum:
            bars.show(f"  {event.node_type}", event.value, event.maximum)

    return show


def keep_clip(content: bytes, target: Path) -> list[Path]:
    """Leave a fetched clip as `<target>.mp4`, its first, middle and last frame as PNG beside it; return the files."""
    import io

    import av

    video = target.with_name(f"{target.name}.mp4")
    video.write_bytes(content)
    with av.open(io.BytesIO(content)) as container:
        frames = [frame.to_image() for frame in container.decode(video=0)]
    stills = []
    for position, frame in {"first": frames[0], "middle": frames[len(frames) // 2], "last": frames[-1]}.items():
        stills.append(target.with_name(f"{target.name}_{position}.png"))
        frame.save(stills[-1])
    return [video, *stills]


if __name__ == "__main__":
    sys.exit(main())
