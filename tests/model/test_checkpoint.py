import json
import pickle

import pytest
import torch
from safetensors.torch import save_file

from seine_model import CheckpointError, SeineUNet3D, load_unet
from seine_model.checkpoint import (
    UNET_PREFIX,
    check_state_dict,
    exact_rotary_frequencies,
    infer_config,
    read_checkpoint,
    unet_state_dict,
)
from seine_model.temporal import rotary_frequencies
from tests import golden_data as golden


@pytest.fixture(scope="module")
def weights():
    return golden.tensors("tiny_a_unet")


@pytest.fixture(scope="module")
def metadata():
    return {"seine_config": json.dumps(golden.config("tiny_a").to_dict())}


def same(unet: SeineUNet3D, weights: dict) -> bool:
    return all(torch.equal(value, weights[key].to(value.dtype)) for key, value in unet.state_dict().items())


def test_published_layout_is_unwrapped(tmp_path, weights):
    torch.save({"ema": weights, "step": 7}, tmp_path / "seine.pt")
    assert same(load_unet(tmp_path / "seine.pt", golden.values("tiny_a_config")), weights)


def test_old_torch_format_is_read(tmp_path, weights):
    torch.save({"ema": weights}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert same(load_unet(tmp_path / "old.pt", golden.config("tiny_a")), weights)


def test_weights_lie_one_after_the_other_however_they_were_saved(tmp_path, weights):
    apart = {key: value.transpose(0, -1).contiguous().transpose(0, -1) for key, value in weights.items()}
    key = "conv_in.weight"
    apart[key] = weights[key].contiguous(memory_format=torch.channels_last)
    torch.save(apart, tmp_path / "apart.pt")
    read, _ = read_checkpoint(tmp_path / "apart.pt")
    unet = load_unet(tmp_path / "apart.pt", golden.config("tiny_a"))
    assert same(unet, weights)
    for found in (read, unet.state_dict()):
        assert found.pop(key).is_contiguous(memory_format=torch.channels_last)
        assert all(value.is_contiguous() for value in found.values())


@pytest.mark.parametrize("prefix", ["", UNET_PREFIX])
def test_safetensors_alone_or_in_a_bundle(tmp_path, weights, metadata, prefix):
    tensors = {prefix + key: value for key, value in weights.items()}
    if prefix:
        tensors["first_stage_model.post_quant_conv.bias"] = torch.zeros(4)
    save_file(tensors, tmp_path / "seine.safetensors", metadata)
    assert same(load_unet(tmp_path / "seine.safetensors"), weights)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_dtype_is_applied_but_rotary_angles_stay_exact(tmp_path, weights, metadata, dtype):
    save_file({k: v.to(dtype) for k, v in weights.items()}, tmp_path / "half.safetensors", metadata)
    unet = load_unet(tmp_path / "half.safetensors", dtype=dtype)
    assert {value.dtype for key, value in unet.state_dict().items() if not key.endswith("freqs")} == {dtype}
    frequencies = [value for key, value in unet.state_dict().items() if key.endswith("rotary_emb.freqs")]
    assert len(frequencies) == 16
    assert all(torch.equal(value, rotary_frequencies()) for value in frequencies)


EIGHT_BITS = [torch.float8_e4m3fn, torch.float8_e5m2]


@pytest.mark.parametrize("dtype", EIGHT_BITS)
@pytest.mark.parametrize("widened", [None, torch.float16, torch.float32])
def test_rotary_angles_are_exact_whatever_the_file_went_through(tmp_path, weights, metadata, dtype, widened):
    stored = {key: value.to(dtype) for key, value in weights.items()}
    if widened is not None:
        stored = {key: value.to(widened) for key, value in stored.items()}
    save_file(stored, tmp_path / "eight.safetensors", metadata)
    unet = load_unet(tmp_path / "eight.safetensors")
    frequencies = [value for key, value in unet.state_dict().items() if key.endswith("rotary_emb.freqs")]
    assert len(frequencies) == 16
    assert all(torch.equal(value, rotary_frequencies()) for value in frequencies)


def test_other_rotary_frequencies_are_respected():
    own = {"x.rotary_emb.freqs": torch.rand(16), "y.rotary_emb.freqs": torch.rand(16).half() + 2}
    kept = exact_rotary_frequencies(own)
    assert torch.equal(kept["x.rotary_emb.freqs"], own["x.rotary_emb.freqs"])
    assert torch.equal(kept["y.rotary_emb.freqs"], own["y.rotary_emb.freqs"].float())


def test_configuration_comes_from_shapes_where_there_is_no_metadata():
    with torch.device("meta"):
        full = {key: torch.empty(shape) for key, shape in golden.values("seine_unet_keys").items()}
    assert infer_config(full) == SeineUNet3D(device="meta").config
    assert infer_config({UNET_PREFIX + key: value for key, value in full.items()}).cross_attention_dim == 768


def test_every_difference_is_listed(weights):
    broken = dict(weights)
    del broken["conv_in.bias"], broken["mid_block.resnets.0.norm1.weight"]
    broken["extra.weight"] = torch.zeros(1)
    broken["conv_out.bias"] = torch.zeros(5)
    with pytest.raises(CheckpointError) as error:
        check_state_dict(broken, golden.config("tiny_a"))
    for part in ("2 missing: conv_in.bias", "1 unexpected: extra.weight", "conv_out.bias is [5], expected [4]"):
        assert part in str(error.value)


class Surprise:
    def __reduce__(self):
        return (print, ("code ran while loading",))


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, capsys):
    (tmp_path / "evil.pt").write_bytes(pickle.dumps({"ema": Surprise()}))
    torch.save({"ema": Surprise()}, tmp_path / "evil_zip.pt")
    for name in ("evil.pt", "evil_zip.pt"):
        with pytest.raises(CheckpointError, match="more than plain tensors"):
            read_checkpoint(tmp_path / name)
    assert "code ran" not in capsys.readouterr().out


