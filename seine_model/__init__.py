"""SEINE (ICLR 2024, arXiv 2310.20700) in PyTorch, without ComfyUI."""

from .checkpoint import CheckpointError, load_unet
from .config import SeineConfig
from .unet import SeineUNet3D

__all__ = ["CheckpointError", "SeineConfig", "SeineUNet3D", "load_unet"]
