"""Samplers and pipes of Impact Pack, rgthree, Custom-Scripts, UltimateSDUpscale and Frame-Interpolation."""

import pytest
import torch

from tests.graphs import FRAMES, SIZE, clip, images, latents, node, sampled, saving
from tests.packs.packs import needs_packs
from tools.hosting.client import ExecutionFailed
from tools.hosting.model_files import SMALL_MODEL

pytestmark = [pytest.mark.one_host, needs_packs]
SETTINGS = {"cfg": 2.0, "sampler_name": "euler", "scheduler": "normal"}
WHOLE = {"model": ["model", 0], "positive": ["clip", 0], "negative": ["clip", 1]}


def stock(**changes) -> dict:
    return sampled(clip(model_name=SMALL_MODEL), "KSampler", **(SETTINGS | changes))


def piped() -> dict:
    """A clip whose parts are in a pipe of the Impact Pack."""
    graph = stock()
    graph["pipe"] = node("ToBasicPipe", clip=["model", 1], vae=["model", 2], **WHOLE)
    return graph


def close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    return bool((found - expected).abs().max() <= 1e-4 * expected.abs().max())


def test_impact_samples_as_core_does(client):
    graph = piped()
    given = {"basic_pipe": ["pipe", 0], "seed": 1, "steps": 3, "latent_image": ["clip", 2], "denoise": 1.0}
    graph["impact"] = node("ImpactKSamplerBasicPipe", **SETTINGS, **given)
    graph["save"] = node("SaveLatent", samples=["impact", 1], filename_prefix="latents/test")
    found = latents(client, graph)
    assert close(found["save"], found["latent"])


