"""What a person drags: each node is a schema and one short execute."""

from .conditioning import SEINEImageToVideo
from .decode import SEINEVAEDecode
from .loaders import SEINECheckpointLoader, SEINEModelLoader
from .mask import SEINEMaskBuilder
from .sampling import SEINEKSampler, SEINESamplerDDPM, SEINEScheduler

NODES = [
    SEINEModelLoader,
    SEINECheckpointLoader,
    SEINEMaskBuilder,
    SEINEImageToVideo,
    SEINEKSampler,
    SEINEScheduler,
    SEINESamplerDDPM,
    SEINEVAEDecode,
]
