"""LoRA files of the running server."""

from collections.abc import Callable

import pytest
import torch
from safetensors.torch import save_file


@pytest.fixture(scope="session")
def write_lora(server) -> Callable[[str, str, int], str]:
    """Writes a LoRA of rank 2 for one layer, and returns its name."""
    folder = server.models / "loras"
    folder.mkdir(parents=True, exist_ok=True)

    def write(name: str, key: str, width: int) -> str:
        generator = torch.Generator().manual_seed(1)
        parts = {"up": torch.randn(width, 2, generator=generator), "down": torch.randn(2, width, generator=generator)}
        save_file({key.format(part): value for part, value in parts.items()}, folder / f"{name}.safetensors")
        return f"{name}.safetensors"

    return write
