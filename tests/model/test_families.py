"""Models that are not SEINE are named for what they are."""

import pytest
import torch

from seine_model import CheckpointError
from seine_model.checkpoint import UNET_PREFIX, infer_config

TRANSFORMER = "down_blocks.0.attentions.0.transformer_blocks.0."
RESNET = "down_blocks.0.resnets.0."
SD = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0."


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({"controlnet_cond_embedding.conv_in.weight": [16, 3, 3, 3], RESNET + "norm1.weight": [320]}, "a ControlNet"),
        ({"control_model.input_hint_block.0.weight": [16, 3, 3, 3], SD + "norm1.weight": [320]}, "a ControlNet"),
        ({"model.diffusion_model.input_blocks.1.1.time_stack.0.norm1.weight": [320]}, "Stable Video Diffusion"),
        ({"down_blocks.0.attentions.0.temporal_transformer_blocks.0.norm1.weight": [320]}, "Stable Video Diffusion"),
        ({SD + "attn2.to_k.weight": [320, 1024]}, "Stable Diffusion XL, 2"),
        ({SD + "attn2.to_k.weight": [320, 768]}, "use it as the base"),
        ({TRANSFORMER + "attn_temp.distance_embedding.weight": [63, 40]}, "LaVie's interpolation"),
        ({TRANSFORMER + "attn_temp.to_q.weight": [8, 8], "conv_in.weight": [320, 8, 3, 3]}, "LaVie's interpolation"),
        ({"down_blocks.1.attentions.0.resblock_temporal.norm1.weight": [512]}, "video upscaler"),
        ({"down_temporal_blocks.0.conv.weight": [256], RESNET + "norm1.weight": [256]}, "video upscaler"),
        ({TRANSFORMER + "cross_attn_temp.to_q.bias": [8], TRANSFORMER + "attn_temp.to_q.bias": [8]}, "ShowMaker"),
        ({TRANSFORMER + "attn2.ip_to_k.weight": [8, 8], TRANSFORMER + "attn_temp.to_q.bias": [8]}, "ShowMaker"),
        ({"image_proj_model.proj.weight": [3072, 1024], TRANSFORMER + "attn_temp.to_q.bias": [8]}, "ShowMaker"),
        ({TRANSFORMER + "attn_temp.to_q.weight": [8, 8], "conv_in.weight": [320, 5, 3, 3]}, "reads 5 channels"),
        ({TRANSFORMER + "attn2.to_k.weight": [320, 768], "conv_in.weight": [320, 4, 3, 3]}, "single images"),
        ({TRANSFORMER + "attn2.to_k.weight": [320, 1024], "conv_in.weight": [320, 4, 3, 3]}, "an image UNet without"),
        ({"double_blocks.0.img_attn.qkv.weight": [8, 8]}, "diffusion transformer"),
        ({"text_model.encoder.layers.0.mlp.fc1.weight": [8, 8]}, "a text encoder"),
        ({"decoder.up.0.block.0.norm1.weight": [128]}, "a VAE"),
    ],
)  # fmt: skip
def test_a_model_is_named(shapes, words):
    with torch.device("meta"):
        tensors = {key: torch.empty(shape) for key, shape in shapes.items()}
    with pytest.raises(CheckpointError, match=r"not a SEINE UNet but .*Choose the published seine\.pt") as error:
        infer_config(tensors)
    assert words in str(error.value)


def test_a_bundle_s_unet_is_looked_at_too():
    with torch.device("meta"):
        tensors = {
            UNET_PREFIX + TRANSFORMER + "attn_temp.to_q.weight": torch.empty(8, 8),
            UNET_PREFIX + "conv_in.weight": torch.empty(320, 8, 3, 3),
        }
    with pytest.raises(CheckpointError, match="LaVie's interpolation"):
        infer_config(tensors)
