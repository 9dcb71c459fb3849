"""Our kernels in Triton's interpreter beside PyTorch in doubles; prints how far apart they are, by name, as JSON.

A process of its own, since the interpreter is chosen before Triton is loaded.
"""

import json
import os
from collections.abc import Iterator

os.environ["TRITON_INTERPRET"] = "1"

import torch
import torch.nn.functional as F
from torch import Tensor

from seine_model import (
    SeineConfig,
    SeineUNet3D,
    device_choices,
    fused,
    triton_convolutions,
    triton_kernels,
    triton_norms,
    triton_products,
)
from seine_model.kernel_trials import are_right
from seine_model.temporal import RotaryEmbedding, rotary_frequencies, rotate_

DTYPES = {"fp32": torch.float32, "fp16": torch.float16}
NETWORK = SeineConfig(block_out_channels=(32, 32, 32, 32), layers_per_block=1, attention_head_dim=1, norm_num_groups=8)


def main() -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        found = {
            f"{name}, {dtype}": _apart(out, expected)
            for dtype, kind in DTYPES.items()
            for cases in (_attention, _group_norm, _layer_norm, _rest)
            for name, out, expected in cases(kind)
        }
        found |= _network()
    print(json.dumps(found))


def _apart(out: Tensor, expected: Tensor) -> float:
    return float((out.double() - expected).norm() / expected.norm())


def _attention(kind: torch.dtype) -> Iterator[tuple[str, Tensor, Tensor]]:
    for videos, frames, pixels, heads, dim in (
        (2, 16, 3, 2, 40),
        (1, 5, 2, 1, 80),
        (1, 33, 1, 1, 160),
        (1, 1, 2, 1, 32),
    ):
        q, k, v = torch.randn(3, videos, frames, pixels, heads, dim).to(kind)
        bias = torch.randn(heads, frames, frames).to(kind)
        rotary = RotaryEmbedding()
        rotary.freqs.data = rotary_frequencies()
        positions = rotary.positions(frames, q.device, kind)
        whole = torch.stack((q, k, v), 3)  # as one product of all three gives it
        apart = triton_kernels.attend_over_frames(*whole.unbind(3), bias, positions.cos, positions.sin)
        out = triton_kernels.attend_over_frames(q, k, v, bias, positions.cos, positions.sin)
        assert torch.equal(apart, out) and out.is_contiguous()
        turned = (rotate_(t.double().transpose(1, 2), positions).transpose(-3, -2) for t in (q, k))
        expected = F.scaled_dot_product_attention(
            *turned, v.double().transpose(1, 2).transpose(-3, -2), attn_mask=bias.double()
        )
        yield f"attention of {frames} frames, {dim}", out, expected.transpose(-3, -2).transpose(1, 2)


def _group_norm(kind: torch.dtype) -> Iterator[tuple[str, Tensor, Tensor]]:
    for videos, pixels, channels, groups, rows in (
        (2, 70, 96, 8, 2),
        (1, 99, 320, 32, 3),
        (2, 1, 20, 5, 0),
        (1, 40, 64, 32, 4),
    ):
        x = (2 * torch.randn(videos, pixels, channels) + 30 * torch.randn(channels)).to(kind)
        weight, bias = torch.randn(2, channels).to(kind)
        added = torch.randn(rows, channels).to(kind) if rows else None
        for activate in (False, True):
            out = triton_norms.normalise(x, groups, weight, bias, 1e-5, activate, added)
            given = x.double()
            if rows:
                given = (given.view(rows, -1, channels) + added.double()[:, None]).view_as(x)
            norm = F.group_norm(given.transpose(1, 2), groups, weight.double(), bias.double(), 1e-5).transpose(1, 2)
            name = f"group norm of {pixels} pixels, {channels} channels{', with SiLU' * activate}"
            yield name, out, F.silu(norm) if activate else norm


