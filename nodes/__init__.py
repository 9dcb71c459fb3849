"""What a person drags: each node is a schema and one short execute."""

from .batch import SEINELoadBatch
from .camera import SEINECamera
from .conditioning import SEINEImageToVideo, SEINESoftKeyframes
from .decode import SEINEDecodeToVideo, SEINEMatchColors, SEINEVAEDecode
from .film import SEINEExtendVideo, SEINEStory
from .film_file import SEINEExtendVideoFile
from .loaders import SEINECheckpointLoader, SEINEModelLoader
from .mask import SEINEMaskBuilder
from .merging import SEINEModelMerge
from .motion import SEINEMotion
from .prompts import SEINEPromptTravel
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
    SEINEDecodeToVideo,
    SEINEGuidanceInterval,
    SEINEPromptTravel,
    SEINEModelMerge,
    SEINEExtendVideoFile,
    SEINELoadBatch,
    SEINESoftKeyframes,
    SEINEMotion,
    SEINECamera,
]
