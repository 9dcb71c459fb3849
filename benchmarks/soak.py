"""Clips in a row, and clients at once, on one server: `python benchmarks/soak.py --clips 300`.

Follows the server's memory, open files, threads, temporary files and its store of windows, prints them as a table and
draws them with --plot. Exit status 1 where a clip failed, or memory grew by more than --most-growth MB from the tenth
part of the run to its end. Linux, for it reads /proc.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.hosting import environment, hosts, workflow_graph
from tools.hosting.bars import bar
from tools.hosting.client import Client, RunError
from tools.hosting.model_files import SMALL_CFG, SMALL_MODEL, SMALL_SIZE
from tools.hosting.server import ComfyServer

PICTURE = Path(__file__).resolve().parents[1] / "example_inputs" / "seine_red_ball.png"
WORKFLOWS = ("image_to_video", "text_to_video", "transition", "extend_video")
MEASURES = ("memory MB", "open files", "threads", "temporary files", "store MB")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=300, help="clips in a row (default 300)")
    parser.add_argument("--clients", type=int, default=8, help="clients that then queue at once (default 8)")
    parser.add_argument("--each", type=int, default=3, help="clips of each client (default 3)")
    parser.add_argument("--steps", type=int, default=2, help="sampling steps (default 2)")
    parser.add_argument("--most-growth", type=float, default=64, help="MB (default 64)")
    parser.add_argument("--plot", type=Path, help="also draw the figures into this PNG file")
    parser.add_argument("--host", choices=hosts.CHOICES, default="best", help="ComfyUI to run in")
    arguments = parser.parse_args()
    if arguments.clips < 10:
        parser.error("--clips: at least 10")
    return arguments


def main() -> int:
    arguments = parse_arguments()
    code = environment.enter(Path(__file__), "client", "torch", "training")
    if code is not None:
        return code
    host = hosts.find(arguments.host)
    with (
        tempfile.TemporaryDirectory(prefix="seine-soak-") as folder,
        ComfyServer(host, Path(folder)) as server,
    ):
        server.client.upload_image("example.png", PICTURE)
        rows, failed = [], []
        with bar("clips", arguments.clips, unit="clip") as shown:
            for number in range(arguments.clips):
                failed += attempt(server.client, number, arguments.steps)
                rows.append(measure(server))
                shown.update()
        numbers = iter(range(arguments.clips, arguments.clips + arguments.clients * arguments.each))
        failed += at_once(server.client.address, numbers, arguments)
        rows.append(measure(server))
    growth = rows[arguments.clips - 1][0] - rows[arguments.clips // 10][0]
    print(
        f"{host.describe()}: {arguments.clips} clips in a row, then {arguments.clients} clients with {arguments.each}\n"
    )
    print(f"| after | {' | '.join(MEASURES)} |\n|---|{'---|' * len(MEASURES)}")
    for index in sorted({arguments.clips * part // 10 for part in range(10)} | {arguments.clips - 1}):
        print(f"| {index + 1} clips | {' | '.join(f'{value:g}' for value in rows[index])} |")
    print(f"| clients at once | {' | '.join(f'{value:g}' for value in rows[-1])} |")
    print(f"\nfailed: {len(failed)}; memory grew by {growth:.0f} MB")
    print("\n".join(failed[:5]))
    if arguments.plot:
        draw(rows, arguments.plot)
    return 1 if failed or growth > arguments.most_growth else 0


def attempt(client: Client, number: int, steps: int) -> list[str]:
    """Make clip `number`, one workflow after the other; what went wrong, if anything."""
    graph = workflow_graph.load(WORKFLOWS[number % len(WORKFLOWS)])
    settings = {"width": SMALL_SIZE, "height": SMALL_SIZE, "frames": 16, "steps": steps, "cfg": SMALL_CFG}
    graph = workflow_graph.with_inputs(graph, model_name=SMALL_MODEL, base_name="bundled", seed=number, **settings)
    try:
        files = client.files(client.run(graph))
        return [] if files else [f"clip {number}: no file"]
    except (RunError, OSError) as problem:
        return [f"clip {number}: {problem}".splitlines()[0]]


def at_once(address: str, numbers: Iterator[int], arguments: argparse.Namespace) -> list[str]:
    """All clients, each with a connection of its own, queue their clips together."""
    failed: list[str] = []

    def work(own: list[int]) -> None:
        client = Client(address)
        for number in own:
            failed.extend(attempt(client, number, arguments.steps))
        client.close()

    shares = [[next(numbers) for _ in range(arguments.each)] for _ in range(arguments.clients)]
    threads = [threading.Thread(target=work, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


def measure(server: ComfyServer) -> list[float]:
    """The server's MEASURES now."""
    time.sleep(0.05)  # what a run leaves to its end is gone then
    process = Path("/proc") / str(server.process.pid)
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    temporary = sum(len(files) for _, _, files in os.walk(server.base / "temp"))
    store = sum(file.stat().st_size for file in (server.base / "user" / "seine_windows").glob("*"))
    memory = int(status["VmRSS"].split()[0]) / 1024
    return [round(memory), len(os.listdir(process / "fd")), int(status["Threads"]), temporary, round(store / 1e6, 1)]


def draw(rows: list[list[float]], file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(MEASURES), figsize=(3 * len(MEASURES), 2.6), constrained_layout=True)
    for axis, name, values in zip(axes, MEASURES, zip(*rows, strict=True), strict=True):
        axis.plot(range(1, len(values) + 1), values)
        axis.set(title=name, xlabel="clips", ylim=(0, None))
        axis.grid(alpha=0.3)
    figure.savefig(file, dpi=100)
    pyplot.close(figure)


if __name__ == "__main__":
    sys.exit(main())
