"""Time from a change to the clip that plays, in a browser: `python benchmarks/interactive.py`.

Opens the workflow of *SEINE 16 Interactive* at a real ComfyUI with the small model, turns *Run (On Change)* on and
writes one prompt after the other, by turns for a clip in few steps and for one by the nodes' defaults. Measured in the
page, from the last letter until the clip is seen in its node. Chromium or Chrome is needed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.authoring.few_step_workflows import FEW
from tools.hosting import browser, environment, hosts, live_clip
from tools.hosting.model_files import SMALL_CFG
from tools.hosting.server import ComfyServer

DEFAULT = {"steps": 25, "cfg": SMALL_CFG, "sampler_name": "ddim", "scheduler": "seine"}
SETTINGS = {f"{each['steps']} steps, cfg {each['cfg']:g}": each for each in (FEW, DEFAULT)}
COLOURS, SHAPES = ("red", "yellow", "green", "blue", "purple", "white"), ("ball", "triangle", "ring", "cross")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=8, help="changes to time for each of the two (default 8)")
    parser.add_argument("--vue", action="store_true", help="in the interface's Vue nodes instead of the classic ones")
    parser.add_argument("--json", type=Path, help="also write every number")
    arguments = parser.parse_args()
    if not 1 <= arguments.changes <= len(COLOURS) * len(SHAPES):
        parser.error(f"--changes: 1 to {len(COLOURS) * len(SHAPES)}")
    return arguments


def main() -> int:
    arguments = parse_arguments()
    code = environment.enter(Path(__file__), "client", "browser")
    if code is not None:
        return code
    host = hosts.find("modern")
    with (
        tempfile.TemporaryDirectory(prefix="seine-interactive-") as base,
        ComfyServer(host, Path(base)) as server,
        browser.browser() as chromium,
    ):
        settings = {**browser.SETTINGS, "Comfy.VueNodes.Enabled": arguments.vue}
        browser.save_settings(server.client.address, settings)
        times = time_changes(browser.open_interface(chromium, server.client.address), arguments.changes)
    report(times, host.describe())
    if arguments.json:
        arguments.json.write_text(json.dumps(times, indent=1) + "\n", encoding="utf-8")
    return 0


def time_changes(page: Any, count: int) -> dict[str, list[dict[str, float]]]:
    """Milliseconds of `count` changes by each of SETTINGS, by turns; one of each before them is not counted."""
    live_clip.open_workflow(page)
    live_clip.run_on_change(page)
    times: dict[str, list[dict[str, float]]] = {name: [] for name in SETTINGS}
    for number in range(count + 1):
        for name, values in SETTINGS.items():
            live_clip.set_sampler(page, values)
            live_clip.write(page, words(number, name))
            clip = live_clip.shown(page, timeout_ms=300_000)
            page.wait_for_timeout(300)  # the interface is done with this one
            if number:
                parts = {"started": clip["started"] - clip["typed"], "shown": clip["shown"] - clip["typed"]}
                times[name].append(parts)
    return times


def words(number: int, settings: str) -> str:
    """A prompt that no other clip of the run has."""
    motion = "moves left" if SETTINGS[settings] is FEW else "moves up"
    colour, shape = COLOURS[number % len(COLOURS)], SHAPES[number // len(COLOURS) % len(SHAPES)]
    return f"a {colour} {shape} {motion} over a brown field"


def report(times: dict[str, list[dict[str, float]]], where: str) -> None:
    print(f"\nmilliseconds from the last letter, medians\n{where}\n")
    print("| | the run starts | the clip plays | fastest | slowest |\n| --- | --- | --- | --- | --- |")
    for name, clips in times.items():
        shown = [clip["shown"] for clip in clips]
        started = statistics.median(clip["started"] for clip in clips)
        print(f"| {name} | {started:.0f} | {statistics.median(shown):.0f} | {min(shown):.0f} | {max(shown):.0f} |")
    few, default = (statistics.median(clip["shown"] for clip in clips) for clips in times.values())
    print(f"\nThe clip plays {default / few:.1f} times as soon in few steps.")


if __name__ == "__main__":
    sys.exit(main())
