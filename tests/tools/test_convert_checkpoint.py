"""tools/convert_checkpoint.py: what it writes."""

import json
import os
import struct

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from seine_model import conversion, load_unet
from seine_model.checkpoint import check_state_dict, read_checkpoint, unet_state_dict
from seine_model.temporal import rotary_frequencies
from tests import golden_data as golden
from tests.tools.converting import (
    DTYPES,
    REPOSITORY,
    TEXT,
    VAE,
    clip_weights,
    diffusers_folder,
    refused,
    run,
    single_file,
    write_source,
)
from tools.convert_checkpoint import main
from tools.hosting.model_files import SMALL_MODEL


@pytest.fixture(scope="module")
def weights():
    return golden.tensors("tiny_a_unet")


@pytest.fixture(scope="module")
def config():
    return golden.config("tiny_a")


@pytest.fixture(scope="module")
def seine(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("source"))


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_tensor_arrives_in_the_chosen_dtype(tmp_path, capsys, seine, weights, config, dtype):
    target = tmp_path / "out.safetensors"
    assert run(seine, target, "--dtype", dtype) == 0
    written = load_file(target)
    assert set(written) == set(weights)
    for key, value in weights.items():
        expected = value if key.endswith("rotary_emb.freqs") else value.to(DTYPES[dtype])
        assert written[key].dtype == expected.dtype and torch.equal(written[key], expected), key
    with safe_open(target, "pt") as file:
        assert json.loads(file.metadata()["seine_config"]) == config.to_dict()
    summary = capsys.readouterr().out
    assert "830 keys / 1.9 M parameters" in summary and dtype in summary and "Verified" in summary
    assert os.listdir(tmp_path) == ["out.safetensors"]


def test_the_result_computes_what_the_source_computes(tmp_path, seine):
    target = tmp_path / "out.safetensors"
    assert run(seine, target, "--dtype", "fp32") == 0
    case = next(iter(golden.cases("tiny_a_forward").values()))
    with torch.no_grad():
        output = load_unet(target)(case["sample"], case["timestep"], case["encoder_hidden_states"])
    assert golden.largest(output, case["output"]) <= 1e-5


def test_tensors_are_aligned_and_the_header_is_padded(tmp_path, seine):
    assert run(seine, tmp_path / "out.safetensors", "--dtype", "fp16") == 0
    content = (tmp_path / "out.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__")
    assert length % 8 == 0
    assert all(e["data_offsets"][0] % {"F32": 4, "F16": 2}[e["dtype"]] == 0 for e in header.values())
    assert len(content) == 8 + length + max(e["data_offsets"][1] for e in header.values())


def test_shared_rotary_table_is_under_every_key_and_exact_again(tmp_path, weights, config):
    table = rotary_frequencies().half()
    shared = {key: table if key.endswith("rotary_emb.freqs") else value.half() for key, value in weights.items()}
    torch.save({"ema": shared}, tmp_path / "half.pt")
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    assert run(tmp_path / "half.pt", tmp_path / "out.safetensors") == 0
    written = load_file(tmp_path / "out.safetensors")
    tables = [value for key, value in written.items() if key.endswith("rotary_emb.freqs")]
    assert len(tables) == 16 and all(torch.equal(value, rotary_frequencies()) for value in tables)


def test_tensors_that_are_not_contiguous(tmp_path, weights, config):
    turned = {key: value.mT.contiguous().mT if value.ndim > 1 else value for key, value in weights.items()}
    assert not turned["time_embedding.linear_1.weight"].is_contiguous()
    torch.save(turned, tmp_path / "turned.pt")
    conversion.convert(tmp_path / "turned.pt", tmp_path / "out.safetensors", "fp32", config=config)
    assert torch.equal(
        load_file(tmp_path / "out.safetensors")["time_embedding.linear_1.weight"],
        weights["time_embedding.linear_1.weight"],
    )


@pytest.mark.parametrize("kind", ["base.safetensors", "base.ckpt"])
def test_bundle_with_a_single_file(tmp_path, capsys, seine, weights, config, kind):
    base = single_file(tmp_path / kind, **{VAE + "model_ema.num_updates": torch.tensor(5)})
    target = tmp_path / "bundle.safetensors"
    assert run(seine, target, "--dtype", "bf16", "--base", base) == 0
    parts, metadata = read_checkpoint(target)
    check_state_dict(unet_state_dict(parts), config)
    assert json.loads(metadata["seine_config"]) == config.to_dict()
    source, _ = read_checkpoint(base)
    expected = {f"model.diffusion_model.{key}": value for key, value in weights.items()}
    expected |= {
        key: value
        for key, value in source.items()
        if key.startswith((TEXT, VAE)) and not key.endswith(("position_ids", "num_updates"))
    }
    assert set(parts) == set(expected)
    for key, value in expected.items():
        stored = torch.float32 if key.endswith("rotary_emb.freqs") else torch.bfloat16
        assert torch.equal(parts[key], value.to(stored)), key
    assert "text encoder 36 keys" in capsys.readouterr().out
    assert load_unet(target).config == config


