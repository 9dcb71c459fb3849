"""A line of text on the node that is running."""

from __future__ import annotations

import logging

from comfy_execution.utils import get_executing_context
from server import PromptServer


def notice(text: str) -> None:
    """Say it on the node that is running, and in the log."""
    logging.warning(text)
    show_progress_text(text)


def show_progress_text(text: str) -> None:
    """Where a server runs the graph; nothing happens elsewhere."""
    instance, context = getattr(PromptServer, "instance", None), get_executing_context()
    if instance is not None and context is not None:
        instance.send_progress_text(text, context.node_id)