def regions(graph: dict, left: str = "pipe") -> dict:
    """A mask of the right half, as plain MASK, and the sampler of a pipe for it."""
    graph["half"] = node("SolidMask", value=1.0, width=SIZE // 2, height=SIZE)
    graph["none"] = node("SolidMask", value=0.0, width=SIZE, height=SIZE)
    joined = {"destination": ["none", 0], "source": ["half", 0], "x": SIZE // 2, "y": 0, "operation": "add"}
    graph["right"] = node("MaskComposite", **joined)
    other = node("CLIPTextEncode", text="a blue square moves up", clip=["model", 1])
    graph |= {"other": other, "other clip": node("SEINEImageToVideo", **graph["clip"]["inputs"])}
    graph["other clip"]["inputs"]["positive"] = ["other", 0]
    prompts = {"positive": ["other clip", 0], "negative": ["other clip", 1]}
    graph["other pipe"] = node("ToBasicPipe", model=["model", 0], clip=["model", 1], vae=["model", 2], **prompts)
    for name in ("pipe", "other pipe"):
        graph[f"{name} sampler"] = node("KSamplerAdvancedProvider", sigma_factor=1.0, basic_pipe=[name, 0], **SETTINGS)
    return graph


@pytest.mark.parametrize("kind", ["RegionalSampler", "TwoAdvancedSamplersForMask"])
def test_regions_have_their_prompts(client, kind):
    """The right half moves away from the plain clip more than the left one, which has the plain clip's prompt."""
    graph = regions(piped())
    given = {"seed": 1, "steps": 4, "denoise": 1.0, "samples": ["clip", 2], "overlap_factor": 0}
    given["base_sampler"] = ["pipe sampler", 0]
    if kind == "RegionalSampler":
        graph["region"] = node("RegionalPrompt", mask=["right", 0], advanced_sampler=["other pipe sampler", 0])
        given |= {"seed_2nd": 0, "seed_2nd_mode": "ignore", "base_only_steps": 1, "restore_latent": True}
        given |= {"additional_mode": "DISABLE", "additional_sampler": "AUTO", "additional_sigma_ratio": 0.3}
        given["regional_prompts"] = ["region", 0]
    else:
        given |= {"mask": ["right", 0], "mask_sampler": ["other pipe sampler", 0]}
    graph["regional"] = node(kind, **given)
    graph["plain"] = node(kind, **given)
    if kind == "RegionalSampler":
        graph["own region"] = node("RegionalPrompt", mask=["right", 0], advanced_sampler=["pipe sampler", 0])
        graph["plain"]["inputs"]["regional_prompts"] = ["own region", 0]
    else:
        graph["plain"]["inputs"]["mask_sampler"] = ["pipe sampler", 0]
    found = latents(client, saving(saving(graph, "regional", "saved"), "plain", "saved plain"))
    moved = (found["saved"] - found["saved plain"]).abs().mean((0, 1, 2))
    assert torch.isfinite(found["saved"]).all() and len(found["saved"]) == FRAMES
    half = len(moved) // 2
    assert moved[half:].mean() > 2 * moved[:half].mean() and moved[half:].mean() > 1e-3


def test_impact_scales_a_clip_up_step_by_step(client):
    graph = stock()
    given = {"scale_method": "bilinear", "vae": ["model", 2], "seed": 1, "steps": 2, "denoise": 0.5}
    graph["upscaler"] = node("PixelKSampleUpscalerProvider", use_tiled_vae=False, tile_size=512, **given, **WHOLE)
    graph["upscaler"]["inputs"] |= SETTINGS
    given = {
        "samples": ["sample", 0],
        "upscale_factor": 2.0,
        "steps": 2,
        "temp_prefix": "",
        "upscaler": ["upscaler", 0],
    }
    graph["larger"] = node("IterativeLatentUpscale", step_mode="simple", **given)
    found = latents(client, saving(graph, "larger", "saved"))["saved"]
    assert found.shape == (FRAMES, 4, SIZE // 4, SIZE // 4) and torch.isfinite(found).all()


def details(graph: dict, positive: list, node_type: str) -> dict:
    """The right half of a decoded clip made anew, at "detailed"."""
    graph["decode"] = node("VAEDecode", samples=["sample", 0], vae=["model", 2])
    mask = {"combined": True, "crop_factor": 1.0, "bbox_fill": False, "drop_size": 8, "contour_fill": False}
    graph["segments"] = node("MaskToSEGS", mask=["right", 0], **mask)
    graph["detail pipe"] = node("ToBasicPipe", model=["model", 0], clip=["model", 1], vae=["model", 2])
    graph["detail pipe"]["inputs"] |= {"positive": positive, "negative": ["negative", 0]}
    given = {"image_frames": ["decode", 0], "segs": ["segments", 0], "guide_size": 64, "guide_size_for": True}
    given |= {
        "max_size": 64,
        "seed": 1,
        "steps": 2,
        "denoise": 0.7,
        "basic_pipe": ["detail pipe", 0],
        "refiner_ratio": 0.2,
    }
    graph["detailer"] = node(node_type, **given, **SETTINGS)
    paste = {"image": ["decode", 0], "segs": ["detailer", 0], "feather": 0, "alpha": 255}
    graph["detailed"] = node("SEGSPaste", **paste)
    for name in ("decode", "detailed"):
        graph[f"save {name}"] = node("SaveImage", images=[name, 0], filename_prefix="frames")
    return graph


def test_impact_makes_a_part_of_a_clip_anew(client):
    """Its detailer for AnimateDiff samples all frames of a part together. It cuts no keyframes: plain prompts."""
    graph = details(regions(piped()), ["positive", 0], "SEGSDetailerForAnimateDiff")
    found = images(client, graph)
    moved = (found["save detailed"].float() - found["save decode"].float()).abs().mean((0, 1, 3))
    assert len(found["save detailed"]) == FRAMES
    assert moved[SIZE // 2 :].mean() > 1 and moved[: SIZE // 2 - 8].max() <= 1


def upscaled(positive: list, negative: list, **changes) -> dict:
    graph = stock()
    graph["decode"] = node("VAEDecode", samples=["sample", 0], vae=["model", 2])
    graph["large"] = node("ImageScaleBy", image=["decode", 0], upscale_method="bilinear", scale_by=2.0)
    given = {"model": ["model", 0], "positive": positive, "negative": negative, "vae": ["model", 2]}
    given |= {"seed": 1, "steps": 4, "denoise": 0.5, "mode_type": "Linear", "tile_width": SIZE, "tile_height": SIZE}
    given |= {"mask_blur": 4, "tile_padding": 16, "seam_fix_mode": "None", "seam_fix_denoise": 1.0, "batch_size": 1}
    given |= {"seam_fix_width": 16, "seam_fix_mask_blur": 4, "seam_fix_padding": 8, "force_uniform_tiles": True}
    given |= {"tiled_decode": False, "upscaled_image": ["large", 0]}
    graph["tiles"] = node("UltimateSDUpscaleNoUpscale", **(SETTINGS | given | changes))
    for name in ("large", "tiles"):
        graph[f"save {name}"] = node("SaveImage", images=[name, 0], filename_prefix="frames")
    return graph


def test_tiles_of_a_clip_are_clips(client):
    """All frames of a tile are sampled together, by plain prompts: it cuts no keyframes."""
    found = images(client, upscaled(["positive", 0], ["negative", 0]))
    assert found["save tiles"].shape == (FRAMES, 2 * SIZE, 2 * SIZE, 3)
    assert (found["save tiles"].float() - found["save large"].float()).abs().mean() > 1


def test_tiles_of_another_number_of_frames_than_the_keyframes_are_refused(client):
    with pytest.raises(ExecutionFailed, match="The conditioning is for clips of"):
        graph = upscaled(["clip", 0], ["clip", 1])
        graph["large"] = node("ImageFromBatch", image=["whole", 0], batch_index=0, length=3)
        graph["whole"] = node("ImageScaleBy", image=["decode", 0], upscale_method="bilinear", scale_by=2.0)
        client.run(graph)


def test_rgthree_carries_a_clip(client):
    graph = stock()
    parts = {"clip": ["model", 1], "vae": ["model", 2], "latent": ["clip", 2], "seed": 1}
    graph["context"] = node("Context (rgthree)", **WHOLE, **parts)
    graph["switch"] = node("Context Switch (rgthree)", ctx_01=["context", 0])
    sources = {"model": 1, "positive": 4, "negative": 5, "latent_image": 6, "seed": 8}
    inputs = graph["sample"]["inputs"] | {name: ["switch", output] for name, output in sources.items()}
    found = latents(client, saving({**graph, "carried": node("KSampler", **inputs)}, "carried", "saved"))
    assert found["saved"].equal(found["latent"])


def test_rgthree_loads_loras(client, packed):
    """By core's loader: one that has something for SEINE acts, one that has nothing is refused."""
    from safetensors.torch import save_file

    folder = packed.models / "loras"
    folder.mkdir(exist_ok=True)
    random = torch.Generator().manual_seed(3)
    name = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
    pair = {"lora_down.weight": (4, 64), "lora_up.weight": (64, 4)}
    fits = {f"{name}.{part}": torch.randn(shape, generator=random) for part, shape in pair.items()}
    save_file(fits, folder / "fits.safetensors")
    save_file({key.replace("lora_unet", "lora_te"): value for key, value in fits.items()}, folder / "other.safetensors")

    def loaded(file: str, on: bool = True) -> dict:
        graph = stock()
        graph["loras"] = node("Power Lora Loader (rgthree)", model=["model", 0], clip=["model", 1])
        graph["loras"]["inputs"]["lora_1"] = {"on": on, "lora": file, "strength": 1.0}
        graph["sample"]["inputs"]["model"] = ["loras", 0]
        return graph

    plain = latents(client, stock())["latent"]
    assert not close(latents(client, loaded("fits.safetensors"))["latent"], plain)
    assert latents(client, loaded("fits.safetensors", on=False))["latent"].equal(plain)
    with pytest.raises(ExecutionFailed, match="nothing in this file is for SEINE"):
        client.run(loaded("other.safetensors"))


def test_custom_scripts_reckons_for_a_clip(client):
    """The number of steps by an expression, the prompt by joined texts."""
    graph = stock()
    graph["steps"] = node("MathExpression|pysssss", expression="1 + 2")
    texts = {"text_a": "a red ball", "text_b": "moves left", "text_c": ""}
    graph["text"] = node("StringFunction|pysssss", action="append", tidy_tags="no", **texts)
    graph["sample"]["inputs"]["steps"] = ["steps", 0]
    assert close(latents(client, graph)["latent"], latents(client, stock())["latent"])
    graph["positive"]["inputs"]["text"] = ["text", 0]
    assert torch.isfinite(latents(client, graph)["latent"]).all()


def test_frames_are_interpolated(client, packed, packed_host):
    """By RIFE, of made-up weights: as many frames between as asked for, and the clip's own kept."""
    from tools.hosting.server import REPOSITORY, run_in_host

    pack = packed.base / "custom_nodes" / "ComfyUI-Frame-Interpolation"
    script = REPOSITORY / "tests" / "in_host" / "pack_interpolation.py"
    run_in_host(packed_host, packed.base / "weights", script, {"pack": str(pack), "file": "rife47.pth"})
    graph = stock()
    graph["decode"] = node("VAEDecode", samples=["sample", 0], vae=["model", 2])
    given = {"ckpt_name": "rife47.pth", "frames": ["decode", 0], "clear_cache_after_n_frames": 10, "multiplier": 2}
    given |= {"fast_mode": True, "ensemble": False, "scale_factor": 1.0, "dtype": "float32", "torch_compile": False}
    graph["between"] = node("RIFE VFI", batch_size=1, **given)
    for name in ("decode", "between"):
        graph[f"save {name}"] = node("SaveImage", images=[name, 0], filename_prefix="frames")
    found = images(client, graph)
    assert len(found["save between"]) == 2 * FRAMES - 1
    assert found["save between"][::2].equal(found["save decode"])


def test_a_sampler_of_single_frames_is_refused(client):
    """Frame-Interpolation's sampler takes a clip's frames one by one, which is no clip."""
    graph = stock()
    given = {"latent_image": ["sample", 0], "seed": 1, "steps": 4, "optional_vae": ["model", 2]}
    given |= {"start_denoise": 0.2, "denoise_increment": 0.1, "denoise_increment_steps": 2}
    graph["gradual"] = node("KSampler Gradually Adding More Denoise (efficient)", **WHOLE, **SETTINGS, **given)
    graph["save"] = node("SaveLatent", samples=["gradual", 3], filename_prefix="latents/test")
    with pytest.raises(ExecutionFailed, match="The conditioning is for clips of 4 frames, the latent has 1"):
        client.run(graph)
