"""Measure all of it on this machine's GPU, part by part: `python benchmarks/gpu.py --results gpu.json --write`.

Every part takes ten minutes at most and is kept in the results as soon as it is done; another run does only what is not
there yet. The tables go into docs/performance.md. On a machine without a network see --here.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import gpu_report
from tools.demo import sees_gpu
from tools.hosting import environment, hosts
from tools.hosting.server import REPOSITORY, prepare_base, run_in_host
from tools.train import SMALL

SECONDS = 600
"""Of one part at most."""
GRACE = 20
"""Seconds that a part has to end what it started."""
FORMATS = {name: [SMALL.name, name] for name in ("fp32", "fp16", "bf16", "fp8_e4m3fn")}
FILES = ("int8", "fp8_scaled")
CASES = (
    "512x320",
    "512x512",
    "512x512, PyTorch's own norms",
    "1024x576",
    "512x320, bf16",
    "512x320, fp8",
    "512x320, fp8_scaled (file)",
    "512x320, int8 (file)",
    "512x320, fp32",
    "512x320, 32 frames",
    "512x320, ControlNet, patches, a prompt for each frame",
)
"""Of the counted table."""


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True, help="a .json file, read and written: what is measured")
    parser.add_argument("--only", choices=tuple(PARTS), nargs="+", default=tuple(PARTS), help="some of the parts")
    parser.add_argument("--again", action="store_true", help="also those parts that are in the results")
    parser.add_argument("--official", type=Path, help="a checkout of the official code, to be timed beside ours")
    parser.add_argument("--budget", type=float, help="seconds after which no part is begun or goes on")
    parser.add_argument("--write", action="store_true", help=f"put the tables into docs/{gpu_report.DOCUMENT.name}")
    parser.add_argument("--here", action="store_true", help="in this Python, which has all that is needed: no pip")
    parser.add_argument("--small", action="store_true", help="on the CPU, everything as small as it goes: a try")
    parser.add_argument("--host", choices=hosts.CHOICES, default="best", help="ComfyUI to run in")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    if options.here:
        os.environ.setdefault(environment.STARTED, str(time.time()))
    code = environment.enter(Path(__file__), "client", "torch", "training")
    if code is not None:
        return code
    host = hosts.find(options.host)
    if not options.small and not sees_gpu(host, host.prepare()):
        print("PyTorch finds no GPU here; --small tries everything on the CPU", file=sys.stderr)
        return 1
    results = measure(options, host)
    print(gpu_report.tables(results))
    if options.write:
        document = gpu_report.DOCUMENT
        document.write_text(gpu_report.written_into(document.read_text(encoding="utf-8"), results), encoding="utf-8")
    return int(any(part.get("error") for part in results["parts"].values()))


def measure(options: argparse.Namespace, host: hosts.Host) -> dict[str, Any]:
    """Do the parts that are wanted and not there; what was measured is in the file after each."""
    results = {"host": host.describe(), "small": options.small, "parts": {}}
    if options.results.exists():
        results |= json.loads(options.results.read_text(encoding="utf-8"))
        if results["small"] != options.small:
            raise ValueError(
                f"--results: {options.results.name} is of a run {'with' * results['small'] or 'without'} "
                "--small: name another file"
            )
    ends = time.monotonic() + options.budget if options.budget else float("inf")
    for name in options.only:
        if name in results["parts"] and not results["parts"][name].get("error") and not options.again:
            continue
        began = time.monotonic()
        seconds = min(SECONDS, ends - began)
        if seconds <= 0:
            print(f"{name}: no time left, another run goes on here", flush=True)
            break
        part: dict[str, Any] = {}
        with tempfile.TemporaryDirectory(prefix="seine-gpu-") as folder:
            try:
                part["found"] = PARTS[name](options, host, Path(folder), seconds)
            except (AssertionError, OSError, ValueError, subprocess.SubprocessError) as problem:
                part["error"] = (str(problem).strip().splitlines() or [type(problem).__name__])[-1]
        part["seconds"] = round(time.monotonic() - began, 1)
        results["parts"][name] = part
        print(f"{name}: {part.get('error') or 'done'}, {part['seconds']:.0f} s", flush=True)
        options.results.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results


def in_host(
    options: argparse.Namespace, host: hosts.Host, folder: Path, seconds: float, cpu: bool = False, **keywords: Any
) -> Any:
    prepare_base(folder / "base", {"seine": sorted(folder.glob("*.safetensors"))})
    script = Path(__file__).with_name("gpu_in_host.py")
    return run_in_host(host, folder / "base", script, keywords, timeout=seconds, cpu=cpu or options.small)


def compare(options: argparse.Namespace, host: hosts.Host, folder: Path, seconds: float) -> dict[str, Any]:
    """A clip of the small model in every number format, here and on the CPU: how far each is from the CPU's fp32."""
    from safetensors.torch import load_file

    from seine_model.conversion import convert

    models = dict(FORMATS)
    for name in FILES:
        convert(SMALL, folder / f"{name}.safetensors", name)
        models[name] = [f"{name}.safetensors", "default"]
    made = {}
    with tempfile.TemporaryDirectory() as apart:  # the folder's files are shown to the host as models
        for place, cpu in (("cpu", True), ("device", False)):
            target = Path(apart) / f"{place}.safetensors"
            keywords = {"task": "clips", "models": models, "target": str(target)}
            said = in_host(options, host, folder, seconds / 2, cpu, **keywords)
            made[place] = load_file(target)
    exact = made["cpu"]

    def error(place: str, name: str) -> float:
        of = exact["frames" if name == "frames" else "fp32"]
        return float((made[place][name] - of).square().mean().sqrt() / of.std())

    return said | {"errors": {name: [error("cpu", name), error("device", name)] for name in ("frames", *models)}}