def _layer_norm(kind: torch.dtype) -> Iterator[tuple[str, Tensor, Tensor]]:
    for channels in (40, 320, 1280):
        x, added = (3 * torch.randn(2, 7, channels) + 9).to(kind)
        weight, bias = torch.randn(2, channels).to(kind)
        total, out = triton_norms.normalise_rows(x, added, weight, bias, 1e-5)
        yield f"sum of {channels}", total, x.double() + added.double()
        for name, given, result in (
            ("after a sum", total, out),
            ("alone", x, triton_norms.normalise_rows(x, None, weight, bias, 1e-5)[1]),
        ):
            expected = F.layer_norm(given.double(), (channels,), weight.double(), bias.double(), 1e-5)
            yield f"layer norm of {channels} {name}", result, expected


def _rest(kind: torch.dtype) -> Iterator[tuple[str, Tensor, Tensor]]:
    x, residual, bias = (torch.randn(shape).to(kind) for shape in ((3, 5, 600), (3, 5, 600), (600,)))
    value, gate = x.double().chunk(2, -1)
    yield "gate", triton_kernels.gate(x), value * F.gelu(gate)
    expected = x.double() + residual.double() + bias.double()
    triton_kernels.add_up(x, residual, bias)
    yield "sum and bias", x, expected
    for rows, width, inner in ((5, 40, 20), (130, 64, 96)):
        x, layer, bias = (
            torch.randn(rows, width).to(kind),
            torch.randn(2 * inner, width).to(kind),
            torch.randn(2 * inner).to(kind),
        )
        value, gate = F.linear(x.double(), layer.double(), bias.double()).chunk(2, -1)
        yield f"product with gates of {width}", triton_products.gated_product(x, layer, bias), value * F.gelu(gate)
    weight = torch.randn(3, 300, 3, 3).to(kind)
    out = triton_convolutions.reorder(weight)
    assert torch.equal(out, weight) and out.is_contiguous(memory_format=torch.channels_last)
    for name, given in (("as stored", weight), ("in order", out)):
        x, bias = torch.randn(2, 300, 2, 3).to(kind), torch.randn(3).to(kind)
        parts = F.conv2d(x.double(), triton_convolutions.quarters(given).double(), padding=1).permute(0, 2, 3, 1)
        doubled = triton_convolutions.interleave(parts.to(kind).contiguous(), bias).permute(0, 3, 1, 2)
        expected = F.conv2d(F.interpolate(x.double(), scale_factor=2.0), weight.double(), bias.double(), padding=1)
        yield f"quarters of weights {name}", doubled, expected


def _network() -> dict[str, float]:
    """All of them where the network uses them, by counts of their uses, and what it then predicts."""
    unet = SeineUNet3D(NETWORK).eval()
    for name, value in unet.named_parameters():
        value.data = (
            rotary_frequencies() if name.endswith("freqs") else torch.randn_like(value) / value[0].numel() ** 0.5
        )
    inputs = torch.randn(1, 9, 2, 4, 4), torch.tensor([700]), torch.randn(1, 7, NETWORK.cross_attention_dim)
    expected = unet(*inputs).double()
    device_choices.LARGE_INPUT = device_choices.MANY_PIXELS = 0
    device_choices.multiplies_with_gates = lambda *given: True
    state = torch.get_rng_state()
    assert are_right(torch.device("cpu"), torch.float32) and are_right(torch.device("cpu"), torch.float16)
    assert torch.equal(state, torch.get_rng_state()), "a first clip would draw other noise than the next"
    fused._working[("cpu", None, torch.float32)] = fused._multiplying[("cpu", None, torch.float32)] = True
    for value in unet.parameters():
        value.data = _with_gaps(value.data) if value.ndim < 4 else value.data
    return {"the network": _apart(unet(*inputs), expected)}


def _with_gaps(value: Tensor) -> Tensor:
    """The same numbers, not one after the other in memory: matrices as they lie transposed, rows every other value."""
    if value.ndim == 1:
        return torch.stack((value, value + 9), 1)[:, 0]
    return value.transpose(0, 1).contiguous().transpose(0, 1)


if __name__ == "__main__":
    main()
