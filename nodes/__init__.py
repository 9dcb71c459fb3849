"""What a person drags: each node is a schema and one short execute."""

from comfy_api.v0_0_2 import io

from ..comfy_adapter import guidance
from .conditioning import SEINEImageToVideo
from .decode import SEINEDecodeToVideo, SEINEMatchColors, SEINEVAEDecode
from .film import SEINEExtendVideo, SEINEStory
from .loaders import SEINECheckpointLoader, SEINEModelLoader
from .mask import SEINEMaskBuilder
from .sampling import SEINEGuidanceInterval, SEINEKSampler, SEINESamplerDDPM, SEINEScheduler
from .saving import SEINESaveGIF

NODES = [
    SEINEModelLoader,
    SEINECheckpointLoader,
    SEINEMaskBuilder,
    SEINEImageToVideo,
    SEINEKSampler,
    SEINEScheduler,
    SEINESamplerDDPM,
    SEINEVAEDecode,
    SEINEExtendVideo,
    SEINEStory,
    SEINEMatchColors,
    SEINESaveGIF,
]
if hasattr(io, "Video"):  # hosts since 2025
    NODES.append(SEINEDecodeToVideo)
if guidance.AVAILABLE:
    NODES.append(SEINEGuidanceInterval)
