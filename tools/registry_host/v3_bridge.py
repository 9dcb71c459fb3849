"""Turns a pack's V3 nodes into the V1 classes that the 2024 host understands."""

from __future__ import annotations

import asyncio
import inspect
from types import ModuleType
from typing import Any

from comfy_api.v0_0_2 import ComfyExtension, io


def node_mappings(pack: ModuleType) -> tuple[dict[str, type], dict[str, str]]:
    """NODE_CLASS_MAPPINGS and NODE_DISPLAY_NAME_MAPPINGS of a module that has a `comfy_entrypoint`."""

    async def nodes_of_pack() -> list[type[io.ComfyNode]]:
        extension = pack.comfy_entrypoint()
        if inspect.isawaitable(extension):
            extension = await extension
        if not isinstance(extension, ComfyExtension):
            raise TypeError(f"comfy_entrypoint of {pack.__name__} returned {extension!r}, not a ComfyExtension")
        await extension.on_load()
        return await extension.get_node_list()

    classes, names = {}, {}
    for node in asyncio.run(nodes_of_pack()):
        schema = node.define_schema()
        classes[schema.node_id] = v1_class(node)
        names[schema.node_id] = schema.display_name or schema.node_id
    return classes, names


def v1_class(node: type[io.ComfyNode]) -> type:
    """A V1 node class that does what the V3 node does."""
    schema = node.define_schema()

    def input_types(cls: type) -> dict[str, dict[str, tuple]]:
        # Asked anew at every request, so that files which arrived since start-up are among the choices.
        sections: dict[str, dict[str, tuple]] = {"required": {}, "optional": {}}
        for item in node.define_schema().inputs:
            sections["optional" if item.optional else "required"][item.id] = (item.io_type, item.options)
        return sections

    def run(self: Any, **inputs: Any) -> Any:
        output = node.execute(**inputs)
        if not isinstance(output, io.NodeOutput):
            return output
        return {"ui": output.ui, "result": output.args} if output.ui else output.args

    attributes = {
        "INPUT_TYPES": classmethod(input_types),
        "RETURN_TYPES": tuple(output.type_name for output in schema.outputs),
        "RETURN_NAMES": tuple(output.display_name for output in schema.outputs),
        "OUTPUT_IS_LIST": tuple(output.is_output_list for output in schema.outputs),
        "FUNCTION": "run",
        "CATEGORY": schema.category,
        "DESCRIPTION": schema.description,
        "OUTPUT_NODE": schema.is_output_node,
        "run": run,
    }
    # Bound methods of the V3 class, so that the host reads the names of the inputs they take from their signature.
    if hasattr(node, "validate_inputs"):
        attributes["VALIDATE_INPUTS"] = node.validate_inputs
    if hasattr(node, "fingerprint_inputs"):
        attributes["IS_CHANGED"] = node.fingerprint_inputs
    return type(schema.node_id, (), attributes)
