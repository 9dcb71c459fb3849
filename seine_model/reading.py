"""Reading a file's tensors: .safetensors, and PyTorch's pickles without running what is in them."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from .device_choices import dense
from .facts import facts_beside, take_facts
from .file_kinds import DAMAGED, SAFETENSORS_SUFFIXES, CheckpointError, refuse_foreign_names, refuse_other_files
from .quantised import in_todays_names, largest_magnitude

FLOATS = (
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
)
"""What weights may be stored in."""
LARGEST_WEIGHT = 1e8
"""Trained weights are below 100; larger ones than this overflow float32 where two layers meet."""

Reader = Callable[[Path], tuple[Any, Mapping[str, str] | None]]
"""Takes a file that was found to be what its name says, gives its content and its metadata, and may raise anything."""

_EXOTIC = ("sparse", "qtensor", "nested", "meta_tensor", "wrapper_subclass", "cpp_extension")
"""In names of what makes tensors without values of their own; damaged, some of these crash PyTorch."""


def _map_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    with safe_open(path, framework="pt", device="cpu") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118


def map_file(path: Path) -> tuple[Any, dict[str, str]]:
    """What a file holds, mapped into memory, and its metadata: a `Reader`."""
    if path.suffix.lower() in SAFETENSORS_SUFFIXES:
        return _map_safetensors(path)
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True), {}


def read_checkpoint(path: str | Path, read: Reader = map_file) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a file, as `read` gives them, and what the file says of its model (see `facts`).

    What the file is, is looked at first, so that nothing in a pickle runs; an ``ema`` or ``state_dict`` entry is
    unwrapped. Raises CheckpointError for a file that is missing, of another kind, truncated or holds anything but
    tensors.
    """
    path = Path(path)
    names = refuse_other_files(path)
    if path.suffix.lower() in SAFETENSORS_SUFFIXES:
        tensors, metadata = read_safetensors(path, read)
    else:
        tensors, metadata = _table_of_tensors(_read_pickle(path, names, read), path), {}
    try:
        tensors, facts = take_facts(in_todays_names(tensors, metadata))
    except CheckpointError as error:
        raise CheckpointError(f"{path.name}: {error}") from error
    return tensors, facts_beside(path) | facts | metadata


def read_safetensors(path: Path, read: Reader = _map_safetensors) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors and the metadata of a .safetensors file, whatever its name. Raises CheckpointError."""
    try:
        tensors, metadata = read(path)
        return dict(tensors), dict(metadata or {})
    except Exception as error:  # SafetensorError, and whatever PyTorch raises for a dtype it has not
        raise CheckpointError(
            f"{path.name} is not a readable .safetensors file ({_first_line(error)}). {DAMAGED}"
        ) from error


def _read_pickle(path: Path, names: list[str], read: Reader) -> Any:
    exotic = [name for name in names if any(word in name for word in _EXOTIC)]
    if exotic:
        raise CheckpointError(
            f"{path.name} holds tensors of a kind that weights are not stored in ({exotic[0][:60]}). Use the published "
            "seine.pt or a .safetensors file."
        )
    try:
        try:
            return read(path)[0]
        except RuntimeError as error:
            if "mmap" not in str(error):  # only torch's zip format can be mapped
                raise
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise anything
        if isinstance(error, pickle.UnpicklingError):
            refuse_foreign_names(path, names)
        # PyTorch's own words advise to load it without protection: its kind of error has to do.
        raise CheckpointError(
            f"{path.name} is not a readable PyTorch file ({type(error).__name__}). {DAMAGED}"
        ) from error


def _table_of_tensors(content: Any, path: Path) -> dict[str, Tensor]:
    for wrapper in ("ema", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if (
        not isinstance(content, Mapping)
        or not all(isinstance(value, Tensor) for value in content.values())
        or not all(isinstance(key, str) for key in content)
    ):
        raise CheckpointError(
            f"{path.name} is not a table of tensors. A SEINE checkpoint is a state_dict, by itself or under 'ema': "
            "choose the published seine.pt or a conversion."
        )
    size = path.stat().st_size
    for key, value in content.items():
        plain = value.layout == torch.strided and value.device.type == "cpu" and not value.is_quantized
        if not plain or value.is_nested or value.nbytes > size:
            raise CheckpointError(
                f"{path.name}: {key} is no plain tensor, or larger than the file. Convert the published seine.pt, or "
                "use a .safetensors file."
            )
    # Pickles keep how a tensor lay in memory; the networks' kernels take weights one after the other.
    return {key: dense(value.detach()) for key, value in content.items()}


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def shape_problems(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Sequence[int]], scaled: Collection[str] = ()
) -> str:
    """Which are missing, unexpected, of the wrong shape or no floats; nothing where they are as expected.

    scaled: keys of those that are integers with a scale.
    """
    found = {
        "missing": [key for key in expected if key not in tensors],
        "unexpected": [key[:120] for key in tensors if key not in expected],
        "of the wrong shape": [
            f"{key} is {list(tensors[key].shape)}, expected {list(shape)}"
            for key, shape in expected.items()
            if key in tensors and tensors[key].shape != torch.Size(shape)
        ],
        "no floating-point numbers": [
            f"{key} is {str(value.dtype).removeprefix('torch.')}"
            for key, value in tensors.items()
            if key in expected and key not in scaled and value.dtype not in FLOATS
        ],
    }
    return "; ".join(f"{len(keys)} {what}: {listed(keys)}" for what, keys in found.items() if keys)


def unusable_values(tensors: Mapping[str, Tensor], largest: float = LARGEST_WEIGHT) -> list[str]:
    """What is wrong with the values of each tensor that no network could compute with; reads all of them."""
    problems = []
    for key, value in tensors.items():
        low, high = value_range(value)
        if not (math.isfinite(low) and math.isfinite(high)):
            problems.append(f"{key} has NaN or infinite values")
        elif max(-low, high) > largest:
            problems.append(f"{key} has values up to {max(-low, high):.1e}")
    return problems


def value_range(tensor: Tensor) -> tuple[float, float]:
    """Smallest and largest value, or what bounds both; NaN where there is one, 0 where there is none at all."""
    if not tensor.numel():
        return 0.0, 0.0
    if tensor.dtype.itemsize == 1 and tensor.is_floating_point():
        largest = float(largest_magnitude(tensor))
        return -largest, largest
    if tensor.dtype.itemsize == 1 or tensor.dtype == torch.bool:
        tensor = tensor.float()
    low, high = torch.aminmax(tensor)
    return float(low), float(high)


def check_values(tensors: Mapping[str, Tensor], name: str, largest: float = LARGEST_WEIGHT) -> None:
    """CheckpointError for weights that are not finite, or so large that nothing finite comes of them."""
    problems = unusable_values(tensors, largest)
    if problems:
        raise CheckpointError(f"{name} {listed(problems)}: the file is damaged, fetch it again.")


def listed(names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
