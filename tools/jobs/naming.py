"""File names from prompts and ids."""

from __future__ import annotations

import hashlib
import re

MOST_BYTES = 120
"""Of a result's name: room for what is added within the 255 that file systems have."""
_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)


def file_name(text: str) -> str:
    """A file name, without ending, for a prompt or an id: spaces as `_`, safe on every system, and short.

    What had to be changed beyond spaces gets a few digits of the text's own, so that two texts have two names.
    """
    wanted = text.replace(" ", "_")
    safe = _UNSAFE.sub("-", wanted).strip(".").rstrip("_ ") or "clip"
    if _RESERVED.fullmatch(safe.partition(".")[0]):
        safe = f"_{safe}"
    short = safe.encode()[:MOST_BYTES].decode(errors="ignore")
    if short == wanted:
        return short
    return f"{short}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
