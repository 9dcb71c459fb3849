"""The same model from every place and layout its parts may come in."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from seine_model.checkpoint import (
    TEXT_ENCODER_PREFIX,
    UNET_PREFIX,
    VAE_PREFIX,
    infer_config,
    read_checkpoint,
    strip_prefix,
)
from seine_model.conversion import convert
from tests.graphs import clip, latents, node, sampled
from tools.hosting.client import ExecutionFailed
from tools.hosting.model_files import SMALL_CFG, SMALL_MODEL
from tools.hosting.server import REPOSITORY

FACTS = ("seine_config", "seine_gray_latent", "seine_latent_rgb", "text_encoder_heads")
TEXT = TEXT_ENCODER_PREFIX + "transformer.text_model.encoder.layers.0."
WORDS = TEXT_ENCODER_PREFIX + "transformer.text_model.embeddings.token_embedding.weight"


@pytest.fixture(scope="session")
def parts(server, sample_model):
    """The sample bundle taken apart: a published-layout SEINE file, and its text encoder and VAE as SD 1.x has them."""
    tensors, metadata = read_checkpoint(sample_model)
    models = server.models
    for folder in ("checkpoints", "diffusion_models", "diffusers/sd-folder/text_encoder", "diffusers/sd-folder/vae"):
        (models / folder).mkdir(parents=True, exist_ok=True)
    unet = strip_prefix(tensors, UNET_PREFIX)
    save_file(unet, models / "seine" / "unet-only.safetensors", metadata)
    save_file(unet, models / "checkpoints" / "unet-in-checkpoints.safetensors", metadata)
    base = {key: value for key, value in tensors.items() if not key.startswith(UNET_PREFIX)}
    save_file(base, models / "checkpoints" / "sd-base.safetensors")
    torch.save({"state_dict": base, "epoch": 3}, models / "checkpoints" / "sd-base.ckpt")
    folder = models / "diffusers" / "sd-folder"
    text = strip_prefix(tensors, TEXT_ENCODER_PREFIX + "transformer.")
    save_file(text, folder / "text_encoder" / "model.safetensors")
    save_file(strip_prefix(tensors, VAE_PREFIX), folder / "vae" / "diffusion_pytorch_model.fp16.safetensors")
    (models / "checkpoints" / "broken.ckpt").write_bytes(b"not a checkpoint")


def with_loader(**inputs):
    graph = sampled(clip())
    graph["model"]["inputs"].update(inputs)
    return graph


@pytest.mark.parametrize(
    ("model_name", "base_name"),
    [
        ("unet-only.safetensors", "sd-base.safetensors"),
        ("unet-only.safetensors", "sd-base.ckpt"),
        ("unet-only.safetensors", "sd-folder"),
        ("unet-in-checkpoints.safetensors", "sd-base.safetensors"),
        ("sample.safetensors", "sd-folder"),
    ],
)
def test_parts_give_the_bundle_s_clip(client, parts, model_name, base_name):
    whole = latents(client, sampled(clip()))["latent"]
    assert torch.equal(latents(client, with_loader(model_name=model_name, base_name=base_name))["latent"], whole)


def test_a_converted_bundle_gives_the_same_clip(client, parts, server):
    models = server.models
    torch.save({"ema": read_checkpoint(models / "seine" / "unet-only.safetensors")[0]}, server.base / "published.pt")
    convert(
        server.base / "published.pt",
        models / "seine" / "converted.safetensors",
        "fp32",
        base=models / "diffusers" / "sd-folder",
        config=infer_config(*read_checkpoint(models / "seine" / "unet-only.safetensors")),
        overwrite=True,
    )
    converted = latents(client, with_loader(model_name="converted.safetensors", base_name="bundled"))["latent"]
    assert torch.equal(converted, latents(client, sampled(clip()))["latent"])


def test_model_loader_gives_the_same_model(client, parts):
    graph = sampled(clip())
    graph["unet"] = node("SEINEModelLoader", model_name="unet-only.safetensors", weight_dtype="fp32")
    graph["sample"]["inputs"]["model"] = ["unet", 0]
    assert torch.equal(latents(client, graph)["latent"], latents(client, sampled(clip()))["latent"])


def test_published_pickle_with_config_from_shapes(client, server, sample_model):
    """The published file is a pickle without metadata: 32 norm groups, as the full-size network has."""
    from seine_model import SeineConfig
    from tools.hosting.sample_bundle import sample_bundle

    config = SeineConfig(
        block_out_channels=(32, 64, 64, 64), layers_per_block=1, attention_head_dim=1, cross_attention_dim=64
    )
    bundle = load_file(sample_bundle(server.base / "published.safetensors", config))
    torch.save({"ema": strip_prefix(bundle, UNET_PREFIX)}, server.models / "seine" / "seine.pt")
    graph = sampled(clip())
    graph["unet"] = node("SEINEModelLoader", model_name="seine.pt", weight_dtype="default")
    graph["sample"]["inputs"]["model"] = ["unet", 0]
    assert torch.isfinite(latents(client, graph)["latent"]).all()


def test_saved_checkpoint_is_a_bundle_again(client, server):
    """Stock Save Checkpoint writes what Load SEINE Checkpoint reads, but for the metadata: full-size norm groups."""
    graph = sampled(clip())
    graph["save"] = node(
        "CheckpointSave",
        model=["model", 0],
        clip=["model", 1],
        vae=["model", 2],
        filename_prefix="checkpoints/again",
    )
    client.run(graph)
    saved, _ = read_checkpoint(next((server.output / "checkpoints").glob("again*.safetensors")))
    original, metadata = read_checkpoint(server.models / "seine" / "sample.safetensors")
    prefix = TEXT_ENCODER_PREFIX + "transformer.text_model."
    for key in original:
        if key.startswith((UNET_PREFIX, prefix)):
            assert torch.allclose(saved[key].float(), original[key].float(), atol=1e-3), key
    save_file(saved, server.models / "seine" / "again.safetensors", metadata)
    again = latents(client, sampled(clip(model_name="again.safetensors")))["latent"]
    whole = latents(client, sampled(clip()))["latent"]
    assert (again - whole).abs().max() <= 0.02 * whole.abs().max()


def test_stable_diffusion_s_text_encoder_and_vae_are_the_host_s_own(run_in_host, tmp_path):
    shapes = run_in_host(REPOSITORY / "benchmarks" / "vae_in_host.py")
    facts = run_in_host("stable_diffusion.py", folder=str(tmp_path), vae_shapes=shapes)
    assert facts["text"] == [1, 77, 768]
    assert facts["text spread"] > 0.1
    assert facts["text difference"] <= 1e-5
    assert facts["pixels"] == [1, 32, 48, 3]
    assert facts["pixel difference"] <= 1e-5


def test_a_base_that_cannot_be_read(client, parts):
    with pytest.raises(ExecutionFailed, match=r"base_name: .*broken\.ckpt cannot be read"):
        client.run(with_loader(model_name="unet-only.safetensors", base_name="broken.ckpt"))


def saved_file(client, server, graph, node_type, **inputs):
    """Run one of core's savers behind the graph's loader; the file it wrote, moved into models/seine."""
    name = f"kept-{node_type.lower()}"
    graph["save"] = node(node_type, model=["model", 0], filename_prefix=f"checkpoints/{name}", **inputs)
    client.run(graph)
    written = next((server.output / "checkpoints").glob(f"{name}*.safetensors"))
    return written.rename(server.models / "seine" / f"{name}.safetensors").name


def small_clip(**model):
    """A clip of the pack's own model, whose norm groups, heads, gray and preview colours are all its own."""
    graph = clip(images=0, mode="text to video", model_name=SMALL_MODEL)
    graph["model"]["inputs"].update(model)
    return sampled(graph, cfg=SMALL_CFG)


