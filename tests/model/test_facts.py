"""What a file says of its model: in metadata or in tensors, and refused where it cannot be."""

import json

import pytest
import torch
from safetensors.torch import save_file

from seine_model import CheckpointError, SeineConfig, load_unet
from seine_model.facts import as_tensor, check_facts, text_encoder_heads_of
from seine_model.reading import read_checkpoint
from tests import golden_data as golden

DEEP = "[" * 100_000


@pytest.mark.parametrize("value", ["[]", "3", '"text"', "null", "{", DEEP, '{"block_out_channels": 5}'])
def test_a_configuration_that_is_none(tmp_path, value):
    save_file(golden.tensors("tiny_a_unet"), tmp_path / "a.safetensors", {"seine_config": value})
    with pytest.raises(CheckpointError, match="configuration in this file"):
        load_unet(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("layers_per_block", 10**9),
        ("cross_attention_dim", 10**12),
        ("block_out_channels", [32 * 10**8] * 4),
        ("attention_head_dim", 10**9),
        ("norm_num_groups", 10**9),
        ("in_channels", 10**9),
        ("layers_per_block", True),
        ("layers_per_block", 1.5),
        ("block_out_channels", 320),
        ("block_out_channels", "3204"),
        ("block_out_channels", [[320] * 4] * 4),
        ("act_fn", ["x" * 10**6]),
    ],
)
def test_a_configuration_is_bounded_before_anything_is_built(name, value):
    with pytest.raises(ValueError, match=name) as error:
        SeineConfig.from_dict({name: value})
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("value", [[], None, 3, "text"])
def test_a_configuration_that_is_no_object(value):
    with pytest.raises(ValueError, match="give an object"):
        SeineConfig.from_dict(value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seine_gray_latent", "not json"),
        ("seine_gray_latent", "[1, 2, 3]"),
        ("seine_gray_latent", "[1, 2, 3, NaN]"),
        ("seine_gray_latent", "[1, 2, 3, true]"),
        ("seine_gray_latent", "[1, 2, 3, 1e300]"),
        ("seine_gray_latent", "[1, 2, 3, 1" + "0" * 400 + "]"),
        ("seine_gray_latent", "{}"),
        ("seine_gray_latent", DEEP),
        ("seine_latent_rgb", "[[1, 2, 3]]"),
        ("seine_latent_rgb", "[[1,2,3],[1,2,3],[1,2,3],[1,2,3],[1,2]]"),
        ("seine_latent_rgb", "[1,2,3,4,5]"),
        ("seine_latent_rgb", "7"),
    ],
)
def test_facts_that_cannot_be(key, value):
    with pytest.raises(CheckpointError, match=f"{key}.* must be "):
        check_facts({key: value})


@pytest.mark.parametrize("value", ["0", "-1", "3", "many", "1.5", "[1]", "true", "9" * 5000])
def test_heads_that_cannot_be(value):
    with pytest.raises(CheckpointError, match="text_encoder_heads.* must be (JSON|a whole number that divides .* 64)"):
        text_encoder_heads_of({"text_encoder_heads": value}, 64)


def test_heads_are_clip_s_where_the_file_does_not_say():
    assert text_encoder_heads_of({}, 768) == 12
    assert text_encoder_heads_of({"text_encoder_heads": "4"}, 64) == 4


def test_facts_in_tensors_are_read_as_metadata_is(tmp_path):
    config = golden.config("tiny_a")
    facts = {"seine_config": json.dumps(config.to_dict()), "seine_gray_latent": "[0, 1, 2, 3]"}
    tensors = golden.tensors("tiny_a_unet") | {key: as_tensor(value) for key, value in facts.items()}
    tensors["cond_stage_model.text_encoder_heads"] = as_tensor("2")
    save_file(tensors, tmp_path / "saved.safetensors", {"prompt": ""})
    read, metadata = read_checkpoint(tmp_path / "saved.safetensors")
    assert metadata == facts | {"text_encoder_heads": "2", "prompt": ""}
    assert set(read) == set(golden.tensors("tiny_a_unet"))
    assert load_unet(tmp_path / "saved.safetensors").config == config


@pytest.mark.parametrize("tensor", [torch.zeros(3), torch.zeros(2, 2, dtype=torch.uint8)])
def test_a_fact_s_tensor_that_is_no_text(tmp_path, tensor):
    save_file({"seine_config": tensor}, tmp_path / "odd.safetensors")
    with pytest.raises(CheckpointError, match=r"odd\.safetensors: seine_config is no text"):
        read_checkpoint(tmp_path / "odd.safetensors")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_weights_that_nothing_can_be_computed_with(tmp_path, value):
    weights = dict(golden.tensors("tiny_a_unet"))
    weights["mid_block.resnets.0.conv1.bias"] = torch.full_like(weights["mid_block.resnets.0.conv1.bias"], value)
    save_file(weights, tmp_path / "a.safetensors", {"seine_config": json.dumps(golden.config("tiny_a").to_dict())})
    with pytest.raises(CheckpointError, match=r"mid_block\.resnets\.0\.conv1\.bias has .* fetch it again"):
        load_unet(tmp_path / "a.safetensors")


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.uint8, torch.complex64])
def test_weights_that_are_no_floats(tmp_path, dtype):
    weights = dict(golden.tensors("tiny_a_unet"))
    weights["conv_in.weight"] = weights["conv_in.weight"].to(dtype)
    torch.save(weights, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="1 no floating-point numbers: conv_in.weight is"):
        load_unet(tmp_path / "a.pt", golden.config("tiny_a"))
