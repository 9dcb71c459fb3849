import pytest
import torch

from seine_model.temporal import (
    FramePositions,
    RotaryEmbedding,
    TemporalAttention,
    relative_position_buckets,
    rotary_frequencies,
    rotate_,
)
from tests import golden_data as golden


def positions(frames: int) -> FramePositions:
    rotary = RotaryEmbedding()
    rotary.freqs.data = rotary_frequencies()
    return rotary.positions(frames, torch.device("cpu"), torch.float32)


def test_frequencies_and_angles_are_the_reference_s():
    reference = golden.tensors("temporal")
    assert golden.largest(rotary_frequencies(), reference["rotary.freqs"]) < 1e-7
    cos = positions(64).cos.repeat_interleave(2, dim=-1)
    assert golden.largest(cos, reference["rotary.angles_f32"].cos()) < 1e-6


def test_buckets_are_the_reference_s():
    reference = golden.tensors("temporal")
    buckets = relative_position_buckets(65)
    recorded = torch.stack((reference["relpos.key_minus_query"].long(), reference["relpos.bucket"].long()), dim=1)
    for offset, bucket in recorded.tolist():
        query, key = max(-offset, 0), max(offset, 0)
        assert buckets[query, key] == bucket, f"key - query = {offset}"


@pytest.mark.parametrize("width", [32, 40, 80, 160])
def test_rotation_is_the_reference_s(width):
    reference = golden.tensors("temporal")
    heads_last = reference[f"rotary.in_{width}"].transpose(1, 2)
    turned = rotate_(heads_last.clone(), positions(16)).transpose(1, 2)
    assert golden.largest(turned, reference[f"rotary.out_{width}"]) < 2e-6


@pytest.mark.parametrize("frames", [16, 20])
def test_attention_with_the_published_geometry(frames):
    weights = golden.SHARED / "golden" / "temporal.safetensors"
    if not weights.is_file():
        pytest.skip("the recorded attention is only in the project's shared folder, which is not here")
    from safetensors.torch import load_file

    reference = {
        k.removeprefix("attn320."): v.float() for k, v in load_file(weights).items() if k.startswith("attn320")
    }
    attention = TemporalAttention(320, 8, RotaryEmbedding())
    attention.load_state_dict({k: v for k, v in reference.items() if k in attention.state_dict()})
    with torch.no_grad():
        bias = attention.time_rel_pos_bias(positions(frames).buckets, torch.float32)[0]
        out = attention(reference[f"in_f{frames}"].unsqueeze(0), positions(frames))[0]
    assert torch.equal(bias, reference[f"bias_f{frames}"])
    assert golden.largest(out, reference[f"out_f{frames}"]) < 1e-5


@pytest.fixture
def attention():
    torch.manual_seed(0)
    rotary = RotaryEmbedding()
    rotary.freqs.data = rotary_frequencies()
    attention = TemporalAttention(64, 2, rotary)
    for value in attention.parameters():
        value.data.normal_()
    return attention


def test_more_pixels_than_a_device_takes_at_once_are_attended_to_in_parts(monkeypatch, attention):
    x = torch.randn(2, 7, 5, 64)
    whole = attention(x, positions(5))
    rows = []
    plain = torch.nn.functional.scaled_dot_product_attention

    def counted(q, *others, **options):
        rows.append(len(q))
        return plain(q, *others, **options)

    monkeypatch.setattr("seine_model.device_choices.MOST_PIXELS", 4)
    monkeypatch.setattr("torch.nn.functional.scaled_dot_product_attention", counted)
    assert torch.allclose(attention(x, positions(5)), whole, atol=1e-6)
    assert rows == [4, 4, 4, 2]


def test_half_precision_is_summed_up_in_float32_where_the_device_wants_it(monkeypatch, attention):
    attention.to_q.half(), attention.to_k.half(), attention.to_v.half(), attention.to_out.half()
    x = (0.1 * torch.randn(1, 7, 5, 64)).half()
    plain, dtypes = attention(x, positions(5)).detach(), []
    attend = torch.nn.functional.scaled_dot_product_attention

    def noted(*given, **options):
        dtypes.append({value.dtype for value in (*given, options["attn_mask"])})
        return attend(*given, **options)

    monkeypatch.setattr("seine_model.device_choices.attends_in_float32", lambda x: True)
    monkeypatch.setattr("torch.nn.functional.scaled_dot_product_attention", noted)
    found = attention(x, positions(5))
    assert dtypes == [{torch.float32}] and found.dtype == torch.float16
    assert torch.allclose(found, plain, atol=0.02 * float(plain.abs().max()))
