"""An encoder leaves the process its place among others."""

import os
from fractions import Fraction

import av
import pytest

from comfy_adapter.video_files.priority import kept_priority


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="Linux alone says how a process is scheduled")
def test_the_process_is_scheduled_as_before_an_av1_encoder_was_opened():
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    context = av.CodecContext.create("libsvtav1", "w")
    context.width, context.height, context.pix_fmt, context.time_base = 64, 64, "yuv420p", Fraction(1, 8)
    with kept_priority():
        context.open()
    assert (os.sched_getscheduler(0), os.sched_getparam(0)) == before
