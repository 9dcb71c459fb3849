"""Why what happens to a node is right: the one place where the page's reasons are written.

Keys are a node's name, or "name (label)" of one of its cases. A result without the reason that it needs is an error.
"""

from __future__ import annotations

from collections.abc import Iterable


def _each(names: str, reason: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), reason)


_AS_TEXT = "as CLIP Text Encode of its text; pictures, sound, sizes and scores are for another model's text encoder"
_OTHER_SCHEDULE = (
    "gives SEINE the schedule or the prediction of another model, as it does with Stable Diffusion: no longer what "
    "SEINE was trained for"
)
_OTHER_SIGMAS = "gives the noise levels of another model, which begin at 1; SEINE's begin at 157"
_ROWS = (
    "for video latents of five dimensions; of SEINE's it takes rows of the picture for frames: use LatentFromBatch and "
    "LatentBatch"
)
_SLIDER = "the first slider counts for all of SEINE, as for any model without the layers that it names"
MERGES_OF_OTHERS = (
    "ModelMergeAuraflow ModelMergeCosmos14B ModelMergeCosmos7B ModelMergeCosmosPredict2_14B "
    "ModelMergeCosmosPredict2_2B ModelMergeFlux1 ModelMergeKrea2 ModelMergeLTXV ModelMergeMochiPreview "
    "ModelMergeQwenImage ModelMergeSD35_Large ModelMergeSD3_2B ModelMergeWAN2_1"
).split()

ACTS = {
    **_each(
        "CLIPTextEncodeLumina2 CLIPTextEncodePixArtAlpha CLIPTextEncodeSDXLRefiner MiniMaxMusic3TextEncode "
        "TextEncodeAceStepAudio1.5 TextEncodeHunyuanVideo_ImageToVideo",
        _AS_TEXT,
    ),
    **_each(
        "ModelSamplingAuraFlow ModelSamplingContinuousEDM ModelSamplingContinuousV ModelSamplingFlux "
        "ModelSamplingLTXV ModelSamplingSD3 ModelSamplingStableCascade",
        _OTHER_SCHEDULE,
    ),
    "ModelSamplingDiscrete (all else)": _OTHER_SCHEDULE,
    **_each("Flux2Scheduler Ideogram4Scheduler LTXVScheduler OptimalStepsScheduler", _OTHER_SIGMAS),
    **_each("ReplaceVideoLatentFrames TrimVideoLatent", _ROWS),
    "ConditioningSetAreaPercentageVideo": (
        "for video latents of five dimensions; of SEINE's, temporal is the height and height the width: use "
        "ConditioningSetAreaPercentage"
    ),
    **{f"{name} (the first slider)": _SLIDER for name in MERGES_OF_OTHERS},
    "LTXVDualCFGGuider": "video_cfg is SEINE's; there is no sound for audio_cfg",
    **_each("ModelSave CheckpointSave", "the file is loaded by Load SEINE Model and Load SEINE Checkpoint"),
    **_each("VOIDSampler VOIDWarpedNoiseSource", "for VOID; SEINE takes it as any sampler, or noise"),
    "ControlNetLoader (T2I-Adapter)": "ControlNets themselves, with made-up weights, are in all rows that name them",
    "SaveTrainingDataset": "for core's Train LoRA, which refuses SEINE",
}
"""What is to be said of some nodes that act."""

NOTHING = {
    **_each("MultiGPU_WorkUnits SelectModelDevice SelectCLIPDevice SelectVAEDevice", "chooses where it is computed"),
    "ModelSamplingDiscrete (eps without zsnr)": "what SEINE has already",
    "ModelAttentionBackend": "chooses among the attentions that are installed: here there is one",
    "TorchCompileModel": "the same network, compiled (tried with `cudagraphs`, whose kernels are PyTorch's own)",
    **_each("EmptyLatentImage EmptySD3LatentImage", "an empty latent of as many frames, as SEINE Image to Video gives"),
    **_each("LoadTrainingDataset MakeTrainingDataset ResolutionBucket", "for core's Train LoRA, which refuses SEINE"),
    "LatentCutToBatch (dim t)": "for video latents of five dimensions: gives back SEINE's as they are",
    "wanBlockSwap": "deprecated: gives back any model as it is",
    "SetUnionControlNetType": "for union ControlNets, which know several kinds of hints; the one here knows one",
    "T5TokenizerOptions": "for T5 text encoders; SEINE's is CLIP",
    "FluxDisableGuidance": "takes away what SEINE refuses (`guidance`), and here there is none",
    "UNetTemporalAttentionMultiply (self_temporal, cross_temporal)": (
        "for Stable Video Diffusion's attention over frames, by its layers' name (`time_stack`); SEINE's is `attn_temp`"
    ),
    **{f"{name} (all others)": "names layers of another model, which SEINE does not have" for name in MERGES_OF_OTHERS},
}
"""Why some nodes change nothing, or rounding alone."""

