"""A line of text on the node that is running, where the host shows one."""

from __future__ import annotations

import server

try:
    from comfy_execution.utils import get_executing_context
except ImportError:  # hosts before 2025
    get_executing_context = None


def show_progress_text(text: str) -> None:
    instance = getattr(server.PromptServer, "instance", None)
    context = get_executing_context() if get_executing_context else None
    if context is not None and hasattr(instance, "send_progress_text"):
        instance.send_progress_text(text, context.node_id)
