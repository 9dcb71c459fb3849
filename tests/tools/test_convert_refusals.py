"""tools/convert_checkpoint.py: sources and bases that are refused."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests import golden_data as golden
from tests.tools.converting import clip_weights, diffusers_folder, refused, single_file, vae_weights, write_source
from tools.convert_checkpoint import main


@pytest.fixture(scope="module")
def weights():
    return golden.tensors("tiny_a_unet")


@pytest.fixture(scope="module")
def seine(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("source"))


class TestUnsuitableSource:
    def refuse(self, capsys, tmp_path, content, suffix=".pt") -> str:
        source = tmp_path / ("other" + suffix)
        torch.save(content, source) if suffix == ".pt" else save_file(content, source)
        assert main([str(source), str(tmp_path / "out.safetensors")]) == 1
        assert os.listdir(tmp_path) == [source.name]
        message = capsys.readouterr().err
        assert source.name in message
        return message

    @pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
    def test_sd15(self, tmp_path, capsys, suffix):
        content = {"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(320, 4, 3, 3)}
        assert "Stable Diffusion checkpoint" in self.refuse(capsys, tmp_path, content, suffix)

    def test_missing_and_wrong_keys_are_listed(self, tmp_path, capsys, seine, weights):
        content = dict(weights)
        del content["conv_in.bias"]
        content["conv_out.bias"] = torch.zeros(7)
        content["extra.weight"] = torch.zeros(1)
        torch.save({"ema": content}, tmp_path / "seine.pt")
        shutil.copy(seine.parent / "config.json", tmp_path)
        message = refused(capsys, tmp_path / "seine.pt", tmp_path / "out.safetensors")
        assert "1 missing: conv_in.bias" in message and "1 unexpected: extra.weight" in message
        assert "conv_out.bias is [7], expected [4]" in message

    def test_pickle_with_more_than_tensors(self, tmp_path, capsys):
        assert "more than plain tensors" in self.refuse(capsys, tmp_path, {"ema": Path("x")})

    @pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
    def test_truncated(self, tmp_path, capsys, seine, weights, suffix):
        source = tmp_path / ("cut" + suffix)
        if suffix == ".safetensors":
            save_file(weights, source)
        else:
            shutil.copy(seine, source)
        with source.open("r+b") as file:
            file.truncate(source.stat().st_size // 2)
        assert main([str(source), str(tmp_path / "out.safetensors")]) == 1
        message = capsys.readouterr().err
        assert source.name in message and "fetch it again" in message
        assert os.listdir(tmp_path) == [source.name]

    @pytest.mark.parametrize(("value", "advice"), [(1e6, "bf16 or fp32"), (float("nan"), "damaged")])
    def test_values_that_do_not_fit(self, tmp_path, capsys, seine, weights, value, advice):
        torch.save({"ema": {**weights, "conv_out.bias": torch.full((4,), value)}}, tmp_path / "seine.pt")
        shutil.copy(seine.parent / "config.json", tmp_path)
        message = refused(capsys, tmp_path / "seine.pt", tmp_path / "out.safetensors", "--dtype", "fp16")
        assert "conv_out.bias" in message and advice in message
        assert sorted(os.listdir(tmp_path)) == ["config.json", "seine.pt"]

    @pytest.mark.parametrize("dtype", [torch.int32, torch.bool, torch.uint8])
    def test_weights_that_are_no_floats(self, tmp_path, capsys, seine, weights, dtype):
        torch.save({"ema": {**weights, "conv_out.bias": torch.ones(4, dtype=dtype)}}, tmp_path / "seine.pt")
        shutil.copy(seine.parent / "config.json", tmp_path)
        message = refused(capsys, tmp_path / "seine.pt", tmp_path / "out.safetensors")
        assert "conv_out.bias is " in message and "no floating-point numbers" in message


class TestUnsuitableBase:
    def refuse(self, capsys, seine, tmp_path, base) -> str:
        message = refused(capsys, seine, tmp_path / "out.safetensors", "--base", base)
        assert not (tmp_path / "out.safetensors").exists()
        assert base.name in message
        return message

    def test_text_encoder_of_another_width(self, tmp_path, capsys, seine):
        base = single_file(tmp_path / "sd2.safetensors", clip_weights(48))
        assert "48 wide, this SEINE model reads 32" in self.refuse(capsys, seine, tmp_path, base)

    @pytest.mark.parametrize("key", ["cond_stage_model.model.ln_final.weight", "conditioner.embedders.0.weight"])
    def test_text_encoder_of_sd2_or_sdxl(self, tmp_path, capsys, seine, key):
        base = single_file(tmp_path / "sdxl.safetensors", {}, **{key: torch.zeros(8)})
        assert "SD 2 or SDXL" in self.refuse(capsys, seine, tmp_path, base)

    def test_incomplete_text_encoder(self, tmp_path, capsys, seine):
        clip = clip_weights()
        del clip["text_model.encoder.layers.1.mlp.fc1.bias"]
        base = single_file(tmp_path / "base.safetensors", clip)
        assert "missing text_model.encoder.layers.1.mlp.fc1.bias" in self.refuse(capsys, seine, tmp_path, base)

    def test_file_without_text_encoder(self, tmp_path, capsys, seine):
        assert "no text encoder" in self.refuse(capsys, seine, tmp_path, single_file(tmp_path / "b.safetensors", {}))

    def test_file_without_vae(self, tmp_path, capsys, seine):
        base = single_file(tmp_path / "base.safetensors", vae={})
        assert "no VAE" in self.refuse(capsys, seine, tmp_path, base)

    def test_vae_with_other_latents(self, tmp_path, capsys, seine):
        base = single_file(tmp_path / "base.safetensors", vae=vae_weights(16))
        assert "16 latent channels" in self.refuse(capsys, seine, tmp_path, base)

    @pytest.mark.parametrize("part", ["text_encoder", "vae"])
    def test_folder_without_a_part(self, tmp_path, capsys, seine, part):
        base = diffusers_folder(tmp_path / "base")
        shutil.rmtree(base / part)
        assert f"{part}/ has none of" in self.refuse(capsys, seine, tmp_path, base)

    def test_folder_of_sdxl(self, tmp_path, capsys, seine):
        base = diffusers_folder(tmp_path / "sdxl")
        (base / "text_encoder_2").mkdir()
        assert "SDXL" in self.refuse(capsys, seine, tmp_path, base)

    def test_folder_with_another_scaling_factor(self, tmp_path, capsys, seine):
        base = diffusers_folder(tmp_path / "base")
        (base / "vae" / "config.json").write_text(json.dumps({"scaling_factor": 0.13025}))
        assert "scaling factor 0.13025" in self.refuse(capsys, seine, tmp_path, base)

    def test_no_such_base(self, tmp_path, capsys, seine):
        assert "no such file or folder" in self.refuse(capsys, seine, tmp_path, tmp_path / "nothing")

    def test_pickle_with_more_than_tensors(self, tmp_path, capsys, seine):
        torch.save({"state_dict": Path("x")}, tmp_path / "base.ckpt")
        assert "base: base.ckpt holds more" in self.refuse(capsys, seine, tmp_path, tmp_path / "base.ckpt")

    @pytest.mark.parametrize("part", ["text_encoder", "vae"])
    @pytest.mark.parametrize("content", ["", "{", "[]", "null", '"text"', "[" * 100_000, "\udcff"])
    def test_folder_with_a_malformed_configuration(self, tmp_path, capsys, seine, part, content):
        base = diffusers_folder(tmp_path / "base")
        (base / part / "config.json").write_bytes(content.encode("utf-8", "surrogateescape"))
        assert f"{part}/config.json" in self.refuse(capsys, seine, tmp_path, base)

    @pytest.mark.parametrize("scale", ["large", None, [], float("nan"), 10**400])
    def test_folder_with_a_scaling_factor_that_is_none(self, tmp_path, capsys, seine, scale):
        base = diffusers_folder(tmp_path / "base")
        (base / "vae" / "config.json").write_text(json.dumps({"scaling_factor": scale}))
        assert "scaling factor" in self.refuse(capsys, seine, tmp_path, base)

    @pytest.mark.parametrize("heads", ["two", 0, 5, True, [2], 10**400])
    def test_folder_with_heads_that_cannot_be(self, tmp_path, capsys, seine, heads):
        base = diffusers_folder(tmp_path / "base")
        (base / "text_encoder" / "config.json").write_text(json.dumps({"num_attention_heads": heads}))
        assert "text_encoder_heads" in self.refuse(capsys, seine, tmp_path, base)

    @pytest.mark.parametrize("key", ["embeddings.token_embedding.weight", "encoder.layers.1.mlp.fc1.weight"])
    @pytest.mark.parametrize("shape", [(), (3,), (3, 4), (2, 3, 4)])
    def test_text_encoder_of_wrong_shapes(self, tmp_path, capsys, seine, key, shape):
        clip = clip_weights() | {f"text_model.{key}": torch.zeros(shape)}
        base = single_file(tmp_path / "base.safetensors", clip)
        assert "its text encoder is" in self.refuse(capsys, seine, tmp_path, base)

    @pytest.mark.parametrize("dtype", [torch.int32, torch.bool])
    def test_vae_that_is_no_floats(self, tmp_path, capsys, seine, dtype):
        vae = vae_weights() | {"decoder.conv_out.weight": torch.ones(3, 8, 3, 3, dtype=dtype)}
        base = single_file(tmp_path / "base.safetensors", vae=vae)
        assert "its VAE is no floating-point numbers: first_stage_model.decoder.conv_out.weight" in self.refuse(
            capsys, seine, tmp_path, base
        )