def test_a_pickle_that_is_no_table_of_tensors(tmp_path):
    torch.save({"ema": {"step": 3}}, tmp_path / "step.pt")
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    for name in ("step.pt", "list.pt"):
        with pytest.raises(CheckpointError, match="not a table of tensors"):
            read_checkpoint(tmp_path / name)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("fraction", [0.0, 0.00001, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, weights, suffix, fraction):
    whole, cut = tmp_path / ("whole" + suffix), tmp_path / ("cut" + suffix)
    if suffix == ".pt":
        torch.save({"ema": weights}, whole)
    else:
        save_file(weights, whole)
    data = whole.read_bytes()
    cut.write_bytes(data[: int(len(data) * fraction)])
    with pytest.raises(CheckpointError, match=r"cut.* fetch it again|cut.* plain tensors"):
        read_checkpoint(cut)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="there is no such file"):
        read_checkpoint(tmp_path / "nothing.pt")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.x"], "a Stable Diffusion checkpoint"),
        (["down_blocks.0.motion_modules.0.norm.weight"], "an AnimateDiff motion module"),
        (["lora_unet_down_blocks_0.lora_up.weight"], "a LoRA"),
        (["conv_in.weight", "down_blocks.0.resnets.0.conv1.weight"], "without SEINE's temporal attention"),
        (["encoder.layer.0"], "something else"),
        ([], "no tensors at all"),
    ],
)
def test_other_models_are_recognised(keys, message):
    with pytest.raises(CheckpointError, match=message):
        infer_config({key: torch.zeros(1) for key in keys})


def test_wrong_metadata_is_named(weights):
    with pytest.raises(CheckpointError, match="configuration"):
        infer_config(weights, {"seine_config": "not json"})


def test_a_bundle_s_other_parts_are_left_out():
    state_dict = {UNET_PREFIX + "conv_in.weight": torch.zeros(1), "first_stage_model.x": torch.zeros(1)}
    assert list(unet_state_dict(state_dict)) == ["conv_in.weight"]
