"""PyTorch's operators in place of the pack's own kernels, on a card that the CPU poses as: what a card does with them.

They pass the trial that the kernels themselves have to pass on a card before they are used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from comfyui_seine.seine_model import convolution, device_choices, fused, products, stand_ins
from comfyui_seine.tools.hosting.posing_device import Posing

CAPABILITY = (9, 0)
"""Of the cards that all of them are for."""


@contextmanager
def standing_kernels() -> Iterator[Counter]:
    """Within `host_with_card`: how often each is launched, for maps of every size."""
    launched: Counter = Counter()
    chosen: dict[tuple[Any, str], Any] = {
        (fused, "_functions"): lambda: {name: _counted(name, made, launched) for name, made in _KERNELS.items()},
        (fused, "_working"): {},
        (fused, "_multiplying"): {},
        (fused, "_attending"): {},
        (fused, "_failed"): set(),
        (device_choices, "has_kernels"): lambda device: device.type == "cuda",
        (device_choices, "may_attend_by_cudnn"): lambda device, dtype: False,
        (device_choices, "LARGE_INPUT"): 0,
        (device_choices, "MANY_PIXELS"): 0,
        (torch.cuda, "get_device_capability"): lambda device=None: CAPABILITY,
    }
    for module in (convolution, products):  # on a card they have tensors that are their numbers
        chosen[module, "PLAIN"] = (*fused.PLAIN, Posing)
    with ExitStack() as stack:
        for (place, name), value in chosen.items():
            stack.enter_context(mock.patch.object(place, name, value))
        yield launched


def _counted(name: str, function: Callable, launched: Counter) -> Callable:
    def launch(*given: Any) -> Any:
        launched[name] += 1
        return function(*given)

    return launch


_KERNELS: dict[str, Callable] = {
    name: getattr(stand_ins, name)
    for name in (
        *("attend_over_frames", "normalise", "normalise_rows", "gate", "gated_product"),
        *("add_up", "reorder", "quarters", "interleave"),
    )
}