def test_the_small_model_saved_by_core_is_the_same_model_again(client, server):
    whole = latents(client, small_clip())["latent"]
    name = saved_file(client, server, small_clip(), "CheckpointSave", clip=["model", 1], vae=["model", 2])
    _, original = read_checkpoint(REPOSITORY / "models" / SMALL_MODEL)
    _, facts = read_checkpoint(server.models / "seine" / name)
    assert {key: json.loads(facts[key]) for key in FACTS} == {key: json.loads(original[key]) for key in FACTS}
    assert torch.equal(latents(client, small_clip(model_name=name))["latent"], whole)


def test_the_small_model_s_unet_saved_by_core_is_the_same_again(client, server):
    whole = latents(client, small_clip())["latent"]
    name = saved_file(client, server, small_clip(), "ModelSave")
    graph = small_clip()
    graph["unet"] = node("SEINEModelLoader", model_name=name, weight_dtype="fp32")
    graph["sample"]["inputs"]["model"] = ["unet", 0]
    assert torch.equal(latents(client, graph)["latent"], whole)


DAMAGE = {
    "keys": ({VAE_PREFIX + "taesd_decoder.3.": None}, "6 missing: taesd_decoder.3."),
    "NaN": ({VAE_PREFIX + "vae_scale": torch.tensor(float("nan"))}, "vae_scale has NaN"),
    "shape": ({VAE_PREFIX + "taesd_decoder.3.conv.0.bias": torch.zeros(5)}, "size mismatch for taesd_decoder.3.conv.0"),
    "integers": ({VAE_PREFIX + "taesd_decoder.3.conv.0.bias": torch.zeros(64).int()}, "is int32"),
    "text shape": ({TEXT + "layer_norm1.bias": torch.zeros(5)}, "layer_norm1.bias is [5], expected [64]"),
    "text values": ({TEXT + "layer_norm1.bias": torch.full((64,), torch.inf)}, "has NaN or inf"),
    "text range": ({TEXT + "layer_norm1.bias": torch.full((64,), 1e6)}, "has values up to 1.0e+06"),
    "vocabulary": ({WORDS: torch.zeros(99, 64)}, "99 tokens"),
    "gray": ({"seine_gray_latent": torch.zeros(4)}, "seine_gray_latent is no text"),
}
"""What is put in place of a bundle's tensors (None: those whose keys begin so are taken out), and what must be said."""


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_part_that_is_damaged_is_refused_with_its_keys(client, server, sample_model, damage):
    tensors, metadata = read_checkpoint(sample_model)
    changes, words = DAMAGE[damage]
    gone = tuple(key for key, value in changes.items() if value is None)
    tensors = {key: value for key, value in (tensors | changes).items() if not (gone and key.startswith(gone))}
    name = f"damaged-{damage.replace(' ', '-')}.safetensors"
    save_file(tensors, server.models / "seine" / name, metadata)
    with pytest.raises(ExecutionFailed) as error:
        client.run(sampled(clip(model_name=name)))
    assert words in str(error.value)
    assert error.value.exception_message.startswith(("base_name", "model_name"))


