"""Time one guided step of the full-size UNet beside the official code, in alternating runs, and print a table.

    python benchmarks/unet.py --official path/to/SEINE

A guided step is one forward of both guidance halves. Every run is a process of its own, one after the other: it builds
one implementation with random weights, warms up and measures. Without --official only ours is timed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import statistics
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata, util
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import torch
import unet_worker
from unet_worker import DTYPES, FULL, IMPLEMENTATIONS, SMALL

DEFAULTS = {
    "cpu": {"dtype": ["fp32"], "sizes": [(128, 128)], "frames": [16], "runs": 5},
    "cuda": {
        "dtype": ["fp16", "bf16"],
        "sizes": [(560, 240), (512, 320), (512, 512)],
        "frames": [8, 16, 32],
        "runs": 2,
    },
}
PEAK_TFLOPS = {"H100": 770, "H200": 790}
"""What large half-precision matrix products reach on a device, by a part of its name."""
OFFICIAL_NEEDS = ("diffusers", "einops", "rotary_embedding_torch")
VERSIONS = ("torch", "diffusers", "xformers")
GIB = 2**30


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = parse_arguments(arguments)
    if options.check:
        return 0 if unet_worker.check(options.official, options.threads, options.small) else 1
    report = {
        "device": options.device,
        "threads": options.threads,
        "versions": {**_versions(), "python": sys.version.split()[0], "cuda": torch.version.cuda},
        "settings": [],
    }
    shown = 0
    for size, frames, videos, dtype in itertools.product(options.sizes, options.frames, options.videos, options.dtype):
        setting = {"size": size, "frames": frames, "videos": videos, "dtype": dtype}
        report["settings"].append(_measure(setting, options))
        report |= _identify_device(report, options)
        # Kept and printed as it grows: of a long benchmark that is cut short, what was measured is there.
        lines = table(report)
        print("\n".join(lines[shown:]), flush=True)
        shown = len(lines)
        if options.json:
            options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    problems = {_problem(runs) for setting in report["settings"] for runs in setting["runs"].values()}
    return 0 if problems <= {None, "out of memory"} else 1


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Fills in the defaults of the device and refuses what cannot be measured."""
    description, _, epilog = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=description, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--official", type=Path, help="a checkout of the official SEINE code")
    parser.add_argument("--device", choices=tuple(DEFAULTS), help="default: cuda where there is one")
    parser.add_argument("--dtype", choices=tuple(DTYPES), nargs="+", help="default: fp32 on cpu, fp16 bf16 on cuda")
    parser.add_argument("--sizes", type=_size, nargs="+", help="WIDTHxHEIGHT pixels (default: 128x128 on cpu)")
    parser.add_argument("--frames", type=_positive, nargs="+", help="default: 16 on cpu, 8 16 32 on cuda")
    parser.add_argument("--videos", type=_positive, nargs="+", default=[1], help="videos per step (default: 1)")
    parser.add_argument("--compile", action="store_true", help="also time ours under torch.compile")
    parser.add_argument("--plain", action="store_true", help="also time ours by PyTorch's operators alone, CUDA only")
    parser.add_argument("--autotune", action="store_true", help="let cuDNN choose by trial, as --fast autotune")
    parser.add_argument("--windows", action="store_true", help="also time ours in windows of 16 frames, for long clips")
    parser.add_argument("--runs", type=_positive, help="runs of each implementation (default: 5 on cpu, 2 on cuda)")
    parser.add_argument("--threads", type=_positive, default=2, help="CPU threads (default: 2)")
    parser.add_argument("--peak-tflops", type=float, help="of the device, for the share of its floor (H200: 790)")
    parser.add_argument("--json", type=Path, help="also write every run's numbers to this file")
    parser.add_argument(
        "--check", action="store_true", help="instead: give both the same weights and compare what they predict (CPU)"
    )
    parser.add_argument("--small", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    options.device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    for name, value in DEFAULTS[options.device].items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    if problem := _refusal(options):
        parser.error(problem)
    return options


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()) or not int(width) or not int(height):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT in pixels, as 512x320")
    if int(width) % 8 or int(height) % 8:
        raise argparse.ArgumentTypeError(f"{text}: width and height must be multiples of 8")
    return int(width), int(height)


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


def _refusal(options: argparse.Namespace) -> str | None:
    """Why nothing can be measured with these options."""
    if options.device == "cuda" and not torch.cuda.is_available():
        return "--device cuda: PyTorch finds no CUDA device here"
    if options.device == "cpu" and util.find_spec("resource") is None:
        return "peak memory per process cannot be measured on this system: use Linux or macOS"
    if options.official is None:
        return "--check needs --official, a checkout to compare with" if options.check else None
    if not (options.official / "models" / "unet.py").is_file():
        return f"--official {options.official} has no models/unet.py in it: name a checkout"
    missing = [name.replace("_", "-") for name in OFFICIAL_NEEDS if util.find_spec(name) is None]
    return f"the official code needs more packages: pip install {' '.join(missing)}" if missing else None


def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in VERSIONS if util.find_spec(name) is not None}


