"""A user's own video, continued: what was in it stays as it is, and no more of it is decoded than is needed."""

from pathlib import Path

import av
import numpy as np
import pytest

from tests.videos import (
    RATE,
    begun_late,
    compared,
    frames,
    loudness,
    made,
    packets,
    shortened,
    turned,
    with_sound_and_words,
)

pytestmark = pytest.mark.one_host  # it is all ours, and PyAV is the same in all hosts
NEW = 5
LONG, SIDE, GROUP = 2000, 256, 50
LOOKS = {
    "plain": {"sound": True},
    "ten bits": {"pixels": "yuv420p10le", "space": 1},
    "full range": {"pixels": "yuvj420p", "space": 5, "full": True},
    "baseline": {"options": {"profile": "baseline", "g": "10"}},
    "open groups": {"options": {"g": "10", "x264-params": "open-gop=1:bframes=3"}},
    "varying": {"times": lambda number: number * 33 + 15 * (number % 2)},
    "av1": {"codec": "libsvtav1", "frames": 20},
}
"""Kinds of files whose packets are copied."""
_VP9 = {"codec": "libvpx-vp9", "container": "webm", "frames": 12}
OTHERS = {
    "in avi": {"container": "avi"},
    "vp9": _VP9,
    "vp9 in BT.709": _VP9 | {"space": 1, "matrix_alone": True},
    "vp9 in SMPTE 240M": _VP9 | {"space": 7, "matrix_alone": True},
}
"""Kinds that are re-encoded."""


class Files:
    """The files before and after, and what is known of both."""

    def __init__(self, run_in_host, place: Path):
        self.place = place
        self.sources = {name: made(place / f"{name}.mp4", **look) for name, look in LOOKS.items()}
        self.sources["turned"] = turned(made(place / "turned.mp4"))
        self.sources["from mkv"] = made(place / "from mkv.mkv", sound=True)
        self.sources["matrix alone"] = made(place / "matrix alone.mp4", space=1, matrix_alone=True)
        self.sources["words"] = with_sound_and_words(place / "words.mkv")
        self.others = {name: made(place / name, **look) for name, look in OTHERS.items()}
        self.others["shortened"] = shortened(made(place / "shortened.mp4"), 25 / 40)
        groups = {"g": "10", "x264-params": "open-gop=1:bframes=3:scenecut=0"}
        self.others["begun late"] = begun_late(made(place / "whole.mkv", options=groups), place / "begun late.mkv")
        self.joins = [
            (name, before, str(place / f"joined {name} {before}.mp4"), "mp4")
            for name in [*self.sources, *self.others]
            for before in (False, True)
        ]
        self.joins += [
            (name, before, str(place / f"joined {name} {before}.mkv"), "matroska")
            for name in ("plain", "words")
            for before in (False, True)
        ]
        arguments = [
            [(self.sources | self.others)[name], target, before, kind] for name, before, target, kind in self.joins
        ]
        options = {"preset": "ultrafast", "g": str(GROUP)}
        self.short, self.long = (
            made(place / f"{length} frames.mp4", length, SIDE, SIDE, options=options, sound=True)
            for length in (2 * GROUP, LONG)
        )
        self.report = run_in_host(
            "video_files.py",
            joins=arguments,
            plain=self.sources["plain"],
            phone=self.sources["turned"],
            others=self.others,
            wrong=self.wrong(),
            lengths=[self.short, self.long],
            folder=str(place),
            new=NEW,
        )

    def wrong(self) -> dict[str, str]:
        place = self.place
        (place / "text.mp4").write_text("no video")
        with av.open(str(place / "sound.m4a"), "w", "mp4") as output:
            sound = output.add_stream("aac", rate=8000, layout="mono")
            heard = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
            heard.sample_rate, heard.pts = 8000, 0
            output.mux([*sound.encode(heard), *sound.encode()])
        return {
            "short": made(place / "short.mp4", frames=2),
            "odd": made(place / "odd.avi", codec="ffv1", width=49, pixels="yuv444p", frames=4),
            "text": str(place / "text.mp4"),
            "sound": str(place / "sound.m4a"),
            "gone": str(place / "gone.mp4"),
        }

    def written(self, name: str) -> str:
        return str(self.place / name)


@pytest.fixture(scope="module")
def files(run_in_host, tmp_path_factory):
    return Files(run_in_host, tmp_path_factory.mktemp("videos"))


def test_new_frames_stand_beside_packets_that_are_copied(files):
    for (name, before, target, _), facts in zip(files.joins, files.report["joins"], strict=True):
        if name in files.others:
            assert facts == {"joined": False}, name
            continue
        assert facts == {"joined": True, "same look": True, "seeks": True}, name
        source = files.sources[name]
        result, rate = compared(source, target, before), 1 / float(av.open(source).streams.video[0].average_rate)
        assert result["kept"] == {"video": True, "audio": True}, name
        assert result["old equal"] and result["frames"][1] == NEW, name
        tolerance = 0.006 if name == "varying" else 0.0011  # Matroska counts milliseconds
        if name != "varying":
            assert result["same rate"], name
        assert result["steps"][1 - before : NEW - before] == pytest.approx([rate] * (NEW - 1), abs=tolerance), name
        assert result["difference"] < 2.5, f"{name}: the same picture, encoded in the file's own colours"
        assert result["turned"] == ([-90] if name == "turned" else [0])
        metadata = {key.lower(): value for key, value in result["metadata"].items()}
        assert metadata["prompt"] == '{"a": 1}', "what the host says of the run"


