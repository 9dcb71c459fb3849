"""A film whose server is killed: started again, it makes only what was not finished."""

import contextlib
import os
import signal
import time

import pytest

from tests.graphs import clip, latents, node
from tools.hosting.server import ComfyServer

SIZE, STEPS = 64, 20
STORY = "shot 12: a red ball\ntransition 6: it turns blue\nshot 12: a blue ball\ntransition 6: it fades\nshot 1:"
WINDOWS = 8


def story():
    graph = {
        "model": clip()["model"],
        "images": node("EmptyImage", width=SIZE, height=SIZE, batch_size=3, color=0x2080F0),
    }
    settings = {"seed": 5, "steps": STEPS, "cfg": 2.0, "sampler_name": "ddim", "scheduler": "seine"}
    graph["film"] = node(
        "SEINEStory",
        model=["model", 0],
        clip=["model", 1],
        vae=["model", 2],
        images=["images", 0],
        story=STORY,
        negative_prompt="",
        fps=8.0,
        width=SIZE,
        height=SIZE,
        resize_mode="crop",
        window=8,
        overlap=2,
        **settings,
    )
    return graph | {"latent": node("SaveLatent", samples=["film", 0], filename_prefix="latents/film")}


def finished(server):
    """Inode of each finished window; a window that is made again gets another."""
    return {file.name: file.stat().st_ino for file in server.base.rglob("seine_windows/*.safetensors")}


@pytest.fixture
def servers(host, sample_model, tmp_path):
    """Starts servers in one and the same folder."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(ComfyServer(host, tmp_path, {"seine": [sample_model]}))


def kill(server):
    if os.name == "nt":
        server.process.kill()
    else:
        os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait(30)


@pytest.mark.one_host  # what of a host it needs, tests/adapter has for each
def test_only_unfinished_windows_are_made_after_a_kill(servers):
    server = servers()
    server.client.queue(story())
    deadline = time.monotonic() + 300
    while len(finished(server)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    kill(server)
    before = finished(server)
    assert 2 <= len(before) < WINDOWS

    again = servers()
    film = latents(again.client, story())["latent"]
    assert film.shape == (37, 4, SIZE // 8, SIZE // 8)
    after = finished(again)
    assert len(after) == WINDOWS
    assert {name: after[name] for name in before} == before
