"""Fingerprints of what differs and of what does not."""

from __future__ import annotations

from typing import Any

import torch
from comfyui_seine.comfy_adapter.films.fingerprint import fingerprint


class Holder:
    def __init__(self, value: Any) -> None:
        self.value, self.itself = value, self


class Slotted:
    __slots__ = ("value",)


def closed_over(value: Any) -> Any:
    return lambda: value


def main() -> dict[str, Any]:
    tensor = torch.arange(4.0)
    pairs = {
        "tensor": (tensor, tensor.clone(), tensor.half()),
        "order of a dict": ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 2, "b": 1}),
        "closure": (closed_over(1), closed_over(1), closed_over(2)),
        "object": (Holder(tensor), Holder(tensor.clone()), Holder(tensor + 1)),
        "number and text": (1, 1, "1"),
        "builtin": (max, max, min),
    }
    found = {
        name: [fingerprint(a) == fingerprint(b), fingerprint(a) == fingerprint(c)] for name, (a, b, c) in pairs.items()
    }
    return {"equal": found, "unknown": fingerprint(Slotted()) == fingerprint(Slotted())}
