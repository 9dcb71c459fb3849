"""Weights of eight bits with scales, without a host."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from seine_model import CheckpointError, load_unet
from seine_model.checkpoint import read_checkpoint
from seine_model.conversion import convert
from seine_model.quantised import dequantised, largest_magnitude, plain_weights, scales_of
from seine_model.quantising import is_rounded, rounded, scale_of
from tests import golden_data as golden
from tests.tools.converting import write_source

ROUNDED = {"int8": torch.int8, "fp8_scaled": torch.float8_e4m3fn}
LAYER = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def files(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rounded")
    for name in (*ROUNDED, "fp16"):
        convert(source, folder / f"{name}.safetensors", name, config=golden.config("tiny_a"))
    return folder


def named(settings) -> torch.Tensor:
    text = settings if isinstance(settings, str) else json.dumps(settings)
    return torch.tensor(list(text.encode()), dtype=torch.uint8)


@pytest.mark.parametrize("shape", [(6, 40), (5, 7, 3, 3)])
def test_each_row_of_int8_is_within_half_a_step(shape):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    weight *= torch.logspace(-6, 3, len(weight)).view(-1, *[1] * (weight.ndim - 1))
    weight[1] = 0
    scale = scale_of(weight, "int8_tensorwise")
    error = (dequantised(rounded(weight, scale), scale) - weight).abs().flatten(1).amax(1)
    largest = weight.abs().flatten(1).amax(1)
    assert (error <= largest / 127 / 2 * 1.0001).all()


def test_fp8_with_a_scale_keeps_three_bits_of_weights_that_alone_would_vanish():
    weight = torch.randn(8, 50, generator=torch.Generator().manual_seed(0)) * 1e-4
    scale = scale_of(weight, "float8_e4m3fn")
    large = weight.abs() > 1e-6
    relative = ((dequantised(rounded(weight, scale), scale) - weight) / weight)[large]
    assert relative.abs().max() <= 2**-4
    assert (weight.to(torch.float8_e4m3fn) == 0).all()


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn, torch.float8_e5m2])
def test_the_largest_of_all_numbers_of_eight_bits(dtype):
    every = torch.arange(256, dtype=torch.uint8).view(dtype)
    values = every.float().abs()
    finite = every.view(torch.uint8)[values.isfinite()]
    for count in (1, 5, 100, len(finite)):
        some = finite[:count].view(dtype)
        assert largest_magnitude(some) == some.float().abs().max()
    if dtype.is_floating_point:
        assert not largest_magnitude(every).isfinite()


@pytest.mark.parametrize("number_format", ROUNDED)
def test_matrices_are_rounded_and_the_rest_is_fp16(files, number_format):
    weights, scales = scales_of(load_file(files / f"{number_format}.safetensors"))
    plain = golden.tensors("tiny_a_unet")
    assert set(weights) == set(plain)
    for key, value in weights.items():
        stored = ROUNDED[number_format] if key in scales else torch.float16
        assert value.dtype == (torch.float32 if key.endswith("freqs") else stored), key
        assert (key in scales) == is_rounded(key, plain[key]), key
    names = " ".join(key for key in weights if key not in scales and weights[key].ndim > 1)
    assert {name.split(".")[0] for name in names.split()} == {"conv_in", "conv_out", "time_embedding"} | {
        name.split(".")[0] for name in names.split() if "relative_attention_bias" in name
    }


@pytest.mark.parametrize(("number_format", "size"), [("int8", 0.6), ("fp8_scaled", 0.6)])
def test_files_are_smaller(files, number_format, size):
    """Half at full size, where scales and names are few beside the weights."""

    def bytes_of(name: str) -> int:
        return sum(value.nbytes for value in load_file(files / f"{name}.safetensors").values())

    assert bytes_of(number_format) < size * bytes_of("fp16")


@pytest.mark.parametrize(("number_format", "largest"), [("int8", 0.05), ("fp8_scaled", 0.2)])
def test_what_is_read_computes_nearly_the_same(files, number_format, largest):
    case = next(iter(golden.cases("tiny_a_forward").values()))
    unet = load_unet(files / f"{number_format}.safetensors")
    with torch.no_grad():
        output = unet(case["sample"], case["timestep"], case["encoder_hidden_states"])
    error = (output - case["output"]).std() / case["output"].std()
    assert 0 < error <= largest


@pytest.mark.parametrize("number_format", ROUNDED)
def test_converted_back_it_is_the_plain_weights(files, tmp_path, number_format):
    convert(files / f"{number_format}.safetensors", tmp_path / "back.safetensors", "fp32")
    expected = plain_weights(load_file(files / f"{number_format}.safetensors"))
    written = load_file(tmp_path / "back.safetensors")
    assert set(written) == set(expected)
    assert all(torch.equal(written[key], value.float()) for key, value in expected.items())


@pytest.mark.parametrize("number_format", ROUNDED)
def test_converted_again_it_stays_as_it_is(files, tmp_path, number_format):
    convert(files / f"{number_format}.safetensors", tmp_path / "again.safetensors", number_format)
    first, second = (
        load_file(path) for path in (files / f"{number_format}.safetensors", tmp_path / "again.safetensors")
    )
    assert all(
        torch.equal(value.float(), second[key].float()) for key, value in first.items() if key.endswith("weight")
    )


def older(tensors, mark=0):
    """As files before `comfy_quant` have it."""
    renamed = {
        key.replace(".weight_scale", ".scale_weight"): value
        for key, value in tensors.items()
        if not key.endswith(".comfy_quant")
    }
    return renamed | {"scaled_fp8": torch.zeros(mark, dtype=torch.float8_e4m3fn)}


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
@pytest.mark.parametrize("kind", ["scaled_fp8", "metadata"])
def test_older_names_are_read_as_todays(files, tmp_path, prefix, kind):
    path = files / "fp8_scaled.safetensors"
    config = {"seine_config": read_checkpoint(path)[1]["seine_config"]}
    tensors = {prefix + key: value for key, value in load_file(path).items()}
    layers = {key.removesuffix(".comfy_quant"): {"format": "float8_e4m3fn"} for key in tensors if key.endswith("quant")}
    if kind == "metadata":
        tensors = {key: value for key, value in tensors.items() if not key.endswith(".comfy_quant")}
        config["_quantization_metadata"] = json.dumps({"format_version": "1.0", "layers": layers})
    else:
        tensors = {prefix + key: value for key, value in older(load_file(path)).items()}
    save_file(tensors, tmp_path / "older.safetensors", config)
    read, expected = load_unet(tmp_path / "older.safetensors"), load_unet(path)
    pairs = zip(read.state_dict().items(), expected.state_dict().items(), strict=True)
    assert all(torch.equal(ours, theirs) for (_, ours), (_, theirs) in pairs)


def test_inputs_that_are_not_to_be_rounded_and_scales_of_inputs_are_kept(files):
    tensors = older(load_file(files / "fp8_scaled.safetensors"), mark=2) | {f"{LAYER}.scale_input": torch.tensor(0.5)}
    path = files / "old.safetensors"
    save_file(tensors, path)
    _, scales = scales_of(read_checkpoint(path)[0])
    assert scales[f"{LAYER}.weight"].settings == {"full_precision_matrix_mult": True}
    assert scales[f"{LAYER}.weight"].input == 0.5


def test_one_scale_of_an_int8_tensor_is_that_of_each_row():
    weight = torch.randint(-127, 128, (4, 3), dtype=torch.int8)
    tensors = {
        "a.weight": weight,
        "a.weight_scale": torch.tensor(0.5),
        "a.comfy_quant": named({"format": "int8_tensorwise"}),
    }
    assert torch.equal(plain_weights(tensors)["a.weight"], weight.float() * 0.5)


ROWS = golden.config("tiny_a").block_out_channels[0]
BROKEN = {
    "nvfp4": ({"comfy_quant": named({"format": "nvfp4"})}, "is stored as nvfp4"),
    "rotated": (
        {"comfy_quant": named({"format": "int8_tensorwise", "convrot": True})},
        "int8_tensorwise \\(rotated\\)",
    ),
    "no format": ({"comfy_quant": named({})}, "is stored as None"),
    "no JSON": ({"comfy_quant": named("{")}, "names no format"),
    "a list": ({"comfy_quant": named("[1]")}, "names no format"),
    "numbers": ({"comfy_quant": torch.ones(3)}, "names no format"),
    "another dtype": ({"weight": torch.zeros(ROWS, ROWS)}, "is said to be int8_tensorwise and is float32"),
    "no weight": ({"weight": None}, "weight is missing"),
    "no scale": ({"weight_scale": None}, f"weight_scale must be 1 or {ROWS} positive numbers"),
    "three scales": ({"weight_scale": torch.ones(3)}, "weight_scale must be"),
    "a scale of zero": ({"weight_scale": torch.zeros(ROWS, 1)}, "weight_scale must be"),
    "an infinite scale": ({"weight_scale": torch.full((ROWS, 1), torch.inf)}, "weight_scale must be"),
    "integers": ({"weight_scale": torch.ones(ROWS, 1, dtype=torch.int64)}, "weight_scale must be"),
    "two of inputs": ({"input_scale": torch.ones(2)}, "input_scale must be one positive number"),
    "too large": ({"weight_scale": torch.full((ROWS, 1), 1e9)}, "has values up to"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_read_is_named(files, tmp_path, case):
    changes, words = BROKEN[case]
    path = files / "int8.safetensors"
    tensors = load_file(path) | {f"{LAYER}.{name}": value for name, value in changes.items()}
    tensors = {key: value for key, value in tensors.items() if value is not None}
    save_file(tensors, tmp_path / "broken.safetensors", read_checkpoint(path)[1])
    with pytest.raises(CheckpointError, match=rf"{LAYER}.*{words}|{words}"):
        load_unet(tmp_path / "broken.safetensors")
    with pytest.raises(CheckpointError, match=rf"broken.safetensors.*{LAYER}"):
        convert(tmp_path / "broken.safetensors", tmp_path / "out.safetensors")


def test_metadata_that_name_no_formats(files, tmp_path):
    path = files / "int8.safetensors"
    facts = read_checkpoint(path)[1] | {"_quantization_metadata": "[]"}
    save_file(load_file(path), tmp_path / "broken.safetensors", facts)
    with pytest.raises(CheckpointError, match="broken.safetensors: _quantization_metadata names no formats"):
        load_unet(tmp_path / "broken.safetensors")


def test_an_unknown_number_format_is_named(source, tmp_path):
    with pytest.raises(ValueError, match="number_format: choose one of fp16, bf16, fp32, int8, fp8_scaled, not 'int4'"):
        convert(source, tmp_path / "out.safetensors", "int4", config=golden.config("tiny_a"))
