import json
import os
import shutil
import struct
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from seine_model import SeineConfig, SeineUNet3D, conversion, load_unet
from seine_model.checkpoint import check_state_dict, read_checkpoint, unet_state_dict
from seine_model.temporal import rotary_frequencies
from tests import golden_data as golden
from tools.convert_checkpoint import main

REPOSITORY = Path(__file__).resolve().parents[1]
TEXT = "cond_stage_model.transformer."
VAE = "first_stage_model."
DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}


def clip_weights(width: int = 32, layers: int = 2) -> dict[str, torch.Tensor]:
    """A text encoder with made-up weights, under its transformers names."""
    shapes = {
        "embeddings.token_embedding.weight": (64, width),
        "embeddings.position_embedding.weight": (77, width),
        "final_layer_norm.weight": (width,),
        "final_layer_norm.bias": (width,),
    }
    for i in range(layers):
        layer = f"encoder.layers.{i}."
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes[f"{layer}self_attn.{name}.weight"] = (width, width)
            shapes[f"{layer}self_attn.{name}.bias"] = (width,)
        for name in ("layer_norm1", "layer_norm2"):
            shapes[f"{layer}{name}.weight"] = shapes[f"{layer}{name}.bias"] = (width,)
        for name, size in (("mlp.fc1", (4 * width, width)), ("mlp.fc2", (width, 4 * width))):
            shapes[f"{layer}{name}.weight"], shapes[f"{layer}{name}.bias"] = size, size[:1]
    weights = {f"text_model.{key}": torch.randn(shape) for key, shape in shapes.items()}
    weights["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    return weights


def vae_weights(latent_channels: int = 4) -> dict[str, torch.Tensor]:
    """The ends of a VAE, whose names are the same in single files and diffusers folders."""
    shapes = {
        "encoder.conv_in.weight": (8, 3, 3, 3),
        "encoder.conv_out.weight": (2 * latent_channels, 8, 3, 3),
        "quant_conv.weight": (2 * latent_channels, 2 * latent_channels, 1, 1),
        "post_quant_conv.weight": (latent_channels, latent_channels, 1, 1),
        "decoder.conv_in.weight": (8, latent_channels, 3, 3),
        "decoder.conv_out.weight": (3, 8, 3, 3),
    }
    return {key: torch.randn(shape) for key, shape in shapes.items()}


def single_file(path: Path, clip: dict | None = None, vae: dict | None = None, **extra: torch.Tensor) -> Path:
    """An SD 1.x checkpoint, .safetensors or .ckpt."""
    tensors = {"model.diffusion_model.input_blocks.0.0.weight": torch.randn(8, 4, 3, 3), **extra}
    tensors |= {TEXT + key: value for key, value in (clip_weights() if clip is None else clip).items()}
    tensors |= {VAE + key: value for key, value in (vae_weights() if vae is None else vae).items()}
    if path.suffix == ".ckpt":
        torch.save({"state_dict": tensors, "epoch": 3}, path)
    else:
        save_file(tensors, path)
    return path


def diffusers_folder(path: Path, ending: str = ".safetensors") -> Path:
    clip, vae = clip_weights(), vae_weights()
    stem = "pytorch_model" if ending.endswith(".bin") else "model"
    save = torch.save if ending.endswith(".bin") else save_file
    for folder in ("text_encoder", "vae", "unet"):
        (path / folder).mkdir(parents=True)
    save(clip, path / "text_encoder" / (stem + ending))
    save(vae, path / "vae" / ("diffusion_pytorch_model" + ending))
    (path / "text_encoder" / "config.json").write_text(json.dumps({"num_attention_heads": 2}))
    (path / "vae" / "config.json").write_text(json.dumps({"scaling_factor": 0.18215}))
    return path


@pytest.fixture(scope="module")
def weights():
    return golden.tensors("tiny_a_unet")


@pytest.fixture(scope="module")
def config():
    return golden.config("tiny_a")


@pytest.fixture(scope="module")
def seine(tmp_path_factory, weights, config):
    """The published layout, but small; with the configuration beside it, since only 32 norm groups can be guessed."""
    path = tmp_path_factory.mktemp("source") / "seine.pt"
    torch.save({"ema": weights}, path)
    (path.parent / "config.json").write_text(json.dumps(config.to_dict()))
    return path


def run(seine: Path, target: Path, *arguments: object) -> int:
    config = [] if "--config" in arguments else ["--config", seine.parent / "config.json"]
    return main([str(value) for value in (seine, target, *arguments, *config)])


def refused(capsys, *arguments) -> str:
    """The message of a run that must fail."""
    assert run(*arguments) == 1
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("error: ")
    return message


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
    conversion.convert(tmp_path / "turned.pt", tmp_path / "out.safetensors", torch.float32, config=config)
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


def test_too_little_room_is_known_beforehand(tmp_path, capsys, seine, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 1000, 1000))
    assert "make room" in refused(capsys, seine, tmp_path / "out.safetensors")
    assert os.listdir(tmp_path) == []


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
sys.path.insert(0, sys.argv[1])
from tools.convert_checkpoint import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files the POSIX way")
def test_a_disk_that_fills_up_leaves_nothing_behind(tmp_path, seine):
    target = tmp_path / "out.safetensors"
    arguments = [REPOSITORY, seine, target, "--config", seine.parent / "config.json"]
    result = subprocess.run(
        [sys.executable, "-c", LIMITED, *map(str, arguments)], check=False, capture_output=True, text=True
    )
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith(f"error: {tmp_path}: the output could not be written")
    assert os.listdir(tmp_path) == []


def test_what_was_written_wrongly_is_found(tmp_path, capsys, seine, monkeypatch):
    write = conversion._write

    def write_and_damage(path, *arguments):
        write(path, *arguments)
        with path.open("r+b") as file:
            file.seek(-4, os.SEEK_END)
            file.write(b"\x00\x3c\x00\x3c")

    monkeypatch.setattr(conversion, "_write", write_and_damage)
    assert "reads back with other values" in refused(capsys, seine, tmp_path / "out.safetensors")
    assert os.listdir(tmp_path) == []


MEASURED = """
import sys
sys.path.insert(0, sys.argv[1])
from tools.convert_checkpoint import main

def peak():
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))

before = peak()
status = main(sys.argv[2:])
print("growth", peak() - before)
sys.exit(status)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_peak_memory_is_about_one_copy(tmp_path, dtype):
    config = SeineConfig(block_out_channels=(128, 224, 320, 320), attention_head_dim=4)
    generator = torch.Generator().manual_seed(1)
    weights = {
        key: rotary_frequencies() if key.endswith("freqs") else torch.randn(value.shape, generator=generator)
        for key, value in SeineUNet3D(config, device="meta").state_dict().items()
    }
    copy = sum(value.nbytes for value in weights.values())
    largest = max(value.nbytes for value in weights.values())
    assert copy > 2.5e8
    torch.save({"ema": weights}, tmp_path / "seine.pt")
    del weights
    command = [sys.executable, "-c", MEASURED, REPOSITORY, tmp_path / "seine.pt", tmp_path / "out.safetensors"]
    result = subprocess.run([*map(str, command), "--dtype", dtype], check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    growth = int(result.stdout.split("growth")[1])
    # The mapped input, a batch of the output being compared, a few tensors at work; two copies would be 2.0.
    assert growth < copy + conversion._BATCH + 6 * largest < 1.4 * copy
