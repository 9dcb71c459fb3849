import re

import pytest
import torch

from seine_model import SeineUNet3D
from seine_model.hooks import Hooks
from tests import golden_data as golden

TINY_A_CASES = ["f1_8x8", "f4_15x35", "b3_f5_7x6", "f8_6x14", "f16_5x9", "f16_8x16", "f24_8x8", "f40_4x4"]
TINY_B_CASES = ["f1_8x8", "f8_6x14", "f16_5x9", "f24_8x8"]
CASES = [("tiny_a", case) for case in TINY_A_CASES] + [("tiny_b", case) for case in TINY_B_CASES]


def test_full_size_keys_and_shapes():
    expected = golden.values("seine_unet_keys")
    unet = SeineUNet3D(device="meta")
    assert {key: list(value.shape) for key, value in unet.state_dict().items()} == expected
    assert len(expected) == 830
    assert sum(p.numel() for p in unet.parameters()) == 909_138_516


def test_no_recorded_case_is_forgotten():
    assert set(golden.cases("tiny_a_forward")) == set(TINY_A_CASES)


@torch.no_grad()
@pytest.mark.parametrize(("network", "name"), CASES)
def test_forward_is_the_reference_s(network, name):
    case = golden.cases(f"{network}_forward")[name]
    out = golden.unet(network)(case["sample"], case["timestep"], case["encoder_hidden_states"])
    assert golden.largest(out, case["output"]) <= 1e-5


@torch.no_grad()
@pytest.mark.parametrize("network", ["tiny_a", "tiny_b"])
def test_guidance_is_the_reference_s(network):
    case = golden.tensors(f"{network}_cfg")
    videos = case["x"].shape[0] // 2
    x = case["x"][:videos].repeat(2, 1, 1, 1, 1)  # the reference feeds both halves the first
    cond, uncond = golden.unet(network)(x, case["timestep"], case["encoder_hidden_states"]).chunk(2)
    guided = uncond + float(case["cfg_scale"]) * (cond - uncond)
    assert golden.largest(guided, case["output"][:videos]) <= 1e-4


@torch.no_grad()
@pytest.mark.parametrize("network", ["tiny_a", "tiny_b"])
def test_every_module_s_output_is_the_reference_s(network):
    reference = golden.tensors(f"{network}_trace")
    unet = golden.unet(network)
    recorded = {}
    handles = [
        module.register_forward_hook(lambda _module, _inputs, out, name=name: recorded.update({name: out.clone()}))
        for name, module in unet.named_modules()
        if f"out.{name}" in reference
    ]
    try:
        unet(reference["sample"], reference["timestep"], reference["encoder_hidden_states"])
    finally:
        for handle in handles:
            handle.remove()
    assert len(recorded) > 40
    for name, out in recorded.items():
        expected = reference[f"out.{name}"]
        if expected.ndim == 5:  # recorded as videos, computed as frames
            expected = expected.transpose(1, 2).flatten(0, 1)
        if name.endswith("norm_temp"):  # recorded by pixel, computed as maps lie
            expected = expected.unflatten(0, (-1, len(out[0]))).transpose(1, 2)
        if re.search(r"resnets\.\d+\.norm\d|conv_norm_out", name):  # ours goes on to the activation
            expected = torch.nn.functional.silu(expected)
        # Where one side has frames, pixels or batch in one dimension and the other in two, the order is the same.
        assert out.numel() == expected.numel(), name
        assert golden.largest(out.reshape(expected.shape), expected) <= 1e-5 * float(expected.abs().max()), name


@torch.no_grad()
def test_videos_of_a_batch_do_not_see_each_other():
    case = golden.cases("tiny_a_forward")["b3_f5_7x6"]
    unet = golden.unet("tiny_a")
    for i in range(3):
        row = slice(i, i + 1)
        alone = unet(case["sample"][row], case["timestep"][row], case["encoder_hidden_states"][row])
        assert golden.largest(alone, case["output"][row]) <= 1e-5


