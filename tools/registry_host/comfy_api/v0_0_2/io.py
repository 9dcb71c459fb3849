"""Node schemas: inputs, outputs, Schema, ComfyNode and NodeOutput, as far as this pack uses them.

A keyword that is not listed here is a TypeError, so that the pack cannot come to rely on something unseen by the
tests on the old host.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

# Keywords of every input, and those of inputs with a widget, that become V1 options of the same name.
_ANY_INPUT = ("tooltip", "advanced")
_WIDGET = ("default",)
_NUMBER = ("min", "max", "step", "round", "control_after_generate")


class Input:
    """One input: `io_type` is "INT", "MODEL", … or a list of choices; `options` are the V1 widget options."""

    type_name = ""
    keywords: tuple[str, ...] = ()

    def __init__(self, id: str, display_name: str | None = None, optional: bool = False, **options: Any):
        allowed = (*_ANY_INPUT, *self.keywords)
        unknown = sorted(set(options) - set(allowed))
        if unknown:
            raise TypeError(f"{self.type_name} input {id!r}: the stand-in knows no {unknown}, only {sorted(allowed)}")
        self.id = id
        self.display_name = display_name
        self.optional = optional
        self.options = {name: value for name, value in options.items() if value is not None}

    @property
    def io_type(self) -> str | list[Any]:
        return self.type_name


class ComboInput(Input):
    """A choice; its V1 type is the list of choices itself."""

    type_name = "COMBO"
    keywords = (*_WIDGET, "control_after_generate")

    def __init__(self, id: str, options: Sequence[Any] | type[Enum] = (), *arguments: Any, **keywords: Any):
        super().__init__(id, *arguments, **keywords)
        as_enum = isinstance(options, type) and issubclass(options, Enum)
        self.choices = [choice.value for choice in options] if as_enum else list(options)
        if isinstance(self.options.get("default"), Enum):
            self.options["default"] = self.options["default"].value

    @property
    def io_type(self) -> list[Any]:
        return self.choices


class Output:
    """One output."""

    type_name = ""

    def __init__(
        self,
        id: str | None = None,
        display_name: str | None = None,
        tooltip: str | None = None,
        is_output_list: bool = False,
    ):
        self.id = id
        self.display_name = display_name or id or self.type_name
        self.tooltip = tooltip
        self.is_output_list = is_output_list


class _Type:
    Input: type[Input]
    Output: type[Output]


def _io_type(name: str, keywords: tuple[str, ...] = (), base: type[Input] = Input) -> type[_Type]:
    class NamedInput(base):
        type_name = name

    NamedInput.keywords = keywords or base.keywords

    class NamedOutput(Output):
        type_name = name

    return type(name.title(), (_Type,), {"Input": NamedInput, "Output": NamedOutput, "io_type": name})


Int = _io_type("INT", (*_WIDGET, *_NUMBER))
Float = _io_type("FLOAT", (*_WIDGET, *_NUMBER))
String = _io_type("STRING", (*_WIDGET, "multiline", "placeholder", "dynamic_prompts"))
Boolean = _io_type("BOOLEAN", (*_WIDGET, "label_on", "label_off"))
Combo = _io_type("COMBO", base=ComboInput)
Image = _io_type("IMAGE")
Mask = _io_type("MASK")
Latent = _io_type("LATENT")
Conditioning = _io_type("CONDITIONING")
Model = _io_type("MODEL")
Clip = _io_type("CLIP")
Vae = _io_type("VAE")
Sampler = _io_type("SAMPLER")
Sigmas = _io_type("SIGMAS")


@dataclass
class Schema:
    """What a node says about itself."""

    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: list[Input] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    description: str = ""
    search_aliases: list[str] = field(default_factory=list)
    is_output_node: bool = False
    is_experimental: bool = False
    is_deprecated: bool = False
    not_idempotent: bool = False
    essentials_category: str | None = None

    def __post_init__(self) -> None:
        for kind, items in (("input", self.inputs), ("output", self.outputs)):
            ids = [item.id for item in items if item.id is not None]
            doubled = sorted({id for id in ids if ids.count(id) > 1})
            if doubled:
                raise ValueError(f"{self.node_id}: {kind} ids must be unique, {doubled} are not")


class NodeOutput:
    """What `execute` returns: a value per output, and what the interface is to show."""

    def __init__(self, *args: Any, ui: dict[str, Any] | None = None):
        self.args = args
        self.ui = ui

    @property
    def result(self) -> tuple[Any, ...] | None:
        return self.args or None

    def __getitem__(self, index: int) -> Any:
        return self.args[index]


class ComfyNode:
    """Base class of nodes, all classmethods; a subclass may add `validate_inputs` and `fingerprint_inputs`."""

    @classmethod
    def define_schema(cls) -> Schema:
        raise NotImplementedError

    @classmethod
    def execute(cls, **inputs: Any) -> NodeOutput:
        raise NotImplementedError
