"""What the nodes are given where their defaults would tell nothing, or are for something much larger than this clip."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tools.authoring.compatibility.clip import FRAMES, MORE_STEPS, SIZE, TWO_PROMPTS, WITH_CONTROL, WITH_HOOK, WITH_MASK
from tools.authoring.compatibility.inserting import AFTER, ASIDE, BETWEEN
from tools.authoring.compatibility.reasons import MERGES_OF_OTHERS
from tools.authoring.compatibility.stock import StockNode

SECONDS = 60
"""The longest that a case may take, where it does not say."""


@dataclass(frozen=True)
class Case:
    """A node to be tried. `settings`: its inputs that differ from the ordinary, None for one that is left out.

    `place`: where it goes, as `with_node` has it. `label`: what the page says of the settings, where a node has more
    than one case. `variant`: of the plain clip. `after`: a node that is run before. `seconds`: the longest it may take.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    place: str = ""
    label: str = ""
    variant: str = ""
    after: str = ""
    seconds: float = SECONDS


def _of(
    place: str = "", label: str = "", variant: str = "", after: str = "", seconds: float = SECONDS, **settings: Any
) -> Case:
    return Case(settings, place, label, variant, after, seconds)


_ONE_PICTURE = ["keyframe", 0]
_OTHER = ["other clip", 0]