@torch.no_grad()
def test_text_per_frame_equals_text_per_video():
    class PerFrame(Hooks):
        per_frame_text = True

    case = golden.cases("tiny_a_forward")["f8_6x14"]
    frames = case["sample"].shape[2]
    rows = case["sample"].transpose(1, 2).flatten(0, 1)
    out = golden.unet("tiny_a").forward_frames(
        rows, case["timestep"], case["encoder_hidden_states"], frames, PerFrame()
    )
    assert golden.largest(out.unflatten(0, (-1, frames)).transpose(1, 2), case["output"]) <= 1e-5


def test_hooks_see_stable_diffusion_positions():
    class Positions(Hooks):
        def __init__(self):
            self.seen = []

        def enter(self, kind, index):
            self.seen.append((kind, index))

    hooks = Positions()
    with torch.no_grad():
        golden.unet("tiny_a").forward_frames(
            torch.zeros(2, 9, 8, 8), torch.zeros(1), torch.zeros(1, 77, 32), frames=2, hooks=hooks
        )
    assert hooks.seen == [("input", i) for i in range(12)] + [("middle", 0)] + [("output", i) for i in range(12)]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@torch.no_grad()
def test_half_precision_is_close(dtype):
    case = golden.cases("tiny_a_forward")["f8_6x14"]
    config = golden.config("tiny_a")
    unet = SeineUNet3D(config, dtype=dtype)
    unet.load_state_dict(golden.unet("tiny_a").state_dict())
    out = unet(case["sample"].to(dtype), case["timestep"], case["encoder_hidden_states"].to(dtype))
    assert out.dtype == dtype
    assert float((out.float() - case["output"]).std()) < 0.03 * float(case["output"].std())


def test_gradients_flow():
    unet = SeineUNet3D(golden.config("tiny_a"))
    unet.load_state_dict(golden.unet("tiny_a").state_dict())
    case = golden.cases("tiny_a_forward")["f4_15x35"]
    unet(case["sample"], case["timestep"], case["encoder_hidden_states"]).square().mean().backward()
    without = [name for name, p in unet.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


@pytest.mark.parametrize(
    ("sample", "timestep", "context", "message"),
    [
        ((1, 4, 2, 8, 8), (1,), (1, 77, 32), "sample: give"),
        ((1, 9, 8, 8), (1,), (1, 77, 32), "sample: give"),
        ((2, 9, 2, 8, 8), (1,), (2, 77, 32), "timestep: give"),
        ((1, 9, 2, 8, 8), (1,), (1, 77, 768), "Stable Diffusion 1.x"),
    ],
)
def test_wrong_shapes_are_named(sample, timestep, context, message):
    with pytest.raises(ValueError, match=message):
        golden.unet("tiny_a")(torch.zeros(sample), torch.zeros(timestep), torch.zeros(context))


@torch.no_grad()
def test_compiles_as_one_graph():
    """A break in the graph would raise. Its kernels are PyTorch's matter: the backend here runs the graph as it is."""
    case = golden.cases("tiny_a_forward")["f4_15x35"]
    compiled = torch.compile(golden.unet("tiny_a"), fullgraph=True, backend="eager")
    out = compiled(case["sample"], case["timestep"], case["encoder_hidden_states"])
    assert golden.largest(out, case["output"]) <= 1e-5


@torch.no_grad()
def test_no_forward_waits_for_values_from_the_host():
    """Tensors made of Python values are copied to the device and waited for, and keep a graph off CUDA's own graphs."""
    constants = []

    def look(graph, inputs):
        constants.extend(node.target for node in graph.graph.nodes if node.target is torch.tensor)
        constants.extend(name for name, _ in graph.named_buffers() if "constant" in name)
        return graph

    case = golden.cases("tiny_a_forward")["f4_15x35"]
    torch.compile(golden.unet("tiny_a"), backend=look)(case["sample"], case["timestep"], case["encoder_hidden_states"])
    assert constants == []
