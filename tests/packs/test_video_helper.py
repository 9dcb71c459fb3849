"""VideoHelperSuite: clips written and read, and its preview, which plays, of SEINE's latents."""

import io
import json
import uuid

import av
import pytest
import torch
from PIL import Image

from tests.graphs import FRAMES, SIZE, clip, latents, node, sampled
from tests.packs.packs import needs_packs
from tools.hosting.model_files import SMALL_MODEL

pytestmark = [pytest.mark.one_host, needs_packs]


def decoded(frames: int = FRAMES) -> dict:
    graph = sampled(clip(frames=frames, model_name=SMALL_MODEL))
    inputs = {"samples": ["sample", 0], "vae": ["model", 2], "frames_at_a_time": 16, "tiled": False, "tile_size": 512}
    return {**graph, "decode": node("SEINEVAEDecode", **inputs)}


def combined(graph: dict, format: str) -> dict:
    settings = {"frame_rate": 8.0, "loop_count": 0, "filename_prefix": "packs", "format": format}
    settings |= {"images": ["decode", 0], "pingpong": False, "save_output": True}
    return {**graph, "combine": node("VHS_VideoCombine", **settings)}


@pytest.mark.parametrize("format", ["image/gif", "image/webp", "video/h264-mp4", "video/webm", "video/ffv1-mkv"])
def test_a_clip_is_written(client, packed, format):
    if format.startswith("video/") and format not in str(client.object_info("VHS_VideoCombine")):
        pytest.fail("the pack has no ffmpeg")
    client.run(combined(decoded(), format))
    written = max(packed.output.glob(f"packs_*.{format.split('/')[1].split('-')[-1]}"))
    if format.startswith("image/"):
        with Image.open(written) as picture:
            assert (picture.size, picture.n_frames) == ((SIZE, SIZE), FRAMES)
    else:
        with av.open(str(written)) as video:
            frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
        assert [frame.shape for frame in frames] == [(SIZE, SIZE, 3)] * FRAMES


def test_a_clip_is_read_and_goes_on(client, packed):
    """Written without loss, read by the pack, and continued by SEINE Extend Video: the known frames are the same."""
    client.run(combined(decoded(), "video/ffv1-mkv"))
    written = max(packed.output.glob("packs_*.mkv"))
    graph = clip(images=0, mode="text to video", model_name=SMALL_MODEL)
    settings = {"force_rate": 0, "custom_width": 0, "custom_height": 0, "frame_load_cap": 0, "skip_first_frames": 0}
    graph["load"] = node("VHS_LoadVideoPath", video=str(written), select_every_nth=1, **settings)
    graph["encode"] = node("VAEEncode", pixels=["load", 0], vae=["model", 2])
    extended = {"model": ["model", 0], "positive": ["positive", 0], "negative": ["negative", 0], "vae": ["model", 2]}
    extended |= {"direction": "after", "frames": 4, "window": 8, "overlap": 2, "images": ["load", 0]}
    extended |= {"seed": 1, "steps": 2, "cfg": 2.0, "sampler_name": "ddim", "scheduler": "seine"}
    graph["longer"] = node("SEINEExtendVideo", **extended)
    for name, source in {"film": "longer", "known": "encode"}.items():
        graph[name] = node("SaveLatent", samples=[source, 0], filename_prefix="latents/test")
    found = latents(client, graph)
    assert len(found["film"]) == FRAMES + 4
    torch.testing.assert_close(found["film"][:FRAMES], found["known"])


def test_latents_are_chosen_by_frame(client):
    """Its batch nodes take frames, the batch dimension of SEINE's latents."""
    graph = sampled(clip(model_name=SMALL_MODEL))
    graph["split"] = node("VHS_SplitLatents", latents=["sample", 0], split_index=1)
    graph["first"] = node("SaveLatent", samples=["split", 0], filename_prefix="latents/test")
    found = latents(client, graph)
    assert found["first"].equal(found["latent"][:1])


def previews(client, graph: dict) -> tuple[dict, list[Image.Image]]:
    """What the pack's preview says of a run, and the pictures that it sends."""
    import websocket

    own = uuid.uuid4().hex
    socket = websocket.create_connection(f"ws://{client.address}/ws?clientId={own}", timeout=60)
    workflow = {"extra": {"VHS_latentpreview": True, "VHS_latentpreviewrate": 0}}
    body = {"prompt": graph, "client_id": own, "extra_data": {"extra_pnginfo": {"workflow": workflow}}}
    answer = client._request("POST", "/prompt", data=json.dumps(body), headers={"Content-Type": "application/json"})
    answer.raise_for_status()
    said, pictures = {}, []
    while True:
        message = socket.recv()
        if isinstance(message, bytes):
            start = message.find(b"\xff\xd8")
            pictures.append(Image.open(io.BytesIO(message[start:])))
            continue
        event = json.loads(message)
        if event["type"] == "VHS_latentpreview":
            said = event["data"]
        if event["type"] in ("execution_success", "execution_error"):
            socket.close()
            assert event["type"] == "execution_success", event
            return said, pictures


@pytest.mark.parametrize("sampler", ["SEINEKSampler", "KSampler"])
def test_its_preview_plays_single_frames(client, sampler):
    """Not the grid of frames that the host's own preview shows."""
    seed = {"SEINEKSampler": 71, "KSampler": 72}[sampler]
    said, pictures = previews(client, sampled(clip(frames=16, model_name=SMALL_MODEL), sampler, seed=seed, steps=8))
    assert said["length"] == 16 and said["id"] == "sample"
    assert len(pictures) >= 16 and {picture.size for picture in pictures} == {(SIZE // 8, SIZE // 8)}
