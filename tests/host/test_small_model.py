"""The model the pack ships, as users get it: found by the loader, loaded by the host, and its videos judged."""

import pytest
import torch

from seine_model.base import TEXT_MODEL_PREFIX
from seine_model.checkpoint import VAE_PREFIX, read_checkpoint, strip_prefix
from tests.graphs import clip as clip_graph
from tests.graphs import images, latents, node, sampled, saving, uploaded, video_frames
from tools.hosting.model_files import SMALL_CFG, SMALL_LORA, SMALL_MODEL
from tools.train import LORA, SMALL
from tools.training.small_model import autoencoder as vae
from tools.training.small_model import measures, world
from tools.training.small_model import text_encoder as text
from tools.training.small_model.recipe import HELD_OUT

STEPS = 20


@pytest.fixture(scope="module")
def bundle():
    return read_checkpoint(SMALL)[0]


def test_file_is_small():
    assert SMALL.name == SMALL_MODEL
    assert 8e6 < SMALL.stat().st_size < 16e6


def test_loader_lists_it_without_any_set_up(client):
    for loader in ("SEINECheckpointLoader", "SEINEModelLoader"):
        kind, *options = client.object_info(loader)["input"]["required"]["model_name"]
        assert SMALL_MODEL in (kind if isinstance(kind, list) else options[0]["options"])


def made(client, task, scene, seed=0, model=None, **settings):
    """A clip of the task's kind for the scene, [frames, 3, H, W], and the true one. model: a node behind the loader."""
    truth = world.render(scene)
    mode, given = {
        "image to video": ("first frames", truth[:1]),
        "transition": ("first and last frames", truth[[0, -1]]),
        "text to video": ("text to video", truth[:0]),
    }[task]
    graph = clip_graph(mode, world.FRAMES, 0, prompt=scene.caption, model_name=SMALL_MODEL)
    for key in ("mask", "clip"):
        graph[key]["inputs"] |= {"width": world.SIZE, "height": world.SIZE}
    for index, picture in enumerate(given):
        graph[f"image{index}"] = uploaded(client, f"{task.replace(' ', '-')}-{index}.png", picture)
        graph["clip"]["inputs"]["keyframes"] = [f"image{index}", 0]
    if len(given) == 2:
        graph["both"] = node("ImageBatch", image1=["image0", 0], image2=["image1", 0])
        graph["clip"]["inputs"]["keyframes"] = ["both", 0]
    if model:
        graph["behind"], settings["model"] = model, ["behind", 0]
    graph = sampled(graph, **{"steps": STEPS, "cfg": SMALL_CFG, "seed": seed} | settings)
    return video_frames(client, graph, ["sample", 0]), truth


def test_image_to_video_begins_with_its_image_and_does_what_the_prompt_says(client):
    right = []
    for motion in ("left", "right", "up", "down", "grow", "shrink"):
        scene = world.scene(HELD_OUT, (motion,))
        video, truth = made(client, "image to video", scene)
        assert video.shape == truth.shape
        assert measures.psnr(video[0], truth[0]) > 26, motion
        assert 0 < measures.smoothness(video) < 0.5, motion
        right.append(measures.motion(video, scene.look.colour) == motion)
    assert sum(right) >= 5, right  # hosts encode pictures differently, and one scene may be a close call


def test_transition_begins_and_ends_with_its_images(client):
    video, truth = made(client, "transition", world.scene(HELD_OUT + 1, ("change",)))
    assert measures.psnr(video[0], truth[0]) > 26 and measures.psnr(video[-1], truth[-1]) > 26
    assert measures.psnr(video[0], truth[-1]) < 18


def test_text_to_video_shows_what_the_prompt_names_and_moves_it_that_way(client):
    looks = ways = 0
    for seed, motion in enumerate(("up", "left", "grow", "right")):
        scene = world.scene(HELD_OUT + seed, (motion,))
        video, _ = made(client, "text to video", scene, seed)
        seen = measures.look_at(video[8])
        looks += seen is not None and (seen.colour, seen.shape) == (scene.look.colour, scene.look.shape)
        ways += measures.motion(video, scene.look.colour) == motion
    assert looks >= 3 and ways >= 3, (looks, ways)


@pytest.mark.one_host
def test_with_its_lora_one_prediction_shows_what_many_do(client):
    assert LORA.stat().st_size < 4e6
    one = {"steps": 1, "cfg": 1.0, "sampler_name": "euler", "scheduler": "simple"}
    lora = node("LoraLoaderModelOnly", model=["model", 0], lora_name=SMALL_LORA, strength_model=1.0)
    shown = {"with": 0, "without": 0}
    for seed in range(8):
        scene = world.scene(HELD_OUT + seed, ("up", "left", "grow", "right"))
        for name, model in (("with", lora), ("without", None)):
            video, _ = made(client, "text to video", scene, seed, model, **one)
            seen = measures.look_at(video[8])
            right = seen is not None and (seen.colour, seen.shape) == (scene.look.colour, scene.look.shape)
            shown[name] += right and measures.motion(video, scene.look.colour) == scene.motion
    assert shown["with"] >= 7 and shown["without"] <= 5, shown
    scene = world.scene(HELD_OUT, ("left",))
    video, truth = made(client, "image to video", scene, model=lora, **one)
    assert measures.psnr(video[0], truth[0]) > 26 and measures.motion(video, scene.look.colour) == "left"


def test_host_runs_the_vae_that_was_trained(client, bundle):
    picture = world.render(world.scene(HELD_OUT), frames=1)[0]
    graph = {
        "model": node("SEINECheckpointLoader", model_name=SMALL_MODEL, base_name="bundled", weight_dtype="fp32"),
        "image": uploaded(client, "vae.png", picture),
        "encode": node("VAEEncode", pixels=["image", 0], vae=["model", 2]),
        "decode": node("VAEDecode", samples=["encode", 0], vae=["model", 2]),
        "save": node("SaveImage", images=["decode", 0], filename_prefix="vae"),
    }
    weights = {key: value.float() for key, value in strip_prefix(bundle, VAE_PREFIX).items()}
    scale = weights.pop("vae_scale")
    ours = vae.Autoencoder((vae.WIDTH,) * 4)
    ours.load_state_dict(weights)
    with torch.inference_mode():
        expected = ours.encode((picture * 255).round()[None] / 255) / scale
    found = latents(client, saving(graph, "encode", "latent"))["latent"]
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02 * float(expected.std()))
    again = images(client, graph)["save"][0].permute(2, 0, 1) / 255
    assert measures.psnr(again, picture) > 30


def test_host_runs_the_text_encoder_that_was_trained(host, run_in_host, bundle):
    from tools.hosting import hosts

    captions = ["a red ball moves left over a green field", ""]
    reader = text.new_text_encoder().eval()
    weights = {key: value.float() for key, value in strip_prefix(bundle, TEXT_MODEL_PREFIX).items()}
    bare = not any(key.startswith("text_model.") for key in reader.state_dict())
    weights = {key.removeprefix("text_model.") if bare else key: value for key, value in weights.items()}
    reader.load_state_dict(weights, strict=False)
    tokens = text.Tokenizer(hosts.find("best").folder / "comfy" / "sd1_tokenizer")(captions)
    with torch.inference_mode():
        expected = reader(tokens).last_hidden_state
    found = run_in_host("small_model.py", captions=captions)
    for index, caption in enumerate(captions):
        torch.testing.assert_close(torch.tensor(found[caption]), expected[index], rtol=0.02, atol=0.02)