def _measure(setting: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """All runs of one setting; an implementation that has failed once is not tried again."""
    width, height = setting["size"]
    sample = (2 * setting["videos"], FULL.in_channels, setting["frames"], height // 8, width // 8)
    wanted = {"official": options.official is not None, "ours": True, "ours compiled": options.compile}
    wanted |= {"ours in windows": options.windows, "ours without its kernels": options.plain}
    names = [name for name in IMPLEMENTATIONS if wanted[name]]
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for number in range(options.runs):
        for name in names if number % 2 == 0 else reversed(names):
            if not _problem(runs[name]):
                runs[name].append(_run(name, sample, setting["dtype"], options))
                run = runs[name][-1]
                result = run.get("problem") or f"{run['seconds']:.4g} s"
                where = f"{width}x{height}, {setting['frames']} frames, {setting['videos']} videos, {setting['dtype']}"
                print(f"{where}: run {number + 1} {name}: {result}", file=sys.stderr, flush=True)
    flops = unet_worker.count_flops(sample, SMALL if options.small else FULL)
    return {**setting, "sample": sample, "flops": flops, "runs": runs}


def _run(name: str, sample: Sequence[int], dtype: str, options: argparse.Namespace) -> dict[str, Any]:
    """One process: what it measured, or its problem."""
    values = {"implementation": name, "sample": sample, "dtype": dtype, "device": options.device}
    values |= {"threads": options.threads, "official": str(options.official), "small": options.small}
    values |= {"autotune": options.autotune}
    command = [sys.executable, unet_worker.__file__, json.dumps(values)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    print(process.stderr, end="", file=sys.stderr, flush=True)
    if process.returncode == -getattr(signal, "SIGKILL", 9):
        return {"problem": "out of memory"}  # the system ends a process so when memory runs out
    if process.returncode:
        said = process.stderr.strip().rpartition("\n")[-1].replace("|", "/")
        return {"problem": f"failed with status {process.returncode}" + (f": {said}" if said else "")}
    return json.loads(process.stdout.splitlines()[-1])


def _identify_device(report: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Its name, which the runs tell: this process leaves the device alone. And its peak, where that is known."""
    runs = [run for setting in report["settings"] for runs in setting["runs"].values() for run in runs]
    name = next((run["device"] for run in runs if "device" in run), options.device)
    known = next((tflops for part, tflops in PEAK_TFLOPS.items() if part in name), None)
    return {"device_name": name, "peak_tflops": options.peak_tflops or known}


def _problem(runs: list[dict[str, Any]]) -> str | None:
    return next((run["problem"] for run in runs if "problem" in run), None)


def table(report: dict[str, Any]) -> list[str]:
    """The lines of a markdown table with a heading, a row per setting and implementation."""
    rows = [_row(report, setting, name) for setting in report["settings"] for name in setting["runs"]]
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items() if version)
    threads = f", {report['threads']} threads" if report["device"] == "cpu" else ""
    texts = 5
    return [
        f"One guided step on {report['device_name']}{threads} ({versions})",
        "",
        "| " + " | ".join(rows[0]) + " |",
        "| " + " | ".join("---" if index < texts else "---:" for index in range(len(rows[0]))) + " |",
        *("| " + " | ".join(row.values()) + " |" for row in rows),
    ]


def _row(report: dict[str, Any], setting: dict[str, Any], name: str) -> dict[str, str]:
    """One line's cells, by the name of their column."""
    runs = setting["runs"][name]
    on_cpu = report["device"] == "cpu"
    unit, factor, digits = ("s", 1, 2) if on_cpu else ("ms", 1000, 1)
    peak = report["peak_tflops"]
    attention = runs[0].get("attention", "own")
    row = {
        "size": "{}x{}".format(*setting["size"]),
        "frames": str(setting["frames"]),
        "videos": str(setting["videos"]),
        "dtype": setting["dtype"],
        "implementation": name if attention == "own" else f"{name} ({attention})",
    }
    columns = [unit, "from – to", *(["min CPU s"] if on_cpu else []), "official / this", "peak GiB"]
    columns += ["floor / time"] if peak else []
    if problem := _problem(runs):
        return row | dict.fromkeys(columns, "–") | {unit: problem}
    seconds = [run["seconds"] for run in runs]
    row[unit] = f"{statistics.median(seconds) * factor:.{digits}f}"
    row["from – to"] = f"{min(seconds) * factor:.{digits}f} – {max(seconds) * factor:.{digits}f}"
    if on_cpu:
        row["min CPU s"] = f"{min(run['cpu_seconds'] for run in runs):.2f}"
    row["official / this"] = _ratio(setting["runs"].get("official", []), runs)
    row["peak GiB"] = f"{max(run['peak_bytes'] for run in runs) / GIB:.2f}"
    if peak:
        floor = setting["flops"] / (peak * 1e12)
        row["floor / time"] = "–" if setting["dtype"] == "fp32" else f"{floor / statistics.median(seconds):.0%}"
    return row


def _ratio(official: list[dict[str, Any]], runs: list[dict[str, Any]]) -> str:
    """Median of the runs side by side, and the least and most of them."""
    if not official or _problem(official):
        return "–"
    if official is runs:
        return "1"
    ratios = [theirs["seconds"] / ours["seconds"] for theirs, ours in zip(official, runs, strict=True)]
    spread = f" ({min(ratios):.2f} – {max(ratios):.2f})" if len(ratios) > 1 else ""
    return f"{statistics.median(ratios):.2f}{spread}"


if __name__ == "__main__":
    sys.exit(main())