def test_subtitles_stay_with_their_own_frames(files):
    for before in (False, True):
        with av.open(files.written(f"joined words {before}.mkv")) as container:
            subtitles = container.streams.subtitles[0]
            spoken = [float(each.pts * each.time_base) for each in container.demux(subtitles) if each.size]
            assert [subtitles.metadata["language"], container.streams.audio[0].metadata["language"]] == ["fra", "fra"]
        assert spoken == [pytest.approx(0.2 + before * NEW / RATE, abs=0.001)]


@pytest.mark.parametrize("direction", ["after", "before", "loop"])
def test_the_node_adds_frames_and_keeps_what_there_is(files, direction):
    source, result = files.sources["plain"], files.written(f"{direction}.mp4")
    facts = compared(source, result, direction == "before")
    assert facts["kept"] == {"video": True, "audio": True} and facts["old equal"]
    assert facts["frames"] == [40, NEW] and facts["same rate"] and facts["size"] == [64, 48]
    assert files.report[direction] == [40 + NEW, pytest.approx((40 + NEW) / RATE), "25"]
    assert facts["seconds"] == pytest.approx((40 + NEW) / RATE, abs=0.001)
    assert facts["metadata"]["prompt"] == '{"b": 2}'
    heard = (40 + NEW if direction == "before" else 40) / RATE
    assert facts["sound"] == [pytest.approx(heard, abs=0.001)], "it stays with its own frames"
    if direction == "before":
        assert loudness(result, NEW / RATE) < 0.05 < 0.9 < loudness(result, 1.0)


def test_it_is_a_video_like_others(files):
    images, sound, rate = files.report["components"]
    assert images == [40 + NEW, 48, 64, 3]
    assert sound[-1] / rate == pytest.approx((40 + NEW) / RATE, abs=0.03) and files.report["silence"] == 0
    assert files.report["trimmed"] == 10
    assert len(frames(files.written("in memory.mp4"))) == 40 + NEW
    assert len(frames(files.written("twice.mp4"))) == 40 + 2 * NEW, "extended, and extended again"


def test_a_turned_video_is_continued_upright(files):
    facts = compared(files.sources["turned"], files.written("phone.mp4"), False)
    assert files.report["phone"] == [40 + NEW, 64, 48, 3] and facts["turned"] == [-90]
    assert facts["kept"]["video"]


def test_what_cannot_be_copied_is_re_encoded(files):
    for name, source in files.others.items():
        for before in (False, True):
            facts = compared(source, files.written(f"re-encoded {name} {before}.mp4"), before)
            assert facts["codec"] == "h264", name
            if name == "in avi":  # it has no times, and the host leaves out some of its last frames
                continue
            shown = {"shortened": 25, "begun late": len(frames(source))}.get(name, 12)
            assert facts["same rate"] and facts["frames"] == [shown, NEW], name
            assert max(facts["difference"], facts["old difference"]) < 2, f"{name}: no step in its colours"
    assert len(frames(files.written("cut.mp4"))) == 20 + NEW, "0.8 s of the file"
    assert len(frames(files.written("drawn.mp4"))) == 6 + NEW, "of a video that is no file"
    assert len(frames(files.written("small.mp4"))) == 40 + NEW
    assert packets(files.written("small.mp4"), "video")[0] != packets(files.sources["plain"], "video")[0]


def test_nothing_is_left_behind(files):
    assert files.report["left over"] == files.report["in temp"] == []


def test_a_long_file_costs_no_more_than_a_short_one(files):
    facts = files.report["long"]
    while_making, in_all = facts["decoded"]
    assert while_making <= GROUP + 3 and in_all <= while_making + 1
    frames_in_memory = LONG * SIDE**2 * 1.5 / 2**20
    assert facts["grown"] < 0.25 * frames_in_memory
    for kind in ("video", "audio"):
        known = packets(files.long, kind)
        assert packets(files.written("long.mp4"), kind)[: len(known)] == known
    with av.open(files.written("long.mp4")) as container:
        assert container.streams.video[0].frames == LONG + NEW


def test_what_is_wrong_is_said(files):
    errors = files.report["errors"]
    assert errors["short"] == errors["short loop"]
    assert errors["short"].startswith("overlap is 3, but the video has 2 frames: lower overlap")
    assert errors["odd"].startswith("video: it is 49x48, and a video file with an odd side")
    assert errors["text"].startswith("video: the file cannot be read (")
    assert errors["gone"].startswith("video: the file cannot be read (")
    assert errors["sound"].startswith("video: there is no picture in the file")
    assert errors["none"] == "video: there is no video in it (int): wire in Load Video"