CASES: dict[str, tuple[Case, ...]] = {
    # Model patches
    "ContextWindowsManual": (_of(context_length=2, context_overlap=1),),
    "LTXVContextWindows": (_of(context_length=9, context_overlap=0),),
    "WanContextWindowsManual": (_of(context_length=9, context_overlap=0),),
    "EasyCache": (_of(variant=MORE_STEPS, reuse_threshold=3.0, start_percent=0.0, end_percent=1.0),),
    "LazyCache": (_of(variant=MORE_STEPS, reuse_threshold=3.0, start_percent=0.0, end_percent=1.0),),
    "DifferentialDiffusion": (_of(variant=WITH_MASK),),
    "FreSca": (_of(freq_cutoff=1),),
    "HyperTile": (_of(tile_size=1, swap_size=1),),
    "LoraModelLoader": (_of(), _of(label="bypass", bypass=True)),
    "ModelComputeDtype": (_of(dtype="bf16"),),
    "ModelSamplingDiscrete": (
        _of(label="eps without zsnr"),
        _of(label="all else", sampling="v_prediction", zsnr=True),
    ),
    "PatchModelAddDownscale": (_of(end_percent=1.0),),
    "PerpNeg": (_of(empty_conditioning=_OTHER),),
    "PerpNegGuider": (_of(empty_conditioning=_OTHER),),
    "RescaleCFG": (_of(multiplier=0.7),),
    "ScaleROPE": (_of(label="scale_t", scale_t=2.0), _of(label="scale_x, scale_y, every shift", scale_x=2.0)),
    "SkipLayerGuidanceDiT": (_of(start_percent=0.0, end_percent=1.0),),
    "SkipLayerGuidanceDiTSimple": (_of(start_percent=0.0, end_percent=1.0),),
    "SkipLayerGuidanceSD3": (_of(start_percent=0.0, end_percent=1.0),),
    "TorchCompileModel": (_of(backend="cudagraphs", seconds=400),),
    "UNetCrossAttentionMultiply": (_of(q=1.5),),
    "UNetSelfAttentionMultiply": (_of(q=1.5),),
    "UNetTemporalAttentionMultiply": (
        _of(label="self_structural, cross_structural", self_structural=0.5),
        _of(label="self_temporal, cross_temporal", self_temporal=0.5, cross_temporal=0.5),
    ),
    "ChromaRadianceOptions": (_of(nerf_tile_size=32),),
    # Conditioning
    "CLIPAttentionMultiply": (_of(q=1.5),),
    "CLIPMergeSimple": (_of(ratio=0.5),),
    "CLIPSetLastLayer": (_of(stop_at_clip_layer=-2),),
    "CLIPTextEncodeControlnet": (_of(variant=WITH_CONTROL),),
    "ConditioningAverage": (_of(conditioning_to_strength=0.5),),
    "ConditioningMultiply": (_of(multiplier=0.5),),
    "ConditioningSetArea": (_of(width=64, height=64),),
    "ConditioningSetAreaPercentage": (_of(width=0.5, height=0.5),),
    "ConditioningSetAreaPercentageVideo": (_of(temporal=0.5, width=1.0, height=1.0),),
    "ConditioningSetAreaStrength": (_of(variant=TWO_PROMPTS, strength=0.5),),
    "ConditioningSetMask": (_of(variant=TWO_PROMPTS),),
    "ConditioningSetDefaultCombine": (_of(cond=["masked clip", 0]),),
    "ConditioningSetTimestepRange": (_of(end=0.5),),
    "ConditioningTimestepsRange": (_of(end_percent=0.5),),
    "PairConditioningSetDefaultCombine": (_of(positive=["masked clip", 0]),),
    "HunyuanVideo15ImageToVideo": (_of(start_image=_ONE_PICTURE),),
    "MiniMaxH3ImageToVideo": (_of(first_frame=_ONE_PICTURE, last_frame=_ONE_PICTURE),),
    "StableZero123_Conditioning": (_of(init_image=_ONE_PICTURE),),
    "StableZero123_Conditioning_Batched": (_of(init_image=_ONE_PICTURE),),
    "SV3D_Conditioning": (_of(init_image=_ONE_PICTURE),),
    "SVD_img2vid_Conditioning": (_of(init_image=_ONE_PICTURE),),
    "TextEncodeBooguEdit": (_of(**{"images.image_1": _ONE_PICTURE, "images.image_2": None}),),
    "TextEncodeJoyImageEdit": (_of(**{"images.image0": _ONE_PICTURE, "images.image1": None}),),
    "TextEncodeQwenImageEdit": (_of(image=_ONE_PICTURE),),
    "TextEncodeQwenImageEditPlus": (_of(image1=_ONE_PICTURE, image2=None, image3=None),),
    "TextEncodeZImageOmni": (_of(image1=_ONE_PICTURE, image2=None, image3=None),),
    # ControlNets and hooks
    **dict.fromkeys(("CombineHooks2", "CombineHooks4", "CombineHooks8", "SetHookKeyframes"), (_of(variant=WITH_HOOK),)),
    "CreateHookKeyframe": (_of(variant=WITH_HOOK, strength_mult=0.5, prev_hook_kf=None),),
    "CreateHookKeyframesFromFloats": (_of(variant=WITH_HOOK, prev_hook_kf=None),),
    "CreateHookKeyframesInterpolated": (_of(variant=WITH_HOOK, strength_end=0.0, prev_hook_kf=None),),
    "CreateHookLora": (_of(prev_hooks=None),),
    "CreateHookLoraModelOnly": (_of(prev_hooks=None),),
    "SetUnionControlNetType": (_of(variant=WITH_CONTROL),),
    # Latents
    "EmptyLatentImage": (_of(batch_size=FRAMES),),
    "EmptySD3LatentImage": (_of(batch_size=FRAMES),),
    "LatentCrop": (_of(width=64, height=64),),
    "LatentCut": (
        _of(place=AFTER, label="dim x, y", dim="x", amount=2),
        _of(place=BETWEEN, label="dim t", dim="t", amount=2),
    ),
    "LatentCutToBatch": (
        _of(place=AFTER, label="dim x, y", dim="x", slice_size=6),
        _of(place=BETWEEN, label="dim t", dim="t", slice_size=1),
    ),
    "LatentConcat": (_of(place=AFTER, label="dim x, y", dim="x"), _of(label="dim t", dim="t")),
    "LatentFromBatch": (_of(place=AFTER, batch_index=1, length=2),),
    "LatentInterpolate": (_of(ratio=0.5),),
    "LatentMultiply": (_of(multiplier=0.5),),
    "LatentOperationSharpen": (_of(sharpen_radius=1),),
    "LatentRotate": (_of(rotation="180 degrees"),),
    "LatentUpscale": (_of(width=2 * SIZE, height=2 * SIZE),),
    "LoadLatent": (_of(place=BETWEEN, latent="other.latent"),),
    "RebatchLatents": (_of(batch_size=1),),
    "RepeatLatentBatch": (_of(amount=2),),
    "SaveLatent": (_of(filename_prefix="other/latent"),),
    "TrimVideoLatent": (_of(place=AFTER, trim_amount=1),),
    # Sampling
    "KSampler": (_of(steps=3),),
    "KSamplerAdvanced": (_of(steps=3),),
    "KSamplerSelect": (_of(sampler_name="heun"),),
    "SamplerDPMAdaptative": (_of(rtol=1.0, atol=1.0),),
    # Loading, merging, saving and training
    "ControlNetLoader": (
        _of(label="T2I-Adapter", control_net_name="adapter.safetensors"),
        _of(label="Control-LoRA", control_net_name="control-lora.safetensors"),
    ),
    "DiffControlNetLoader": (_of(control_net_name="adapter.safetensors"),),
    "LoadTrainingDataset": (_of(ASIDE, after="SaveTrainingDataset", folder_name="training_dataset"),),
    "MakeTrainingDataset": (_of(ASIDE),),
    "LoraSave": (_of(text_encoder_diff=None, rank=1),),
    "ModelMergeBlocks": (_of(input=0.5, middle=0.5, out=0.5),),
    "ModelMergeSimple": (_of(ratio=0.5),),
    "ModelMergeSD1": (_of(**{"input_blocks.1.": 0.5}),),
    "ModelMergeSD2": (_of(**{"input_blocks.1.": 0.5}),),
    "ModelMergeSDXL": (_of(**{"input_blocks.1": 0.5}),),
    "ResolutionBucket": (_of(ASIDE, latents=["dataset", 0], conditioning=["dataset", 1]),),
    "TextGenerate": (_of(sampling_mode="off"),),
    "TextGenerateLTX2Prompt": (_of(sampling_mode="off"),),
    "SaveTrainingDataset": (_of(folder_name="another"),),
    "TrainLoraNode": (_of(latents=["start", 0], steps=1),),
}


def cases_of(stock: StockNode) -> tuple[Case, ...]:
    """The cases of a node; one that is not in `CASES` has its ordinary inputs alone."""
    if stock.name in MERGES_OF_OTHERS:
        first, *others = (name for name, (kind, _) in stock.required.items() if kind == "FLOAT")
        return (
            Case({first: 0.5}, label="the first slider"),
            Case(dict.fromkeys(others, 0.5), label="all others"),
        )
    return CASES.get(stock.name, (Case(),))
