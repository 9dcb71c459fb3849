"""The same clip and film under every flag of ComfyUI that goes with --cpu: `python benchmarks/host_flags.py [FLAG …]`.

Each flag starts a ComfyUI of its own with the small model, samples a seeded image to video and extends it, and holds
both against what the host makes without the flag. Prints a table; exit status 1 where a flag fails or changes a clip by
more than its number formats can.
"""

from __future__ import annotations

import argparse
import io
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.hosting import environment, hosts, workflow_graph
from tools.hosting.client import Client, RunError
from tools.hosting.model_files import SMALL_CFG, SMALL_MODEL, SMALL_SIZE
from tools.hosting.server import ComfyServer, ServerError

PICTURE = Path(__file__).resolve().parents[1] / "example_inputs" / "seine_red_ball.png"
FLAGS: dict[str, float] = {
    **dict.fromkeys(
        [
            *(
                "--cache-classic",
                "--cache-lru 4",
                "--cache-none",
                "--cache-ram 4",
                "--high-ram",
                "--disable-smart-memory",
            ),
            *("--reserve-vram 1", "--disable-async-offload"),
            *("--async-offload", "--disable-dynamic-vram", "--disable-pinned-memory", "--disable-cuda-malloc"),
            *("--mmap-torch-files", "--disable-mmap", "--fast-disk", "--force-non-blocking", "--disable-xformers"),
            *("--preview-method latent2rgb", "--preview-method none", "--disable-metadata", "--multi-user"),
            *("--deterministic", "--use-pytorch-cross-attention", "--default-hashing-function md5"),
            *("--enable-compress-response-body", "--disable-triton-backend", "--cpu-vae", "--disable-api-nodes"),
            *("--fp32-unet", "--fp32-vae", "--fp32-text-enc", "--force-fp32"),
        ],
        60.0,
    ),
    **dict.fromkeys(
        [
            *("--use-split-cross-attention", "--use-quad-cross-attention", "--force-upcast-attention"),
            *("--dont-upcast-attention", "--force-channels-last", "--fast"),
        ],
        45.0,
    ),
    **dict.fromkeys(["--fp16-unet", "--fp16-vae", "--fp16-text-enc", "--fp16-intermediates", "--force-fp16"], 30.0),
    **dict.fromkeys(["--bf16-unet", "--bf16-vae", "--bf16-text-enc"], 20.0),
    **dict.fromkeys(["--fp8_e4m3fn-unet", "--fp8_e4m3fn-text-enc", "--fp8_e5m2-text-enc", "--fp8_e5m2-unet"], 12.0),
}
"""Each flag, and the PSNR in dB that its clips must have against those of the host without it."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("flags", nargs="*", help="only these, without the dashes in front, such as fp16-unet")
    parser.add_argument("--host", choices=hosts.CHOICES, default="best", help="ComfyUI to run in")
    arguments = parser.parse_args()
    for name in arguments.flags:
        if not any(flag.split()[0] == f"--{name}" for flag in FLAGS):
            parser.error(f"{name}: not among {', '.join(sorted(flag.split()[0][2:] for flag in FLAGS))}")
    return arguments


def main() -> int:
    arguments = parse_arguments()
    code = environment.enter(Path(__file__), "client", "torch")
    if code is not None:
        return code
    host = hosts.find(arguments.host)
    chosen = [flag for flag in FLAGS if not arguments.flags or flag.split()[0][2:] in arguments.flags]
    plain = clips(host, "")
    failed = 0
    print(f"{host.describe()}\n\n| flag | clip | film | at least |\n|---|---|---|---|")
    for flag in chosen:
        try:
            ratios = [psnr(found, expected) for found, expected in zip(clips(host, flag), plain, strict=True)]
            shown = " | ".join("equal" if math.isinf(ratio) else f"{ratio:.1f} dB" for ratio in ratios)
            wrong = min(ratios) < FLAGS[flag]
        except (ServerError, RunError) as problem:
            lines = str(problem).strip().splitlines()
            shown, wrong = f"failed: {lines[0][:160]} … {lines[-1][:160]} | ", True
        failed += wrong
        print(f"| `{flag}` | {shown} | {FLAGS[flag]:g} dB{' **missed**' if wrong else ''} |", flush=True)
    print(f"\n{len(chosen) - failed} of {len(chosen)} as they should be")
    return 1 if failed else 0


def clips(host: hosts.Host, flag: str) -> tuple[Any, Any]:
    """Frames ``[n, H, W, 3]`` of a clip and of the film that goes on from it, as the host makes them with a flag."""
    with (
        tempfile.TemporaryDirectory(prefix="seine-flags-") as folder,
        ComfyServer(host, Path(folder), extra_args=flag.split()) as server,
    ):
        picture = server.client.upload_image("picture.png", PICTURE)
        return tuple(frames(server.client, name, picture) for name in ("image_to_video", "extend_video"))


def frames(client: Client, workflow: str, picture: str) -> Any:
    """What a workflow makes with the small model, saved as pictures instead of a video."""
    import numpy
    from PIL import Image

    graph = workflow_graph.with_images(workflow_graph.load(workflow), [picture])
    graph = workflow_graph.with_prompt(graph, "a red ball moves right over a green field")
    settings = {"width": SMALL_SIZE, "height": SMALL_SIZE, "frames": 16, "steps": 6, "seed": 7, "cfg": SMALL_CFG}
    graph = workflow_graph.with_inputs(graph, model_name=SMALL_MODEL, base_name="bundled", **settings)
    for node in list(graph.values()):
        if node["class_type"] == "SaveVideo":
            video = graph[node["inputs"]["video"][0]]
            source = video["inputs"].get("images") or ["parts", 0]
            if source[0] == "parts":
                graph["parts"] = {"class_type": "GetVideoComponents", "inputs": {"video": node["inputs"]["video"]}}
            node |= {"class_type": "SaveImage", "inputs": {"images": source, "filename_prefix": workflow}}
    outputs = client.run(graph)
    pictures = [Image.open(io.BytesIO(client.fetch(file))) for file in client.files(outputs)]
    return numpy.stack([numpy.asarray(picture.convert("RGB"), dtype=numpy.float32) for picture in pictures])


def psnr(found: Any, expected: Any) -> float:
    """In dB; infinite where both are equal."""
    error = float(((found - expected) ** 2).mean())
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


if __name__ == "__main__":
    sys.exit(main())
