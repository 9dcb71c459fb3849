"""The same model from every place and layout its parts may come in."""

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
from tools.hosting.server import REPOSITORY


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
        torch.float32,
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
