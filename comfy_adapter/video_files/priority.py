"""The process's place among others, which encoders may take for more than theirs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_priority() -> Iterator[None]:
    """Give the calling thread its scheduling back.

    SVT-AV1 in a process of root, as in a container, makes the thread that opens it a real-time one of the highest
    priority, and so all that it starts later: two busy threads of such then leave the machine to nobody else.
    """
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            os.sched_setscheduler(0, policy, parameters)