@pytest.mark.parametrize("ending", [".safetensors", ".fp16.safetensors", ".bin", ".fp16.bin"])
def test_bundle_with_a_diffusers_folder(tmp_path, seine, ending):
    base = diffusers_folder(tmp_path / "stable-diffusion", ending)
    target = tmp_path / "bundle.safetensors"
    assert run(seine, target, "--dtype", "fp32", "--base", base) == 0
    parts, metadata = read_checkpoint(target)
    clip, _ = read_checkpoint(next((base / "text_encoder").glob("*" + ending)))
    vae, _ = read_checkpoint(next((base / "vae").glob("*" + ending)))
    name = "text_model.encoder.layers.1.mlp.fc2.weight"
    assert torch.equal(parts[TEXT + name], clip[name])
    assert all(torch.equal(parts[VAE + key], value) for key, value in vae.items())
    assert metadata["text_encoder_heads"] == "2"


def test_text_encoder_names_of_newer_transformers(tmp_path, seine):
    clip = {key.removeprefix("text_model."): value for key, value in clip_weights().items()}
    base = single_file(tmp_path / "base.safetensors", clip)
    assert run(seine, tmp_path / "bundle.safetensors", "--base", base) == 0
    assert TEXT + "text_model.final_layer_norm.bias" in load_file(tmp_path / "bundle.safetensors")


def test_a_bundle_keeps_its_parts_and_metadata_when_converted_again(tmp_path, seine):
    base = diffusers_folder(tmp_path / "base")
    assert run(seine, tmp_path / "first.safetensors", "--dtype", "fp32", "--base", base) == 0
    assert main([str(tmp_path / name) for name in ("first.safetensors", "second.safetensors")]) == 0
    first, metadata = read_checkpoint(tmp_path / "first.safetensors")
    second, metadata_again = read_checkpoint(tmp_path / "second.safetensors")
    assert metadata == metadata_again
    assert {key: value.shape for key, value in first.items()} == {key: value.shape for key, value in second.items()}
    assert second[VAE + "quant_conv.weight"].dtype == torch.float16


def test_the_small_model_keeps_all_that_it_says_of_itself(tmp_path):
    small = REPOSITORY / "models" / SMALL_MODEL
    assert main([str(small), str(tmp_path / "again.safetensors"), "--dtype", "fp32"]) == 0
    _, metadata = read_checkpoint(small)
    _, metadata_again = read_checkpoint(tmp_path / "again.safetensors")
    assert set(metadata) == {"seine_config", "seine_gray_latent", "seine_latent_rgb", "text_encoder_heads"}
    assert metadata_again == metadata | {"format": "pt"}


def test_an_existing_target_is_kept_unless_told_otherwise(tmp_path, capsys, seine):
    target = tmp_path / "out.safetensors"
    target.write_bytes(b"precious")
    assert "--overwrite" in refused(capsys, seine, target)
    assert target.read_bytes() == b"precious"
    assert run(seine, target, "--overwrite") == 0
    assert len(load_file(target)) == 830


def test_the_source_is_never_the_target(tmp_path, capsys, seine, weights, config):
    source = tmp_path / "seine.safetensors"
    save_file(weights, source, {"seine_config": json.dumps(config.to_dict())})
    before = source.read_bytes()
    assert main([str(source), str(source), "--overwrite"]) == 1
    assert "one of the inputs" in capsys.readouterr().err
    assert source.read_bytes() == before


@pytest.mark.parametrize(
    ("target", "problem"),
    [("out.ckpt", ".safetensors"), ("nowhere/out.safetensors", "no such folder"), (".safetensors", ".safetensors")],
)
def test_targets_that_cannot_be(tmp_path, capsys, seine, target, problem):
    assert problem in refused(capsys, seine, tmp_path / target)


def test_missing_source(tmp_path, capsys, seine):
    assert main([str(tmp_path / "none.pt"), str(tmp_path / "out.safetensors")]) == 1
    assert "none.pt: there is no such file" in capsys.readouterr().err


def test_configuration_file_with_another_architecture(tmp_path, capsys, seine):
    (tmp_path / "config.json").write_text(json.dumps({"act_fn": "relu"}))
    message = refused(capsys, seine, tmp_path / "out.safetensors", "--config", tmp_path / "config.json")
    assert "config.json: act_fn = 'relu'" in message
