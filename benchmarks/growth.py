"""Draw how time and memory grow with frames and with pixels, from JSON files that unet.py wrote on one device.

    python benchmarks/unet.py --windows --frames 8 16 32 64 --json frames.json
    python benchmarks/unet.py --sizes 128x128 256x256 512x320 --json pixels.json
    python benchmarks/growth.py frames.json pixels.json growth.png

A line is drawn wherever there is more than one number of frames, or more than one size.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

GIB = 2**30
MEASURES = {"seconds": ("seconds of a guided step", 1), "peak_bytes": ("peak memory, GiB", GIB)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("numbers", type=Path, nargs="+", help="what unet.py --json wrote")
    parser.add_argument("picture", type=Path, help="the .png to draw")
    arguments = parser.parse_args()
    reports = [json.loads(file.read_text(encoding="utf-8")) for file in arguments.numbers]
    if len({report["device_name"] for report in reports}) > 1:
        parser.error("numbers: they are of several devices, whose times cannot be drawn as one")
    draw(
        reports[0] | {"settings": [setting for report in reports for setting in report["settings"]]}, arguments.picture
    )
    return 0


def curves(report: dict[str, Any], measure: str) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """By what grows, frames or pixels, the points of each line: size, or frames, and implementation."""
    divisor = MEASURES[measure][1]
    found: dict[str, dict[str, dict[float, float]]] = {"frames": {}, "pixels": {}}
    for setting in report["settings"]:
        width, height = setting["size"]
        for name, runs in setting["runs"].items():
            if any("problem" in run for run in runs):
                continue
            value = statistics.median(run[measure] for run in runs) / divisor
            by_frames = found["frames"].setdefault(f"{width}x{height}, {name}", {})
            by_frames[setting["frames"]] = value
            by_pixels = found["pixels"].setdefault(f"{setting['frames']} frames, {name}", {})
            by_pixels[width * height] = value
    return {
        grows: {name: sorted(points.items()) for name, points in lines.items() if len(points) > 1}
        for grows, lines in found.items()
    }


def draw(report: dict[str, Any], file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = [grows for grows, lines in curves(report, "seconds").items() if lines]
    figure, axes = pyplot.subplots(
        len(shown), len(MEASURES), figsize=(10, 3.4 * len(shown)), constrained_layout=True, squeeze=False
    )
    for row, grows in zip(axes, shown, strict=True):
        for axis, (measure, (label, _)) in zip(row, MEASURES.items(), strict=True):
            for name, points in curves(report, measure)[grows].items():
                axis.plot(*zip(*points, strict=True), marker="o", label=name)
            axis.set(xlabel=grows, ylabel=label)
            axis.set_ylim(bottom=0)
            axis.legend()
    figure.suptitle(f"{report['device_name']}, torch {report['versions']['torch']}")
    figure.savefig(file, dpi=80)


if __name__ == "__main__":
    raise SystemExit(main())