HOST = {
    **_each(
        "RenormCFG TemporalScoreRescaling LatentInterpolate",
        "for one picture at a time: it stops with the frames of a clip",
    ),
    "ModelNoiseScale": "for flow models, whose schedule has a scale of noise",
    "SamplerARVideo": "for models that make a video block by block: it wants latents of five dimensions",
    **_each(
        "CheckpointLoader CheckpointLoaderSimple DiffusersLoader ImageOnlyCheckpointLoader UNETLoader "
        "unCLIPCheckpointLoader CreateHookModelAsLora CreateHookModelAsLoraModelOnly",
        "knows no SEINE file: Load SEINE Model and Load SEINE Checkpoint do",
    ),
}
"""Why the host itself stops at some nodes, beside those for another model."""

_FAMILIES = {
    "model/conditioning/ace": "ACE-Step",
    "model/latent/ace": "ACE-Step",
    "model_patches/anima": "Anima",
    "model/conditioning/autoregressive": "autoregressive video models",
    "model/latent/autoregressive": "autoregressive video models",
    "model/conditioning/bernini": "Bernini",
    "model/conditioning/boogu": "Boogu",
    "model/latent/chroma radiance": "Chroma Radiance",
    "model/patch/chroma radiance": "Chroma Radiance",
    "model/conditioning/cosmos": "Cosmos",
    "model/latent/cosmos": "Cosmos",
    "model/conditioning/flux": "Flux",
    "model/latent/flux": "Flux",
    "model/patch/flux": "Flux",
    "model/conditioning/hidream": "HiDream",
    "model/latent/hidream": "HiDream",
    "model/patch/hidream": "HiDream",
    "model/conditioning/hunyuan 3d": "Hunyuan3D",
    "model/latent/hunyuan 3d": "Hunyuan3D",
    "model/conditioning/hunyuan": "HunyuanVideo and HunyuanImage",
    "model/latent/hunyuan": "HunyuanVideo and HunyuanImage",
    "model/latent/hunyhuan": "HunyuanVideo and HunyuanImage",
    "model/conditioning/joyimage": "JoyImage",
    "model/conditioning/kandinsky": "Kandinsky 5",
    "model/conditioning/ltxv": "LTX-Video",
    "conditioning/video_models": "LTX-Video",
    "model/latent/ltxv": "LTX-Video",
    "model/conditioning/minimax": "MiniMax",
    "model/latent/minimax": "MiniMax",
    "model/conditioning/photomaker": "PhotoMaker",
    "model/conditioning/qwen": "Qwen-Image",
    "model/patch/qwen": "Qwen-Image",
    "model/conditioning/stable cascade": "Stable Cascade",
    "experimental/stable cascade": "Stable Cascade",
    "model/latent/stable cascade": "Stable Cascade",
    "model/patch/supir": "SUPIR",
    "model/conditioning/trellis2": "TRELLIS.2",
    "model/latent/trellis": "TRELLIS.2",
    "model/conditioning/triposplat": "TripoSplat",
    "model/latent/triposplat": "TripoSplat",
    "model/conditioning/void": "VOID",
    "model/latent/void": "VOID",
    "model/conditioning/wan": "Wan",
    "model/patch/wan": "Wan",
    "model/conditioning/z-image": "Z-Image",
    "model/patch/z-image": "Z-Image",
    "image/detection": "detection in pictures",
    "text": "language models",
}
_FAMILY_BY_NAME = {
    **_each("CLIPTextEncodeSDXL", "Stable Diffusion XL and 3"),
    **_each("CLIPTextEncodeSD3", "Stable Diffusion XL and 3"),
    **_each(
        "EmptyLatentAudio VAEDecodeAudio VAEDecodeAudioTiled VAEEncodeAudio", "models of sound, of which SEINE is none"
    ),
    **_each("SeedVR2Conditioning SeedVR2TemporalChunk SeedVR2TemporalMerge", "SeedVR2"),
    **_each("DualCLIPLoader TripleCLIPLoader QuadrupleCLIPLoader", "models with several text encoders"),
    **_each("LTXAVTextEncoderLoader LTXVAudioVAELoader", "LTX-Video"),
    "NormalizeVideoLatentStart": "video latents of five dimensions",
    "HunyuanVideo15LatentUpscaleWithModel": "HunyuanVideo and HunyuanImage",
}
ALWAYS_OTHERS = {
    *("VAEDecodeAudio", "VAEDecodeAudioTiled", "GetICLoRAParameters", "StableCascade_StageC_VAEEncode"),
    *("StableCascade_SuperResolutionControlnet", "TextGenerate", "TextGenerateLTX2Prompt"),
}
"""Nodes that finish, and what they make is for another model whatever comes of it."""
NEVER_RUN = ("Trellis", "TripoSplat", "Pixal3D", "DualCLIP", "TripleCLIP", "QuadrupleCLIP")
"""Parts of names of nodes for another model that compute for minutes and cannot be cancelled, or load gigabytes."""


def family(name: str, category: str) -> str | None:
    """The model that a node is for, where that is not Stable Diffusion 1.x or any."""
    if name in _FAMILY_BY_NAME:
        return _FAMILY_BY_NAME[name]
    starts = [start for start in _FAMILIES if category.startswith(start)]
    return _FAMILIES[max(starts, key=len)] if starts else None


def never_run(name: str) -> bool:
    return any(part in name for part in NEVER_RUN)


def unused(keys: Iterable[str]) -> set[str]:
    """Keys of the reasons that no result needed."""
    return (ACTS | NOTHING | HOST).keys() - set(keys)
