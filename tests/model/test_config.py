import pytest

from seine_model import SeineConfig


def test_defaults_are_the_published_model():
    assert SeineConfig().to_dict() == {
        "in_channels": 9,
        "out_channels": 4,
        "block_out_channels": [320, 640, 1280, 1280],
        "layers_per_block": 2,
        "attention_head_dim": 8,
        "cross_attention_dim": 768,
        "norm_num_groups": 32,
    }


def test_dict_round_trip_ignores_what_is_not_architecture():
    config = SeineConfig(block_out_channels=(64, 64, 96, 96), attention_head_dim=2, norm_num_groups=16)
    assert SeineConfig.from_dict({**config.to_dict(), "sample_size": 64, "_class_name": "any"}) == config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block_out_channels": [320, 640, 1280]}, "give 4 widths"),
        ({"attention_head_dim": 16}, "at least 32"),
        ({"attention_head_dim": 7}, "320"),
        ({"norm_num_groups": 48}, "norm groups"),
        ({"layers_per_block": 0}, "positive"),
        ({"use_linear_projection": True}, "use_linear_projection"),
        ({"down_block_types": ["CrossAttnDownBlock3D"] * 4}, "down_block_types"),
    ],
)
def test_impossible_configurations_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SeineConfig.from_dict(options)
