"""SEINE (ICLR 2024, arXiv 2310.20700) in PyTorch, without ComfyUI."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .checkpoint import CheckpointError, load_unet
    from .config import SeineConfig
    from .unet import SeineUNet3D

__all__ = ["CheckpointError", "SeineConfig", "SeineUNet3D", "load_unet"]
_PLACES = {"CheckpointError": "checkpoint", "SeineConfig": "config", "SeineUNet3D": "unet", "load_unet": "checkpoint"}


def __getattr__(name: str) -> Any:
    # Found when asked for: commands read stories and write whole files where there is no PyTorch.
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}: use one of {', '.join(__all__)}")
    return getattr(import_module(f".{_PLACES[name]}", __name__), name)
