"""A UNet as diffusers saves it: what is shared once, and the configuration in a file beside the weights."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from seine_model import SeineConfig, load_unet
from seine_model.checkpoint import infer_config, read_checkpoint
from tests import golden_data as golden


def networks() -> dict[str, tuple[dict, dict]]:
    """Configuration and weights of SEINE and of LaVie."""
    config, weights = golden.values("tiny_a_config"), dict(golden.tensors("tiny_a_unet"))
    first = golden.tensors("lavie_base")["conv_in.weight"]
    return {"SEINE": (config, weights), "LaVie": (config | {"in_channels": 4}, weights | {"conv_in.weight": first})}


def save(folder: Path, network: str, ending: str = ".safetensors") -> Path:
    config, weights = networks()[network]
    for key in [key for key in weights if key.endswith("rotary_emb.freqs")][1:]:
        del weights[key]
    file = folder / ("diffusion_pytorch_model" + ending)
    (torch.save if ending == ".bin" else save_file)(weights, file)
    (folder / "config.json").write_text(json.dumps(config | {"_class_name": "UNet3DConditionModel"}))
    return file


@pytest.mark.parametrize("ending", [".safetensors", ".fp16.safetensors", ".bin"])
@pytest.mark.parametrize("network", ["SEINE", "LaVie"])
def test_it_is_the_network_that_was_saved(tmp_path, network, ending):
    config, weights = networks()[network]
    unet = load_unet(save(tmp_path, network, ending))
    assert unet.config == SeineConfig.from_dict(config)
    loaded = unet.state_dict()
    assert loaded.keys() == weights.keys()
    for key, value in weights.items():
        assert torch.equal(loaded[key], value), key


@pytest.mark.parametrize("content", ["{", "[]", '{"_class_name": "AutoencoderKL", "in_channels": 3}', None])
def test_a_configuration_of_something_else_is_not_read(tmp_path, content):
    file = save(tmp_path, "SEINE")
    beside = file.with_name("config.json")
    beside.unlink() if content is None else beside.write_text(content)
    _, facts = read_checkpoint(file)
    assert facts == {}


def test_what_the_file_says_itself_comes_first(tmp_path):
    file = save(tmp_path, "SEINE")
    own = {"seine_config": json.dumps(golden.config("tiny_a").to_dict())}
    save_file(networks()["SEINE"][1], file, own)
    file.with_name("config.json").write_text('{"_class_name": "UNet3DConditionModel", "norm_num_groups": 32}')
    assert infer_config(*read_checkpoint(file)) == golden.config("tiny_a")


def test_another_file_s_configuration_is_not_taken(tmp_path):
    file = save(tmp_path, "SEINE").rename(tmp_path / "seine.safetensors")
    assert read_checkpoint(file)[1] == {}
