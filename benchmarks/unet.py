"""Time one full-size forward pass on the CPU beside the official code, in alternating runs, and print a table.

    python benchmarks/unet_cpu.py --official path/to/SEINE

Every run is a process of its own, one after the other: it builds one implementation with random weights, does one
forward pass to warm up and times the next; its peak memory is that of the whole process. Needs Linux or macOS.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

IMPLEMENTATIONS = ("official", "ours")
SAMPLE = (2, 9, 16, 16, 16)
CHECK_SAMPLE = (1, 9, 4, 8, 8)
CHECK_TOLERANCE = 1e-4
PROMPT_TOKENS = 77
GIB = 2**30


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    if not (options.official / "models" / "unet.py").is_file():
        print(f"error: --official {options.official} has no models/unet.py in it: name a checkout", file=sys.stderr)
        return 1
    if options.worker:
        _work(options.worker, options.official, options.threads)
        return 0
    if options.check:
        return _check(options.official, options.threads)
    if not hasattr(os, "wait4"):
        print("error: peak memory per process cannot be measured on this system: use Linux or macOS", file=sys.stderr)
        return 1
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in IMPLEMENTATIONS}
    for number in range(options.runs):
        for name in IMPLEMENTATIONS if number % 2 == 0 else reversed(IMPLEMENTATIONS):
            runs[name].append(_run(name, options))
            print(f"run {number + 1} {name}: {runs[name][-1]['seconds']:.2f} s", file=sys.stderr, flush=True)
    report = _report(runs, options.threads)
    print(_table(report))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    description, _, epilog = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=description, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--official", type=Path, required=True, help="a checkout of the official SEINE code")
    parser.add_argument("--runs", type=int, default=5, help="runs of each implementation (default: 5)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    parser.add_argument("--json", type=Path, help="also write every run's numbers to this file")
    parser.add_argument(
        "--check", action="store_true", help="instead: give both the same weights and compare what they predict"
    )
    parser.add_argument("--worker", choices=IMPLEMENTATIONS, help=argparse.SUPPRESS)
    return parser


def _run(name: str, options: argparse.Namespace) -> dict[str, float]:
    """One process: seconds, and its peak memory in bytes as the system counted it."""
    command = [sys.executable, __file__, "--official", options.official, "--threads", options.threads, "--worker", name]
    with subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True) as process:
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"error: the run of the {name} code failed with status {process.returncode}")
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {**json.loads(output.splitlines()[-1]), "peak_bytes": peak}


def _work(name: str, official: Path, threads: int) -> None:
    """Build, warm up, time one forward pass; print the result as JSON."""
    import torch

    torch.set_num_threads(threads)
    started = time.perf_counter()
    model = _build_official(official) if name == "official" else _build_ours()
    built = time.perf_counter() - started
    inputs = _inputs(SAMPLE)
    _predict(model, inputs)
    started, cpu_started = time.perf_counter(), time.process_time()
    out = _predict(model, inputs)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    if not torch.isfinite(out).all():
        raise SystemExit(f"error: the {name} code predicts values that are not finite")
    times = {"seconds": seconds, "cpu_seconds": cpu_seconds, "build_seconds": built}
    print(json.dumps({**times, "torch": torch.__version__}))


def _build_official(checkout: Path) -> Any:
    from seine_model import SeineConfig

    sys.path.insert(0, str(checkout.resolve()))
    try:
        from models.unet import UNet3DConditionModel
    except ModuleNotFoundError as error:
        raise SystemExit(
            f"error: the official code needs {error.name}: pip install diffusers rotary-embedding-torch einops"
        ) from error
    model = UNet3DConditionModel(sample_size=64, use_first_frame=False, **SeineConfig().to_dict())
    return model.eval().requires_grad_(False)


def _build_ours() -> Any:
    from seine_model import SeineUNet3D
    from seine_model.temporal import rotary_frequencies

    model = SeineUNet3D()
    tables = {key: rotary_frequencies() for key in model.state_dict() if key.endswith("rotary_emb.freqs")}
    model.load_state_dict(tables, strict=False)
    return model.eval().requires_grad_(False)


def _inputs(shape: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """Latents, timesteps (different ones), text: the same numbers in every run."""
    import torch

    generator = torch.Generator().manual_seed(1)
    timestep = torch.tensor([700, 200])[: shape[0]]
    return (
        torch.randn(shape, generator=generator),
        timestep,
        torch.randn(shape[0], PROMPT_TOKENS, 768, generator=generator),
    )


def _predict(model: Any, inputs: tuple[Any, Any, Any]) -> Any:
    import torch

    with torch.no_grad():
        out = model(*inputs)
    return out if isinstance(out, torch.Tensor) else out.sample


def _check(official: Path, threads: int) -> int:
    """Both implementations with the same weights; the official code's zero-initialised layers are made to count."""
    import torch

    from seine_model import SeineUNet3D
    from seine_model.checkpoint import check_state_dict

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    reference = _build_official(official)
    for parameter in reference.parameters():
        if not parameter.any():
            parameter.normal_(std=0.02)
    weights = reference.state_dict()
    ours = SeineUNet3D(device="meta")
    check_state_dict(weights, ours.config)
    ours.load_state_dict(weights, assign=True)
    inputs = _inputs(CHECK_SAMPLE)
    expected, given = _predict(reference, inputs), _predict(ours.eval(), inputs)
    error, scale = float((given - expected).abs().max()), float(expected.std())
    agrees = error <= CHECK_TOLERANCE * scale
    print(
        f"{len(weights)} keys; output {list(given.shape)}, standard deviation {scale:.3g}; "
        f"largest difference {error:.3g}, {error / scale:.2g} of it: {'agrees' if agrees else 'DIFFERS'}"
    )
    return 0 if agrees else 1


def _report(runs: dict[str, list[dict[str, float]]], threads: int) -> dict[str, Any]:
    return {
        "sample": SAMPLE,
        "threads": threads,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "torch": runs["ours"][0]["torch"],
        "runs": runs,
        "ratios": [a["seconds"] / b["seconds"] for a, b in zip(runs["official"], runs["ours"], strict=True)],
    }


def _table(report: dict[str, Any]) -> str:
    setting = f"float32, sample {list(report['sample'])}, {report['threads']} threads, torch {report['torch']}"
    lines = [
        f"One forward pass, {setting}, {report['machine']}",
        "",
        "| implementation | median s | min s | max s | min CPU s | peak memory GiB |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, runs in report["runs"].items():
        seconds = [run["seconds"] for run in runs]
        peak = max(run["peak_bytes"] for run in runs) / GIB
        cpu = min(run["cpu_seconds"] for run in runs)
        numbers = (statistics.median(seconds), min(seconds), max(seconds), cpu, peak)
        lines.append(f"| {name} | " + " | ".join(f"{number:.2f}" for number in numbers) + " |")
    ratios = report["ratios"]
    spread = f"median of the runs side by side; {min(ratios):.2f} to {max(ratios):.2f}"
    lines += ["", f"official / ours: {statistics.median(ratios):.2f} ({spread}); above 1 ours is faster."]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
