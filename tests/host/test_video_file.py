"""A video file, from Load Video to Save Video, continued by the model the pack ships."""

import numpy as np
import pytest
import torch
from safetensors.torch import load

from tests.graphs import node, sampled, saving, windows
from tests.videos import compared, frames, loudness
from tools.authoring.render_examples import FPS, VIDEO, VIDEO_FRAMES, video
from tools.hosting.model_files import SMALL_CFG, SMALL_MODEL
from tools.training.small_model import measures, world

KNOWN, NEW = VIDEO_FRAMES, 13
RATE = 48000


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The template's video, with sound, at another size than the model is given."""
    import av

    path = tmp_path_factory.mktemp("source") / "ball.mp4"
    pixels = world.render(video(), KNOWN, 96).mul(255).round().byte().permute(0, 2, 3, 1)
    with av.open(str(path), "w") as output:
        picture = output.add_stream("libx264", rate=FPS, options={"crf": "14"})
        picture.width, picture.height, picture.pix_fmt = 96, 96, "yuv420p"
        sound = output.add_stream("aac", rate=RATE, layout="mono")
        for frame in pixels:
            image = av.VideoFrame.from_ndarray(frame.contiguous().numpy(), format="rgb24")
            output.mux(picture.encode(image))
        output.mux(picture.encode())
        wave = np.sin(np.arange(RATE * KNOWN // FPS) / 20).astype(np.float32)[None]
        heard = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        heard.sample_rate, heard.pts = RATE, 0
        output.mux([*sound.encode(heard), *sound.encode()])
    return path


def extended(client, source, direction, **changes):
    name = client.upload_image(source.name, source)
    graph = {
        "model": node("SEINECheckpointLoader", model_name=SMALL_MODEL, base_name="bundled", weight_dtype="fp32"),
        "positive": node("CLIPTextEncode", text=video().caption, clip=["model", 1]),
        "negative": node("CLIPTextEncode", text="", clip=["model", 1]),
        "file": node("LoadVideo", file=name),
    }
    inputs = {name: [name, 0] for name in ("model", "positive", "negative")} | {"vae": ["model", 2]}
    inputs |= {"video": ["file", 0], "direction": direction, "frames": NEW, "width": 64, "height": 64}
    inputs |= {"seed": 1, "steps": 12, "cfg": SMALL_CFG, "sampler_name": "ddim", "scheduler": "seine"}
    inputs |= {"window": 16, "overlap": 3}
    graph["film"] = node("SEINEExtendVideoFile", **(inputs | changes))
    graph["saved"] = node("SaveVideo", video=["film", 0], filename_prefix="longer", format="auto", codec="auto")
    return graph


@pytest.mark.parametrize("direction", ["after", "before"])
def test_from_load_video_to_save_video(client, source, tmp_path, direction):
    (file,) = client.files(client.run(extended(client, source, direction)))
    assert file.filename.endswith(".mp4")
    result = tmp_path / "result.mp4"
    result.write_bytes(client.fetch(file))
    facts = compared(str(source), str(result), direction == "before")
    assert facts["kept"] == {"video": True, "audio": True} and facts["old equal"]
    assert facts["frames"] == [KNOWN, NEW] and facts["size"] == [96, 96] and facts["same rate"]
    assert facts["seconds"] == pytest.approx((KNOWN + NEW) / FPS, abs=0.001)
    heard = KNOWN + NEW if direction == "before" else KNOWN
    assert facts["sound"] == [pytest.approx(heard / FPS, abs=0.001)]
    if direction == "before":
        assert loudness(str(result), NEW / FPS) < 0.05
    film = torch.stack([torch.from_numpy(each.to_ndarray(format="rgb24")) for each in frames(str(result))]) / 255
    seam = NEW if direction == "before" else KNOWN
    assert measures.seam_ratio(film[None], [seam]) < 2
    colours = film.flatten(1, 2).mean(1)
    assert (colours[seam] - colours[seam - 1]).abs().max() < 0.02, "no change of colour where they meet"
    small = [torch.nn.functional.interpolate(each.movedim(-1, 0)[None], 64, mode="area")[0] for each in film]
    seen = [measures.look_at(picture) for picture in (small[-1], small[0])]
    assert [(each.colour, each.shape) for each in seen[:1]] == [("red", "ball")]
    assert seen[0].x > seen[1].x + 0.5 or direction == "before", "it goes on to the right"


def test_the_templates_video_is_among_the_inputs(client):
    assert f"{VIDEO}.mp4" in str(client.object_info("LoadVideo")["input"]["required"]["file"])


def remade(client, source, denoise, in_windows=False):
    """The guide's video to video: how far the latents of the new video are from those of the source, and its frames."""
    graph = {
        "model": node("SEINECheckpointLoader", model_name=SMALL_MODEL, base_name="bundled", weight_dtype="fp32"),
        "positive": node("CLIPTextEncode", text="a blue ball moves right over a green field", clip=["model", 1]),
        "negative": node("CLIPTextEncode", text="", clip=["model", 1]),
        "file": node("LoadVideo", file=client.upload_image(source.name, source)),
        "parts": node("GetVideoComponents", video=["file", 0]),
        "scaled": node("ImageScale", image=["parts", 0], upscale_method="area", width=64, height=64, crop="center"),
        "encoded": node("VAEEncode", pixels=["scaled", 0], vae=["model", 2]),
    }
    prompts = {"positive": ["positive", 0], "negative": ["negative", 0]}
    graph = sampled(graph, **prompts, latent_image=["encoded", 0], denoise=denoise, cfg=SMALL_CFG, steps=12)
    if in_windows:
        graph = windows(graph, context_length=8)
        graph["sample"]["inputs"]["model"] = ["windows", 0]
    decoding = {"frames_at_a_time": 16, "tiled": False, "tile_size": 512}
    graph["decoded"] = node("SEINEVAEDecode", samples=["sample", 0], vae=["model", 2], **decoding)
    graph["video"] = node("CreateVideo", images=["decoded", 0], fps=["parts", 2])
    graph["saved"] = node("SaveVideo", video=["video", 0], filename_prefix="remade", format="auto", codec="auto")
    graph = saving(graph, "encoded", "before")
    files = {file.node_id: client.fetch(file) for file in client.files(client.run(graph))}
    before, after = (load(files[name])["latent_tensor"] for name in ("before", "latent"))
    return float((after - before).abs().mean()), files["saved"]


@pytest.mark.one_host
def test_video_to_video_keeps_more_of_the_video_the_lower_denoise(client, source, tmp_path):
    made = [remade(client, source, denoise) for denoise in (0.2, 0.6, 1.0)]
    less, more, all_new = (distance for distance, _ in made)
    assert 0 < less < more < all_new
    (tmp_path / "remade.mp4").write_bytes(made[1][1])
    assert len(frames(tmp_path / "remade.mp4")) == KNOWN
    in_windows, _ = remade(client, source, 0.6, in_windows=True)
    assert less < in_windows < all_new and in_windows != more
