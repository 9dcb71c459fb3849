"""The names that hosts give to what they make."""

from __future__ import annotations

from types import SimpleNamespace

from tests.tools.jobs.pictures import picture
from tools.jobs.models import models_of
from tools.jobs.sources import source_of
from tools.jobs.warm_host import WarmHost


def test_a_clips_name_in_its_host_is_its_jobs_alone_and_another_one_each_time(tmp_path):
    """It stands in the clip's file, which is to be the same whichever host makes it."""
    picture(tmp_path / "a.png")
    (tmp_path / "rows.csv").write_text("images,prompt\na.png,a\na.png,b\n")
    models = models_of("m.safetensors", None, [], [])
    jobs = list(source_of(tmp_path / "rows.csv", {}).jobs(models))
    one, other = (WarmHost(SimpleNamespace(), tmp_path / name, models, True, tmp_path) for name in "ab")
    first = [one._prefix(job) for job in jobs]
    assert [other._prefix(job) for job in reversed(jobs)] == first[::-1]
    again = [one._prefix(jobs[0]) for _ in range(2)]
    assert len({*first, *again}) == 4, "a host makes nothing of a graph that it has just made"
    one._server.start = lambda: None
    one.restart()
    assert one._prefix(jobs[0]) == first[0]
