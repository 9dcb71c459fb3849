"""Low-rank layers: nothing at first, off when switched off, and in a file under the host's names."""

import torch
from torch import nn

from seine_model import SeineUNet3D
from seine_model.temporal import rotary_frequencies
from tests.tools.training.test_trainer import CONFIG
from tools.training.low_rank import add_low_rank, host_name, lora_file, switched_off


def network():
    torch.manual_seed(0)
    unet = SeineUNet3D(CONFIG)
    for name, value in unet.named_parameters():
        nn.init.normal_(value, std=0.2) if value.ndim > 1 else nn.init.ones_(value)
        if name.endswith("freqs"):
            value.data = rotary_frequencies()
    return unet


def predict(unet):
    drawn = torch.Generator().manual_seed(3)
    sample, context = torch.randn(1, 9, 2, 8, 8, generator=drawn), torch.randn(1, 5, 8, generator=drawn)
    with torch.no_grad():
        return unet(sample, torch.tensor([500]), context)


def test_they_add_nothing_until_they_have_learned():
    unet = network()
    before = predict(unet)
    values = add_low_rank(unet, 4, seed=0)
    assert torch.equal(predict(unet), before)
    for value in values.values():
        nn.init.normal_(value, std=0.1)
    assert not torch.allclose(predict(unet), before, atol=1e-3)
    with switched_off(unet):
        assert torch.equal(predict(unet), before)
    assert {name for name, value in unet.named_parameters() if value.requires_grad} == {
        f"{name.rpartition('.')[0]}.parametrizations.weight.0.{name.rpartition('.')[2]}" for name in values
    }


def test_every_linear_and_convolution_layer_has_one():
    unet = network()
    layers = {name for name, layer in unet.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)}
    values = add_low_rank(unet, 400, seed=0)
    assert {name.rpartition(".")[0] for name in values} == layers
    assert any("attn_temp" in name for name in layers)
    assert values["conv_out.up"].shape == (4, 4), "no more than the layer has rows"


def test_the_file_holds_what_the_layers_add():
    unet = network()
    values = add_low_rank(unet, 3, seed=0)
    for value in values.values():
        nn.init.normal_(value, std=0.1)
    stored = lora_file(values, unet, torch.float32)
    assert len(stored) == len(values)
    for layer in ("conv_in", "down_blocks.0.attentions.0.transformer_blocks.0.attn_temp.to_q", "conv_out"):
        name = f"diffusion_model.{host_name(layer, CONFIG)}"
        up, down = (stored[f"{name}.lora_{part}.weight"] for part in ("up", "down"))
        module = unet.get_submodule(layer)
        added = module.weight - module.parametrizations.weight.original
        assert up.ndim == down.ndim == added.ndim
        torch.testing.assert_close((up.flatten(1) @ down.flatten(1)).view_as(added), added, rtol=1e-4, atol=1e-5)


def test_bfloat16_weights_stay_so():
    unet = network().bfloat16()
    values = add_low_rank(unet, 2, seed=0)
    assert unet.conv_in.weight.dtype == torch.bfloat16
    assert all(value.dtype == torch.float32 for value in values.values())
