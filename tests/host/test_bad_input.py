"""What goes wrong in a graph says which input, what is wrong and what to do; the server goes on."""

import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.graphs import FRAMES, SIZE, clip, latents, node, sampled
from tools.hosting.client import ExecutionFailed, ValidationFailed


def failure(client, graph) -> str:
    """The message of a graph that must fail, after which the server must still work."""
    with pytest.raises((ExecutionFailed, ValidationFailed)) as error:
        client.run(graph)
    assert latents(client, sampled(clip(), steps=2))["latent"].shape[0] == FRAMES
    return getattr(error.value, "exception_message", str(error.value))


class Surprise:
    def __reduce__(self):
        return (print, ("code ran",))


def write_not_tensors(path, sample):
    path.write_bytes(pickle.dumps({"ema": Surprise()}))


def write_truncated(path, sample):
    path.write_bytes(sample.read_bytes()[:-1000])


def write_stable_diffusion(path, sample):
    save_file({"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(320, 4, 3, 3)}, path)


def write_animatediff(path, sample):
    save_file({"down_blocks.0.motion_modules.0.temporal_transformer.norm.weight": torch.zeros(320)}, path)


def write_missing_key(path, sample):
    tensors = load_file(sample)
    del tensors["model.diffusion_model.mid_block.resnets.0.conv1.weight"]
    save_file(tensors, path, metadata_of(sample))


def write_wrong_shape(path, sample):
    tensors = load_file(sample)
    key = "model.diffusion_model.mid_block.resnets.0.conv1.bias"
    tensors[key] = torch.zeros(len(tensors[key]) + 1)
    save_file(tensors, path, metadata_of(sample))


def write_sd2_text_encoder(path, sample):
    tensors = {key: value for key, value in load_file(sample).items() if not key.startswith("cond_stage_model.")}
    tensors["cond_stage_model.model.token_embedding.weight"] = torch.zeros(8, 1024)
    save_file(tensors, path, metadata_of(sample))


def write_wide_text_encoder(path, sample):
    tensors = load_file(sample)
    prefix = "cond_stage_model.transformer.text_model.embeddings."
    tensors[prefix + "token_embedding.weight"] = torch.zeros(8, 1024)
    save_file(tensors, path, metadata_of(sample))


def write_unet_only(path, sample):
    tensors = {key: value for key, value in load_file(sample).items() if key.startswith("model.diffusion_model.")}
    save_file(tensors, path, metadata_of(sample))


def metadata_of(file):
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        return opened.metadata()


@pytest.mark.parametrize(
    ("write", "suffix", "words"),
    [
        (write_not_tensors, ".pt", ["more than plain tensors", "published seine.pt"]),
        (write_truncated, ".safetensors", ["damaged or was not downloaded completely"]),
        (write_stable_diffusion, ".safetensors", ["a Stable Diffusion checkpoint", "Choose the published seine.pt"]),
        (write_animatediff, ".safetensors", ["an AnimateDiff motion module"]),
        (write_missing_key, ".safetensors", ["1 missing: mid_block.resnets.0.conv1.weight"]),
        (write_wrong_shape, ".safetensors", ["1 of the wrong shape: mid_block.resnets.0.conv1.bias", "expected [64]"]),
        (write_sd2_text_encoder, ".safetensors", ["base_name", "SD 2 or SDXL"]),
        (write_wide_text_encoder, ".safetensors", ["base_name", "1024 wide", "reads 64"]),
        (write_unet_only, ".safetensors", ["has no text encoder", "Stable Diffusion 1.4"]),
    ],
)
def test_files_that_are_no_seine_checkpoint(client, server, sample_model, write, suffix, words):
    name = write.__name__ + suffix
    write(server.models / "seine" / name, sample_model)
    message = failure(client, sampled(clip(model_name=name)))
    assert message.startswith(("model_name", "base_name"))
    for word in words:
        assert word in message


def test_model_loader_refuses_other_models_too(client, server, sample_model):
    name = "sd15.safetensors"
    write_stable_diffusion(server.models / "seine" / name, sample_model)
    graph = sampled(clip())
    graph["other"] = node("SEINEModelLoader", model_name=name, weight_dtype="default")
    graph["sample"]["inputs"]["model"] = ["other", 0]
    assert "a Stable Diffusion checkpoint" in failure(client, graph)


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        ({"mode": "first and last frames", "images": 1}, ["wants 2 keyframe images", "1 image is wired in"]),
        ({"images": 3}, ["wants 1 keyframe images", "3 images are wired in"]),
        ({"images": 0}, ["keeps 1 frames but no keyframes are wired in"]),
        ({"mode": "text to video", "images": 1}, ["unplug keyframes"]),
        ({"mode": "custom keyframes", "indices": "0, 9"}, ["index 9 is outside the clip", "0 to 3"]),
        ({"mode": "custom keyframes", "indices": "first"}, ["frame indices must be whole numbers"]),
        ({"count": 5}, ["count: 5 given frames of a clip of 4"]),
    ],
)
def test_masks_and_keyframes_that_do_not_fit(client, mask, words):
    message = failure(client, sampled(clip(**mask)))
    for word in words:
        assert word in message


