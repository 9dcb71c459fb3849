"""LaVie's base model, whose network SEINE's was made of, beside recordings of its official code.

Its network with the weights of `tiny_a` (of the first convolution, those of the first 4 channels), and its pipeline's
loop of 10 steps at a guidance scale of 7.5 with diffusers 0.42.1, as `ddim` and `ddpm` configure it; commit 6ce851e,
CPU, float32. Of each recording: `z` ``[1, 4, 8, 5, 8]`` (the start), `encoder_hidden_states` ``[2, 77, 32]`` (without
and with the prompt), `timesteps`, `x` (the state after each step), `step_noise`.
"""

import pytest
import torch

from seine_model import CheckpointError, SeineUNet3D
from seine_model.checkpoint import infer_config
from tests import golden_data as golden


def lavie() -> SeineUNet3D:
    weights = dict(golden.tensors("tiny_a_unet")) | {"conv_in.weight": golden.tensors("lavie_base")["conv_in.weight"]}
    unet = SeineUNet3D(golden.SeineConfig.from_dict(golden.values("tiny_a_config") | {"in_channels": 4}))
    unet.load_state_dict(weights)
    return unet.eval().requires_grad_(False)


@pytest.mark.parametrize("name", ["f16_5x8", "f6_7x6"])
def test_forward(name):
    case = golden.cases("lavie_base")[name]
    out = lavie()(case["sample"], case["timestep"], case["encoder_hidden_states"])
    assert golden.largest(out, case["output"]) <= 1e-5


def test_it_is_known_by_its_channels():
    with torch.device("meta"):
        unet = SeineUNet3D(golden.SeineConfig(in_channels=4))
    config = infer_config(unet.state_dict())
    assert config == golden.SeineConfig(in_channels=4)
    assert not config.reads_keyframes and golden.SeineConfig().reads_keyframes


def test_its_relatives_are_refused():
    with torch.device("meta"):
        unet = SeineUNet3D(golden.SeineConfig(in_channels=8))
    with pytest.raises(CheckpointError, match="it reads 8 channels, SEINE reads 9"):
        infer_config(unet.state_dict())