def steps(options: argparse.Namespace, host: hosts.Host, folder: Path, seconds: float) -> list[dict[str, Any]]:
    """A step's memory and time in ComfyUI, beside what is counted of it."""
    names = [*CASES[:1], CASES[7]] if options.small else list(CASES)
    return in_host(options, host, folder, seconds, task="steps", names=names, small=options.small)


def cards(options: argparse.Namespace, host: hosts.Host, folder: Path, seconds: float) -> dict[str, Any]:
    """A clip split over two cards, where there are two."""
    return in_host(options, host, folder, seconds, task="cards", file=SMALL.name)


def command(script: str, small: str, large: str) -> Callable[[argparse.Namespace, hosts.Host, Path, float], Any]:
    """A part that is another benchmark: what it writes by --json, as far as it comes in its time."""

    def run(options: argparse.Namespace, host: hosts.Host, folder: Path, seconds: float) -> Any:
        numbers = folder / "numbers.json"
        words = (small if options.small else large).split()
        if script == "unet.py":
            words += ["--official", str(options.official.resolve())] if options.official else []
        else:
            words += ["--host", host.name]
        line = [sys.executable, str(REPOSITORY / "benchmarks" / script), *words, "--json", str(numbers)]
        with open(folder / "said.log", "wb") as log:
            process = subprocess.Popen(line, stdout=log, stderr=subprocess.STDOUT)
            try:
                code = process.wait(seconds)
                problem = "" if code == 0 else f"status {code}: {environment.tail(folder / 'said.log', 3)}"
            except subprocess.TimeoutExpired:
                problem = f"took more than {seconds:.0f} s"
            finally:
                _end(process)
        if not numbers.exists():
            raise OSError(f"{script}: {problem or 'wrote no numbers'}")
        shown = [Path(word).name if Path(word).is_absolute() else word for word in words]
        found = {"command": " ".join(["python", f"benchmarks/{script}", *shown]), "problem": problem}
        return found | {"numbers": json.loads(numbers.read_text(encoding="utf-8"))}

    return run


def _end(process: subprocess.Popen) -> None:
    """Let it end what it has started."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


_SMALL_UNET = "--device cpu --small --sizes 64x64 --frames 2 --dtype fp32 --runs 1"
PARTS: dict[str, Callable[[argparse.Namespace, hosts.Host, Path, float], Any]] = {
    "comparison": compare,
    "steps in ComfyUI": steps,
    "step": command("unet.py", _SMALL_UNET, "--device cuda --dtype fp16 bf16 --sizes 512x320 512x512 --frames 16 32"),
    "step, fp32": command("unet.py", _SMALL_UNET, "--device cuda --dtype fp32 --sizes 512x320 --frames 16"),
    "clip": command(
        "clip.py",
        f"--checkpoint {SMALL} --width 64 --height 64 --frames 4 --steps 2 --clips 1 --device cpu --distilled",
        "--distilled",
    ),
    "processor": command("processor.py", "--runs 3", "--runs 30"),
    "small model": command(
        "small_model.py",
        "--only quality --scenes 1 --steps 2 --device cpu",
        "--only quality precision --scenes 8 --device auto",
    ),
    "films": command(
        "long_video.py",
        "--only formats --formats fp32 --scenes 1 --extensions 1 --steps 2 --device cpu",
        "--only formats --scenes 4 --extensions 6 --device auto",
    ),
    "two cards": cards,
}
"""What there is to measure, in the order of its worth."""


if __name__ == "__main__":
    sys.exit(main())
