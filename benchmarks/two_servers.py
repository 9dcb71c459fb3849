"""Two ComfyUIs that share one store of windows, which holds few: `python benchmarks/two_servers.py [--films 50]`.

Both make films at the same time with the small model, with seeds that come again, while each saved window pushes out
others. Prints how many films failed and how many differ from what the same seed gave before; exit status 1 where any
did.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.hosting import environment, hosts
from tools.hosting.bars import bar
from tools.hosting.client import Client, RunError
from tools.hosting.model_files import SMALL_MODEL, SMALL_SIZE
from tools.hosting.server import ComfyServer

SEEDS = 5
WINDOWS_KEPT = 6
SMALL_STORE = '''
import sys


class SmallStore:
    """Test only: the pack's store of windows holds so many bytes."""

    RETURN_TYPES, FUNCTION, CATEGORY, OUTPUT_NODE = (), "run", "test", True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"bytes": ("INT", {"default": 0, "max": 2**40})}}

    def run(self, bytes):
        for name, module in list(sys.modules.items()):
            if name.endswith("comfy_adapter.films.window_store"):
                module.MOST_BYTES = bytes
        return ()


NODE_CLASS_MAPPINGS = {"SmallStore": SmallStore}
'''


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=50, help="by both together (default: 50)")
    parser.add_argument("--host", choices=hosts.CHOICES, default="best", help="ComfyUI to run in")
    arguments = parser.parse_args()
    if arguments.films < 2:
        parser.error("--films: at least 2")
    return arguments


def main() -> int:
    arguments = parse_arguments()
    code = environment.enter(Path(__file__), "client", "torch")
    if code is not None:
        return code
    host = hosts.find(arguments.host)
    with tempfile.TemporaryDirectory(prefix="seine-two-servers-") as folder:
        shared = Path(folder) / "shared"
        shared.mkdir()
        # Without the host's own memory of results, so that every film asks the store.
        flags = ["--user-directory", str(shared), "--cache-none"]
        servers = [ComfyServer(host, Path(folder) / name, extra_args=flags) for name in "ab"]
        for server in servers:
            node = server.base / "custom_nodes" / "small_store" / "__init__.py"
            node.parent.mkdir(parents=True)
            node.write_text(SMALL_STORE, encoding="utf-8")
        with servers[0], servers[1]:
            failed, films, removed = share(servers, arguments.films, shared / "seine_windows")
    different = sum(any(film != each[0] for film in each) for each in films.values())
    print(f"{host.describe()}: {arguments.films} films, {len(failed)} failed, {removed} windows seen to be pushed out")
    print(f"{sum(map(len, films.values()))} films of {len(films)} seeds: {different} seeds gave different films")
    print("\n".join(failed[:5]))
    return 1 if failed or different else 0


def share(servers: list[ComfyServer], films: int, store: Path) -> tuple[list[str], dict[int, list[bytes]], int]:
    """All servers make films at once: what failed, each film's latents by seed, and how many windows were removed."""
    from safetensors.torch import load

    failed: list[str] = []
    made: dict[int, list[bytes]] = {}
    numbers = iter(range(films))
    lock = threading.Lock()
    progress = bar("films", films, unit="film")

    def work(server: ComfyServer) -> None:
        client = Client(server.client.address)
        # A window of 16 frames with 4 channels and 4 bytes a value.
        client.run({"limit": node("SmallStore", bytes=WINDOWS_KEPT * 16 * 4 * 4 * (SMALL_SIZE // 8) ** 2)})
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                break
            try:
                outputs = client.run(film(number))
                content = load(client.fetch(client.files(outputs)[0]))["latent_tensor"].numpy().tobytes()
                with lock:
                    made.setdefault(number % SEEDS, []).append(content)
            except (RunError, OSError, IndexError) as problem:
                failed.append(f"film {number}: {problem}".splitlines()[0])
            progress.update()
        client.close()

    removed, before, ended = 0, set(), threading.Event()

    def watch() -> None:
        nonlocal removed, before
        while not ended.is_set():
            now = {file.name for file in store.glob("*.safetensors")}
            removed, before = removed + len(before - now), now
            time.sleep(0.05)

    threads = [threading.Thread(target=work, args=(server,)) for server in servers]
    watcher = threading.Thread(target=watch)
    with progress:
        for thread in [*threads, watcher]:
            thread.start()
        for thread in threads:
            thread.join()
        ended.set()
        watcher.join()
    return failed, made, removed


def film(number: int) -> dict[str, Any]:
    """One of SEEDS films."""
    return {
        "model": node("SEINECheckpointLoader", model_name=SMALL_MODEL, base_name="bundled", weight_dtype="default"),
        "positive": node("CLIPTextEncode", text="a red ball moves right", clip=["model", 1]),
        "negative": node("CLIPTextEncode", text="", clip=["model", 1]),
        "images": node("EmptyImage", width=SMALL_SIZE, height=SMALL_SIZE, batch_size=2, color=0x2080F0),
        "film": node(
            "SEINEExtendVideo",
            **{name: [name, 0] for name in ("model", "positive", "negative")},
            vae=["model", 2],
            direction="after",
            frames=36,
            seed=number % SEEDS,
            steps=2,
            cfg=1.0,
            sampler_name="ddim",
            scheduler="seine",
            window=16,
            overlap=2,
            images=["images", 0],
        ),
        "save": node("SaveLatent", samples=["film", 0], filename_prefix="film"),
    }


def node(node_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": node_type, "inputs": inputs}


if __name__ == "__main__":
    sys.exit(main())
