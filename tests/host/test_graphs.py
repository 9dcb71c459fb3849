"""Our nodes among the stock ones, as graphs that a real server runs."""

import pytest
import torch
from safetensors.torch import save_file

from seine_model.checkpoint import read_checkpoint, unet_state_dict
from tests.graphs import FRAMES, SIZE, clip, images, latents, node, sampled, saving
from tools.hosting.client import Interrupted
from tools.hosting.model_files import SMALL_MODEL

LATENT = (FRAMES, 4, SIZE // 8, SIZE // 8)


@pytest.mark.parametrize(
    ("sampler", "scheduler"),
    [("euler", "normal"), ("dpmpp_2m", "karras"), ("ddim", "ddim_uniform"), ("ddpm", "normal"), ("uni_pc", "normal")],
)
def test_stock_ksampler(client, sampler, scheduler):
    steps = []
    graph = sampled(clip(), "KSampler", sampler_name=sampler, scheduler=scheduler, steps=4)
    result = latents(client, graph, lambda event: steps.append(event.value) if event.node_id == "sample" else None)
    assert result["latent"].shape == LATENT
    assert torch.isfinite(result["latent"]).all()
    assert max(steps) >= 3


@pytest.mark.parametrize("custom", ["SamplerCustom", "SamplerCustomAdvanced"])
def test_custom_sampling_with_our_sigmas_and_sampler_is_our_ksampler(client, custom):
    graph = sampled(clip(), steps=4, seed=5, cfg=3.0, sampler_name="seine_ddpm", scheduler="seine")
    graph["sigmas"] = node("SEINEScheduler", model=["model", 0], steps=4, denoise=1.0)
    graph["ddpm"] = node("SEINESamplerDDPM")
    if custom == "SamplerCustom":
        graph["custom"] = node(
            "SamplerCustom",
            model=["model", 0],
            add_noise=True,
            noise_seed=5,
            cfg=3.0,
            positive=["clip", 0],
            negative=["clip", 1],
            sampler=["ddpm", 0],
            sigmas=["sigmas", 0],
            latent_image=["clip", 2],
        )
    else:
        graph["noise"] = node("RandomNoise", noise_seed=5)
        graph["guider"] = node("CFGGuider", model=["model", 0], positive=["clip", 0], negative=["clip", 1], cfg=3.0)
        graph["custom"] = node(
            "SamplerCustomAdvanced",
            noise=["noise", 0],
            guider=["guider", 0],
            sampler=["ddpm", 0],
            sigmas=["sigmas", 0],
            latent_image=["clip", 2],
        )
    result = latents(client, saving(graph, "custom", "saved"))
    assert torch.equal(result["saved"], result["latent"])


def test_stock_decode_gives_our_frames(client):
    graph = sampled(clip())
    graph["ours"] = node(
        "SEINEVAEDecode", samples=["sample", 0], vae=["model", 2], frames_at_a_time=3, tiled=False, tile_size=512
    )
    graph["tiles"] = node(
        "SEINEVAEDecode", samples=["sample", 0], vae=["model", 2], frames_at_a_time=8, tiled=True, tile_size=128
    )
    graph["stock"] = node("VAEDecode", samples=["sample", 0], vae=["model", 2])
    graph["stock tiles"] = node(
        "VAEDecodeTiled",
        samples=["sample", 0],
        vae=["model", 2],
        tile_size=320,
        overlap=32,
        temporal_size=64,
        temporal_overlap=8,
    )
    for name in ("ours", "tiles", "stock", "stock tiles"):
        graph[f"saved {name}"] = node("SaveImage", images=[name, 0], filename_prefix="decoded")
    pictures = images(client, graph)
    assert pictures["saved ours"].shape == (FRAMES, SIZE, SIZE, 3)
    assert torch.equal(pictures["saved ours"], pictures["saved stock"])
    for name in ("saved tiles", "saved stock tiles"):
        assert (pictures[name].int() - pictures["saved stock"].int()).abs().max() <= 2, name


def test_kept_frames_look_like_their_keyframes(client):
    graph = sampled(clip("first and last frames", images=2), steps=20, cfg=1.0)
    graph["decoded"] = node("VAEDecode", samples=["sample", 0], vae=["model", 2])
    graph["saved"] = node("SaveImage", images=["decoded", 0], filename_prefix="kept")
    graph["given"] = node("SaveImage", images=["keyframes", 0], filename_prefix="given")
    pictures = images(client, graph)
    distance = (pictures["saved"].float() - pictures["given"][:1].float()).abs().mean((1, 2, 3))
    assert distance[[0, -1]].max() < 0.5 * distance[1:-1].min()


def test_stock_encode_continues_from_a_latent(client):
    """VAE Encode, mask builder, sampler: no conditioning node. Cutting a clip out of a batch works as for images."""
    graph = {
        **clip(images=0, mode="text to video"),
        "pictures": node("EmptyImage", width=SIZE, height=SIZE, batch_size=8, color=0x2080F0),
    }
    graph["encoded"] = node("VAEEncode", pixels=["pictures", 0], vae=["model", 2])
    graph["cut"] = node("LatentFromBatch", samples=["encoded", 0], batch_index=4, length=FRAMES)
    graph["mask"]["inputs"].update(mode="first frames", count=2)
    with_mask = sampled(
        graph, positive=["positive", 0], negative=["negative", 0], latent_image=["cut", 0], mask=["mask", 0]
    )
    graph = {**with_mask, "without": {**with_mask["sample"], "inputs": {**with_mask["sample"]["inputs"]}}}
    del graph["without"]["inputs"]["mask"]
    result = latents(client, saving(graph, "without", "saved"))
    assert result["latent"].shape == LATENT
    assert not torch.allclose(result["latent"], result["saved"], atol=1e-2)


def test_noise_mask_keeps_frames_exactly(client):
    graph = clip(images=0, mode="text to video")
    graph["pictures"] = node("EmptyImage", width=SIZE, height=SIZE, batch_size=FRAMES, color=0x2080F0)
    graph["encoded"] = node("VAEEncode", pixels=["pictures", 0], vae=["model", 2])
    graph["kept"] = node(
        "SEINEMaskBuilder", mode="first frames", count=2, indices="0", frames=FRAMES, width=SIZE, height=SIZE
    )
    graph["masked"] = node("SetLatentNoiseMask", samples=["encoded", 0], mask=["kept", 0])
    graph = sampled(graph, "KSampler", latent_image=["masked", 0])
    graph["ours"] = node(
        "SEINEKSampler",
        **{**graph["sample"]["inputs"], "scheduler": "seine", "mask": ["kept", 0], "positive": ["positive", 0]},
    )
    graph["ours"]["inputs"]["negative"] = ["negative", 0]
    result = latents(client, saving(saving(graph, "encoded", "saved"), "ours", "saved ours"))
    assert torch.allclose(result["saved ours"][:2], result["saved"][:2], atol=1e-4)
    assert torch.allclose(result["latent"][:2], result["saved"][:2], atol=1e-4)
    assert not torch.allclose(result["latent"][2:], result["saved"][2:], atol=1e-1)


def kept_from_latents(mask: dict) -> dict:
    """Two clips in one latent, a red one and a blue one, of which the mask keeps frames; saved before and after."""
    graph = clip(images=0, mode="text to video", model_name=SMALL_MODEL)
    for name, colour in (("red", 0xF02010), ("blue", 0x1030F0)):
        graph[name] = node("EmptyImage", width=SIZE, height=SIZE, batch_size=FRAMES, color=colour)
    graph["both"] = node("ImageBatch", image1=["red", 0], image2=["blue", 0])
    graph["encoded"] = node("VAEEncode", pixels=["both", 0], vae=["model", 2])
    graph["kept"] = mask
    prompts = {"positive": ["positive", 0], "negative": ["negative", 0]}
    return saving(
        sampled(graph, **prompts, latent_image=["encoded", 0], mask=["kept", 0], steps=12, cfg=1.0), "encoded", "saved"
    )


def test_a_mask_keeps_frames_of_every_clip_of_the_latent(client):
    size = {"frames": FRAMES, "width": SIZE, "height": SIZE}
    mask = node("SEINEMaskBuilder", mode="first frames", count=1, indices="0", **size)
    result = latents(client, kept_from_latents(mask))
    made, given = (result[name].unflatten(0, (2, FRAMES)) for name in ("latent", "saved"))
    off = [[float((made[i, 0] - given[j, 0]).square().mean()) for j in range(2)] for i in range(2)]
    assert off[0][0] < 0.2 * off[0][1] and off[1][1] < 0.2 * off[1][0], off


def test_a_mask_of_one_frame_is_for_all_frames(client):
    keep_all = latents(client, kept_from_latents(node("SolidMask", value=0.0, width=SIZE, height=SIZE)))
    off = (keep_all["latent"] - keep_all["saved"]).square().mean((1, 2, 3))
    apart = (keep_all["saved"][0] - keep_all["saved"][-1]).square().mean()
    assert off.max() < 0.2 * apart


def test_several_videos_and_one_of_them(client):
    graph = sampled(clip(videos=3))
    graph["second"] = node("LatentFromBatch", samples=["sample", 0], batch_index=FRAMES, length=FRAMES)
    graph["decoded"] = node("VAEDecode", samples=["second", 0], vae=["model", 2])
    graph["saved"] = node("SaveImage", images=["decoded", 0], filename_prefix="second")
    assert len(images(client, graph)["saved"]) == FRAMES
    result = latents(client, saving(graph, "second", "cut"))
    assert result["latent"].shape == (3 * FRAMES, *LATENT[1:])
    assert torch.equal(result["cut"], result["latent"][FRAMES : 2 * FRAMES])


def test_text_to_video_and_custom_keyframes(client):
    empty = latents(client, sampled(clip("text to video", images=0)))["latent"]
    custom = latents(client, sampled(clip("custom keyframes", images=2, indices="1, -1")))["latent"]
    assert empty.shape == custom.shape == LATENT
    assert not torch.allclose(empty, custom, atol=1e-2)


def test_lora_loader_changes_the_clip(client, server, sample_model):
    unet = unet_state_dict(read_checkpoint(sample_model)[0])
    lora, generator = {}, torch.Generator().manual_seed(2)
    for key, value in unet.items():
        if key.endswith((".attn1.to_k.weight", ".attn2.to_q.weight")):
            name = "lora_unet_" + key.removesuffix(".weight").replace(".", "_")
            lora[f"{name}.lora_down.weight"] = torch.randn(4, value.shape[1], generator=generator)
            lora[f"{name}.lora_up.weight"] = torch.randn(value.shape[0], 4, generator=generator)
            lora[f"{name}.alpha"] = torch.tensor(4.0)
    folder = server.models / "loras"
    folder.mkdir(exist_ok=True)
    save_file(lora, folder / "style.safetensors")
    graph = sampled(clip())
    graph["lora"] = node("LoraLoaderModelOnly", model=["model", 0], lora_name="style.safetensors", strength_model=1.0)
    inputs = graph["sample"]["inputs"]
    graph["styled"] = node("SEINEKSampler", **{**inputs, "model": ["lora", 0]})
    result = latents(client, saving(graph, "styled", "saved"))
    assert not torch.allclose(result["saved"], result["latent"], atol=1e-2)


def test_step_caching(client):
    graph = clip()
    graph["cached"] = node(
        "EasyCache", model=["model", 0], reuse_threshold=3.0, start_percent=0.0, end_percent=1.0, verbose=False
    )
    exact = sampled(graph, steps=10)
    exact["quick"] = node("SEINEKSampler", **{**exact["sample"]["inputs"], "model": ["cached", 0]})
    result = latents(client, saving(exact, "quick", "saved"))
    assert torch.isfinite(result["saved"]).all()
    assert not torch.equal(result["saved"], result["latent"])  # steps were reused, so the wrapper was reached


def test_a_running_clip_is_cancelled_and_the_next_one_works(client):
    graph = sampled(clip(), steps=500)

    def cancel(event):
        if event.node_id == "sample" and event.value >= 3:
            client.interrupt()

    with pytest.raises(Interrupted):
        client.run(graph, cancel)
    assert latents(client, sampled(clip(), steps=2))["latent"].shape == LATENT
