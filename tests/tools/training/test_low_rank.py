"""Low-rank layers: nothing at first, off when switched off, and in a file under the host's names."""

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from seine_model import SeineUNet3D, load_unet
from seine_model.diffusion import Schedule, ddim_sample
from seine_model.temporal import rotary_frequencies
from tests.tools.training.test_trainer import CONFIG
from tools.training.distillation import visited_timesteps
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


def test_the_host_makes_the_clip_that_the_trained_network_makes(run_in_host, sample_model, tmp_path):
    """By its own LoRA loader, samplers and scheduler, with one prediction a step."""
    unet = load_unet(sample_model)
    values = add_low_rank(unet, 4, seed=0)
    drawn = torch.Generator().manual_seed(1)
    for value in values.values():
        value.data = (0.05 * torch.randn(value.shape, generator=drawn)).half().float()
    save_file(lora_file(values, unet), tmp_path / "lora.safetensors")
    report = run_in_host("few_steps.py", lora=str(tmp_path / "lora.safetensors"), target=str(tmp_path / "made"))
    assert report == {"patched": len(values) // 2, "predictions": 2 * 4, "rows": 3}

    made = load_file(tmp_path / "made")
    given, context = made["given"].transpose(0, 1)[None], made["context"][:1]
    noise = made["start"].transpose(0, 1)[None] / Schedule(torch.tensor([999])).alphas_cumprod.rsqrt().float()

    @torch.no_grad()
    def eps(x, t):
        return unet(torch.cat((x, given), 1), t, context)

    clip = ddim_sample(eps, noise, torch.tensor(visited_timesteps(4)))[0].transpose(0, 1)
    with switched_off(unet):
        before = ddim_sample(eps, noise, torch.tensor(visited_timesteps(4)))[0].transpose(0, 1)
    for name in ("euler", "ddim"):
        error, change = ((made[name] - other).abs().max() for other in (clip, before))
        assert error < 1e-3 * change, name