@pytest.mark.parametrize(("name", "value"), [("frames", 0), ("frames", -3), ("count", 0)])
def test_numbers_below_their_range(client, name, value):
    graph = clip()
    graph["mask"]["inputs"][name] = value
    message = failure(client, sampled(graph))
    assert name in message and "SEINEMaskBuilder" in message


@pytest.mark.parametrize("which", ["mask", "clip"])
def test_sizes_that_are_no_multiple_of_8(client, which):
    graph = clip()
    graph[which]["inputs"].update(width=SIZE + 3, height=SIZE + 5)
    assert "nearest valid size is 64x72" in failure(client, sampled(graph))


def test_images_of_any_size_are_resized(client):
    graph = clip()
    graph["keyframes"]["inputs"].update(width=83, height=41)
    for mode in ("stretch", "crop", "pad"):
        graph["clip"]["inputs"]["resize_mode"] = mode
        assert latents(client, sampled(graph))["latent"].shape[-2:] == (SIZE // 8, SIZE // 8)


def test_mask_and_latent_of_different_lengths(client):
    graph = sampled(clip())
    graph["longer"] = node("SEINEMaskBuilder", **{**graph["mask"]["inputs"], "frames": FRAMES + 2})
    graph["sample"]["inputs"]["mask"] = ["longer", 0]
    message = failure(client, graph)
    assert "mask: it has 6 frames, the latent has 4" in message and "SEINE Mask Builder" in message


@pytest.mark.parametrize("sampler", ["SEINEKSampler", "KSampler"])
def test_prompts_for_different_clips(client, sampler):
    graph = sampled(clip(), sampler, negative=["other", 1])
    other = graph["clip"]["inputs"] | {"mask": ["nothing kept", 0]}
    del other["keyframes"]
    graph["nothing kept"] = node("SEINEMaskBuilder", **graph["mask"]["inputs"] | {"mode": "text to video"})
    graph["other"] = node("SEINEImageToVideo", **other)
    message = failure(client, graph)
    assert "positive and negative" in message and "SEINE Image to Video" in message


def test_one_step_of_the_seine_schedule(client):
    assert "at least 2 steps" in failure(client, sampled(clip(), steps=1))


@pytest.mark.parametrize("batch_size", [1, 4])
def test_training_by_core_is_refused_with_words(client, batch_size):
    """It picks frames as if they were pictures, and gives each its own noise."""
    settings = {
        **{"batch_size": batch_size, "grad_accumulation_steps": 1, "steps": 1, "learning_rate": 5e-4, "rank": 2},
        **{"optimizer": "SGD", "loss_function": "MSE", "seed": 0, "training_dtype": "fp32", "lora_dtype": "fp32"},
        **{"quantized_backward": False, "algorithm": "LoRA", "gradient_checkpointing": False, "checkpoint_depth": 1},
        **{"offloading": False, "existing_lora": "[None]", "bucket_mode": False, "bypass_mode": False},
    }
    graph = clip()
    wired = {"model": ["model", 0], "latents": ["clip", 2], "positive": ["clip", 0]}
    graph["train"] = node("TrainLoraNode", **wired, **settings)
    graph["end"] = node("LossGraphNode", loss=["train", 1], filename_prefix="loss")
    message = failure(client, graph)
    assert "Train LoRA" in message and "tools/train.py" in message
