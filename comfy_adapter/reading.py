"""Files of weights read by the host's own loader, so that its flags and its paging hold for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.utils  # allows the few harmless classes that training frameworks leave in Stable Diffusion's .ckpt


def read_file(path: Path) -> tuple[Any, dict[str, str] | None]:
    """What a file holds and its metadata, as the host reads its own models: a `Reader` of `seine_model.reading`.

    Mapped or not as the host was started; where it pages weights in (dynamic VRAM), each tensor knows its place in the
    file.
    """
    content, metadata = comfy.utils.load_torch_file(str(path), return_metadata=True)
    for tensor in content.values() if metadata is not None else ():
        # Checks go over all values. The host lets go of what they brought into memory when it next tidies up.
        comfy.model_management.mark_mmap_dirty(tensor.untyped_storage())
    return content, metadata
