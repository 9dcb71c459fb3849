"""Writing a SEINE checkpoint as .safetensors, alone or bundled with the text encoder and VAE of an SD 1.x base.

Weights stream: the input is memory-mapped, and one tensor at a time is converted, written and later compared.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from .base import read_base, text_encoder_weights, vae_weights
from .checkpoint import (
    TEXT_ENCODER_PREFIX,
    UNET_PREFIX,
    VAE_PREFIX,
    check_state_dict,
    exact_rotary_frequencies,
    infer_config,
    unet_state_dict,
)
from .config import SeineConfig
from .facts import (
    CONFIG_KEY,
    GRAY_LATENT_KEY,
    LATENT_RGB_KEY,
    TEXT_ENCODER_HEADS_KEY,
    carried,
    check_facts,
    text_encoder_heads_of,
)
from .file_kinds import SAFETENSORS_SUFFIXES, CheckpointError
from .quantised import Scale, dequantised, scales_of
from .reading import LARGEST_WEIGHT, read_checkpoint, read_safetensors, value_range
from .stored import DTYPES, ROUNDED, Stored, stored
from .writing import whole_file

NUMBER_FORMATS = (*DTYPES, *ROUNDED)

_FORMAT_NAMES = {
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.int8: "I8",
    torch.uint8: "U8",
}
_CARRIED = (TEXT_ENCODER_HEADS_KEY, GRAY_LATENT_KEY, LATENT_RGB_KEY)
_BATCH = 2**25

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Conversion:
    """What was written: keys and parameters of each part ("UNet", "text encoder", "VAE"), bytes, seconds."""

    config: SeineConfig
    parts: dict[str, tuple[int, int]]
    size: int
    seconds: float


def convert(
    source: str | Path,
    target: str | Path,
    number_format: str = "fp16",
    *,
    base: str | Path | None = None,
    config: SeineConfig | None = None,
    overwrite: bool = False,
    progress: Progress = lambda phase, fraction: None,
) -> Conversion:
    """Convert `source` (seine.pt, .safetensors or a bundle) to the file `target`, which appears once it is verified.

    base: an SD 1.x single file or diffusers folder whose text encoder and VAE are bundled; None keeps those `source`
    has, if any. number_format: one of NUMBER_FORMATS; of eight bits is the UNet alone. config: None takes it from the
    file. progress: called with the phase and the fraction of it done. Raises CheckpointError for unsuitable input,
    OSError where the target cannot be written.
    """
    started = time.perf_counter()
    source, target, base = Path(source), Path(target), None if base is None else Path(base)
    _check_target(target, (source, base), overwrite)
    state_dict, source_metadata = read_checkpoint(source)
    try:
        weights, scales = scales_of(unet_state_dict(state_dict))
        config = config or infer_config(state_dict, source_metadata)
        check_state_dict(weights, config, scales)
    except CheckpointError as error:
        raise CheckpointError(f"{source.name}: {error}") from error
    parts = {"UNet": exact_rotary_frequencies(weights)}

    extra, extra_metadata = (state_dict, source_metadata) if base is None else read_base(base)
    if base is not None or any(key.startswith((TEXT_ENCODER_PREFIX, VAE_PREFIX)) for key in state_dict):
        name = source.name if base is None else f"base {base.name}"
        parts = {"UNet": {UNET_PREFIX + key: value for key, value in parts["UNet"].items()}}
        scales = {UNET_PREFIX + key: scale for key, scale in scales.items()}
        parts["text encoder"] = text_encoder_weights(extra, name, config.cross_attention_dim)
        parts["VAE"] = vae_weights(extra, name)
        _check_facts(extra_metadata, name, config.cross_attention_dim)

    metadata = carried(extra_metadata, _CARRIED)
    metadata |= {"format": "pt", CONFIG_KEY: json.dumps(config.to_dict())}
    try:
        tensors = {key: value for part in parts.values() for key, value in part.items()}
        contents = stored(tensors, scales, number_format)
        check = partial(_check_finite, tensors, scales)
        with whole_file(target) as partial_file:
            _write(partial_file, contents, metadata, check, progress)
            _verify(partial_file, contents, metadata, config, progress)
    except CheckpointError as error:
        inputs = source.name if base is None else f"{source.name} with base {base.name}"
        raise CheckpointError(f"{inputs}: {error}") from error
    counts = {name: (len(part), sum(value.numel() for value in part.values())) for name, part in parts.items()}
    return Conversion(config, counts, target.stat().st_size, time.perf_counter() - started)


def _check_facts(facts: Mapping[str, str], name: str, width: int) -> None:
    try:
        check_facts(facts)
        text_encoder_heads_of(facts, width)
    except CheckpointError as error:
        raise CheckpointError(f"{name}: {error}") from error


def _check_target(target: Path, inputs: tuple[Path | None, ...], overwrite: bool) -> None:
    if target.suffix.lower() not in SAFETENSORS_SUFFIXES:
        raise ValueError(f"{target}: choose a name that ends in .safetensors, so that loaders know what it is")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{target.parent}: there is no such folder for the output; create it first")
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder: name the file to write")
    if not target.exists():
        return
    if not overwrite:
        raise FileExistsError(f"{target} exists already: choose another name, or replace it with --overwrite")
    if any(path is not None and path.exists() and path.samefile(target) for path in inputs):
        raise FileExistsError(f"{target} is one of the inputs: choose another name for the output")


def _bytes(tensor: Tensor) -> Tensor:
    """What the file holds of this tensor, uint8."""
    return tensor.contiguous().reshape(-1).view(torch.uint8)


def _check_finite(tensors: Mapping[str, Tensor], scales: Mapping[str, Scale], content: Stored) -> None:
    """CheckpointError for values that are not finite, or would not be in the stored dtype."""
    key = content.source
    low, high = value_range(dequantised(tensors[key], scales.get(key)))
    if not (math.isfinite(low) and math.isfinite(high)):
        raise CheckpointError(f"{key} has NaN or infinite values: the checkpoint is damaged, fetch it again")
    if max(-low, high) > LARGEST_WEIGHT:
        raise CheckpointError(
            f"{key} has values up to {max(-low, high):.1e}: the checkpoint is damaged, fetch it again"
        )
    if (
        content.dtype.itemsize > 1
        and content.dtype.is_floating_point
        and max(-low, high) > torch.finfo(content.dtype).max
    ):
        raise CheckpointError(f"{key} has values too large for {content.dtype}: convert with --dtype bf16 or fp32")


def _write(
    path: Path,
    contents: Mapping[str, Stored],
    metadata: dict[str, str],
    check: Callable[[Stored], None],
    progress: Progress,
) -> None:
    """The safetensors format: length of the header (8 bytes, little-endian), JSON header, the tensors back to back."""
    # Wider types first keeps every tensor aligned to its own size.
    keys = sorted(contents, key=lambda key: -contents[key].dtype.itemsize)
    header: dict[str, object] = {"__metadata__": metadata}
    end = 0
    for key in keys:
        content = contents[key]
        begin, end = end, end + math.prod(content.shape) * content.dtype.itemsize
        header[key] = {
            "dtype": _FORMAT_NAMES[content.dtype],
            "shape": list(content.shape),
            "data_offsets": [begin, end],
        }
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)

    needed, free = 8 + len(encoded) + end, shutil.disk_usage(path.parent).free
    if needed > free:
        raise OSError(
            f"{path.parent} has {free / 1e9:.2f} GB free, the output needs {needed / 1e9:.2f} GB (a file it replaces "
            "stays until the new one is verified): make room or choose another disk"
        )
    with path.open("xb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        for key in keys:
            check(contents[key])
            file.write(_bytes(contents[key].make()).numpy())
            progress("writing", file.tell() / needed)
        file.flush()
        os.fsync(file.fileno())


def _verify(
    path: Path, contents: Mapping[str, Stored], metadata: dict[str, str], config: SeineConfig, progress: Progress
) -> None:
    """Read the file back as a loader would, then compare every tensor with its source, bit by bit."""
    written, written_metadata = read_safetensors(path)
    if written_metadata != metadata or infer_config(written, written_metadata) != config:
        raise OSError(f"{path.parent}: the output's metadata reads back differently; choose another disk")
    weights, scales = scales_of(unet_state_dict(written))
    check_state_dict(weights, config, scales)
    layout = {key: (tuple(value.shape), value.dtype) for key, value in written.items()}
    if layout != {key: (content.shape, content.dtype) for key, content in contents.items()}:
        raise OSError(f"{path.parent}: the output's list of tensors reads back differently; choose another disk")
    del written
    # The source is read beside it, in four bytes a number at most.
    sizes = {key: 4 * math.prod(content.shape) for key, content in contents.items()}
    done = 0
    for keys in _batches(sizes):
        # Opened anew for each batch, so that pages of the file that were read are let go.
        with safe_open(path, framework="pt", device="cpu") as file:
            for key in keys:
                if not torch.equal(_bytes(file.get_tensor(key)), _bytes(contents[key].make())):
                    raise OSError(f"{path.parent}: {key} reads back with other values; choose another disk")
        done += len(keys)
        progress("verifying", done / len(contents))


def _batches(sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """The keys in groups that hold not much more than _BATCH bytes."""
    keys, size = [], 0
    for key, nbytes in sizes.items():
        keys.append(key)
        size += nbytes
        if size >= _BATCH:
            yield keys
            keys, size = [], 0
    if keys:
        yield keys