@pytest.mark.parametrize(("dtype", "value"), [("fp16", 1e6), ("fp8_e4m3fn", 1e3), ("fp8_e5m2", 6e4)])
def test_weights_that_do_not_fit_into_the_dtype_chosen(client, server, sample_model, dtype, value):
    tensors, metadata = read_checkpoint(sample_model)
    tensors[UNET_PREFIX + "mid_block.resnets.0.norm1.bias"] = torch.full((64,), value)
    save_file(tensors, server.models / "seine" / "large.safetensors", metadata)
    graph = sampled(clip(model_name="large.safetensors"))
    graph["model"]["inputs"]["weight_dtype"] = dtype
    with pytest.raises(ExecutionFailed, match=r"weight_dtype: .* too narrow .*norm1\.bias .*choose bf16 or fp32"):
        client.run(graph)
    graph["model"]["inputs"]["weight_dtype"] = "bf16"
    assert torch.isfinite(latents(client, graph)["latent"]).all()


@pytest.mark.parametrize("diffusers", [False, True])
def test_stable_diffusion_s_vae_with_missing_keys_is_refused(run_in_host, diffusers):
    shapes = run_in_host(REPOSITORY / "benchmarks" / "vae_in_host.py")
    facts = run_in_host("incomplete_vae.py", vae_shapes=shapes, diffusers=diffusers)
    assert facts["whole"] == "a VAE"
    assert "10 missing: decoder.up.0." in facts["incomplete"]
