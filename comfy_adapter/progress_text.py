"""A line of text on the node that is running."""

from __future__ import annotations

from comfy_execution.utils import get_executing_context
from server import PromptServer


def show_progress_text(text: str) -> None:
    """Where a server runs the graph; nothing happens elsewhere."""
    instance, context = getattr(PromptServer, "instance", None), get_executing_context()
    if instance is not None and context is not None:
        instance.send_progress_text(text, context.node_id)
