"""What reaches a node, checked against the node's own schema: of what comes by wire, the host looks at nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from comfy_api.v0_0_2 import io

from ..comfy_adapter.parts import check_clip, check_vae
from ..comfy_adapter.sampling import require_seine
from ..seine_model import inputs
from ..seine_model.file_kinds import CheckpointError


class FileName(io.Combo.Input):
    """A list of files, which may have changed since the node was listed: whether one is there, its loader says."""


_CHECKS: dict[type, Callable[[Any, Any], Any]] = {
    io.Int.Input: lambda value, of: inputs.whole_number(value, of.id, of.min, of.max),
    io.Float.Input: lambda value, of: inputs.check_number(value, of.id, of.min, of.max),
    io.Combo.Input: lambda value, of: inputs.check_choice(value, of.id, of.options),
    FileName: lambda value, of: inputs.check_text(value, of.id),
    io.String.Input: lambda value, of: inputs.check_text(value, of.id),
    io.Boolean.Input: lambda value, of: inputs.check_switch(value, of.id),
    io.Latent.Input: lambda value, of: inputs.check_latent(value, of.id),
    io.Model.Input: lambda value, of: require_seine(value, of.id),
    io.Clip.Input: lambda value, of: check_clip(value),
    io.Vae.Input: lambda value, of: check_vae(value),
}
"""By kind of input: raises ValueError. Images, masks and prompts are looked at where their values are used."""


def checked(execute: Callable[..., io.NodeOutput]) -> Callable[..., io.NodeOutput]:
    """`execute` of a node, called only with what its schema allows; whole numbers arrive as int."""
    signature = inspect.signature(execute)

    @wraps(execute)
    def run(cls: type[io.ComfyNode], *args: Any, **given: Any) -> io.NodeOutput:
        bound = signature.bind(cls, *args, **given)
        for of in cls.define_schema().inputs:
            check, value = _CHECKS.get(type(of)), bound.arguments.get(of.id)
            if check is None or of.id not in bound.arguments or (of.optional and value is None):
                continue
            whole = check(value, of)
            if isinstance(of, io.Int.Input):
                bound.arguments[of.id] = whole
        try:
            return execute(*bound.args, **bound.kwargs)
        except CheckpointError as error:
            # The host shows the module of an error's class before its words, which would be pushed out of sight.
            raise ValueError(str(error)) from error

    return run
