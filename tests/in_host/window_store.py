"""The store of finished windows under everything that may be wrong with a folder and the files in it."""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from comfyui_seine.comfy_adapter.films import window_store
from safetensors.torch import save_file

LATENTS = torch.arange(2 * 4 * 3 * 5, dtype=torch.float32).view(2, 4, 3, 5)


def found(key: str = "key") -> str:
    """What the store answers for LATENTS under a key."""
    answer = window_store.find(key, LATENTS)
    return "nothing" if answer is None else "the window" if answer.equal(LATENTS) else "another"


def foreign(name: str, folder: Path) -> None:
    """Put something in the place of a saved window."""
    file = folder / "key.safetensors"
    checksum = {"sha256": window_store._checksum(LATENTS)}
    if name == "half":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif name == "one bit":
        content = bytearray(file.read_bytes())
        content[-3] ^= 1
        file.write_bytes(content)
    elif name == "a pipe":
        file.unlink()
        os.mkfifo(file)
    elif name == "a folder":
        file.unlink()
        file.mkdir()
    elif name == "a link to nothing":
        file.unlink()
        file.symlink_to(folder / "nowhere")
    elif name == "empty":
        file.write_bytes(b"")
    else:
        others = {
            "half precision": LATENTS.half(),
            "another shape": LATENTS[:1],
            "not a number": LATENTS / 0 * 0,
            "zeros": torch.zeros_like(LATENTS),
        }
        tensors = {"others": LATENTS} if name == "another name" else {"latents": others[name].contiguous()}
        own = {"sha256": window_store._checksum(others[name])} if name == "not a number" else checksum
        save_file(tensors, file, own)


def prune_all_the_time(folder: str, seconds: float, seed: int) -> None:
    """Save and find windows in a store that holds only a few of them."""
    window_store.folder = lambda: Path(folder)
    window_store.MOST_BYTES = 8000
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        key = f"key-{(number * 7 + seed) % 11}"
        window_store.save(key, LATENTS)
        if found(key) == "another":
            raise AssertionError(f"{key} is another window")
        number += 1


def main() -> dict[str, Any]:
    messages: list[str] = []
    logging.getLogger().addHandler(type("Kept", (logging.Handler,), {"emit": lambda _, r: messages.append(r.msg)})())
    folder = window_store.folder()
    report: dict[str, Any] = {"there": {}, "store": {}}
    kinds = ["half", "one bit", "a pipe", "a folder", "a link to nothing", "empty", "half precision", "another shape"]
    for name in [*kinds, "not a number", "zeros", "another name"]:
        shutil.rmtree(folder)
        window_store.save("key", LATENTS)
        before = found()
        foreign(name, window_store.folder())
        report["there"][name] = [before, found()]

    def with_store(name: str, broken: Callable[[], None]) -> None:
        messages.clear()
        window_store._warned.clear()
        broken()
        for number in range(3):
            window_store.save(f"another {number}", LATENTS)
        report["store"][name] = [found("another 0"), len(messages)]

    def a_file_in_its_place() -> None:
        shutil.rmtree(folder)
        folder.write_bytes(b"")

    def a_link_to_nowhere() -> None:
        folder.unlink()
        folder.symlink_to(folder.parent / "nowhere" / "at" / "all")

    with_store("a file in its place", a_file_in_its_place)
    with_store("a link to nowhere", a_link_to_nowhere)
    folder.unlink()

    def full_disk() -> None:
        def refuse(*_: Any, **__: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        window_store.save_file = refuse

    with_store("a full disk", full_disk)
    window_store.save_file = save_file
    utime = os.utime

    def no_utime() -> None:
        def refuse(*_: Any, **__: Any) -> None:
            raise PermissionError

        window_store.os.utime = refuse

    with_store("no times", no_utime)
    window_store.os.utime = utime

    shutil.rmtree(folder)
    for name in ("old", "new"):
        (window_store.folder() / f"{name}.part").write_bytes(b"x")
    os.utime(folder / "old.part", (1, 1))
    window_store.MOST_BYTES = 3 * 500
    for name in ("future 1", "future 2", "future 3"):
        window_store.save(name, LATENTS)
        os.utime(folder / f"{name}.safetensors", (time.time() + 10**8,) * 2)
    window_store.save("key", LATENTS)
    report["after a clock that was wrong"] = found()
    report["parts"] = sorted(file.name for file in folder.glob("*.part"))

    context = multiprocessing.get_context("fork")
    servers = [context.Process(target=prune_all_the_time, args=(str(folder), 3.0, seed)) for seed in (0, 4, 5)]
    for server in servers:
        server.start()
    for server in servers:
        server.join(30)
    report["servers"] = [server.exitcode for server in servers]
    return report
