"""A server that is killed at every stage: what is saved is whole, and the same graph then comes to its end."""

import os
import signal

import av
import pytest
from PIL import Image

from tests.graphs import clip, latents, node
from tools.hosting.client import RunError
from tools.hosting.server import ComfyServer, ServerError

SIZE = 64
STAGES = ["SEINEImageToVideo", "SEINEExtendVideo", "SEINESaveGIF", "SaveVideo"]


def graph():
    """Every stage once; each long enough to be killed in."""
    whole = clip(mode="custom keyframes", frames=40, images=40, indices=", ".join(map(str, range(40))))
    sampling = {"seed": 3, "steps": 20, "cfg": 2.0, "sampler_name": "ddim", "scheduler": "seine"}
    whole["extend"] = node(
        "SEINEExtendVideo",
        model=["model", 0],
        positive=["positive", 0],
        negative=["negative", 0],
        vae=["model", 2],
        direction="after",
        frames=24,
        window=8,
        overlap=2,
        latent=["clip", 2],
        **sampling,
    )
    whole["decode"] = node(
        "SEINEVAEDecode", samples=["extend", 0], vae=["model", 2], frames_at_a_time=8, tiled=False, tile_size=512
    )
    whole["large"] = node(
        "ImageScale", image=["decode", 0], upscale_method="bilinear", width=384, height=384, crop="disabled"
    )
    whole["gif"] = node("SEINESaveGIF", images=["large", 0], filename_prefix="killed/gif", fps=8.0, dither=True)
    whole["video"] = node("SEINEDecodeToVideo", samples=["extend", 0], vae=["model", 2], frames_at_a_time=1, fps=8.0)
    inputs = {"video": ["video", 0], "filename_prefix": "killed/video", "format": "auto", "format.codec": "auto"}
    whole["save"] = node("SaveVideo", **inputs, codec="auto")
    return whole | {"latent": node("SaveLatent", samples=["extend", 1], filename_prefix="killed/latent")}


def kill_in(server, stage):
    """Kill the server at the first progress of a node of this type."""

    def kill(event):
        if event.node_type == stage and event.value:
            os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait(30)

    with pytest.raises((ServerError, RunError, OSError)):
        server.client.run(graph(), kill)
    assert server.process.poll() is not None, f"{stage} was never reached"


@pytest.mark.one_host
@pytest.mark.skipif(os.name == "nt", reason="signals of the POSIX kind")
def test_killed_in_every_stage(host, sample_model, tmp_path):
    for stage in STAGES:
        with ComfyServer(host, tmp_path, {"seine": [sample_model]}) as server:
            kill_in(server, stage)
        for file in server.output.glob("killed/*"):
            check_whole(file)
    with ComfyServer(host, tmp_path, {"seine": [sample_model]}) as server:
        assert latents(server.client, graph())["latent"].shape == (24, 4, SIZE // 8, SIZE // 8)
        names = sorted(file.suffix for file in server.output.glob("killed/*") if check_whole(file))
    assert {".gif", ".mp4", ".latent"} <= set(names)


def check_whole(file):
    """Whether it is a file that anyone would open; those must be whole."""
    if file.name.startswith("."):
        return False
    if file.suffix == ".gif":
        with Image.open(file) as picture:
            picture.seek(picture.n_frames - 1)
    elif file.suffix == ".mp4":
        with av.open(file) as video:
            assert len(list(video.decode(video=0))) == 64
    return True
