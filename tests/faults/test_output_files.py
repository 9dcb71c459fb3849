"""What is saved is whole or not there, and the words say why."""

import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits of the POSIX kind")


@pytest.fixture(scope="module")
def report(run_in_host):
    return run_in_host("output_files.py")


def test_a_disk_that_becomes_full_leaves_no_half_file(report):
    said, left = report["GIF, full disk"]
    assert left == []
    assert "filename_prefix: full_00001_.gif could not be written" in said and "free space" in said
    said, left = report["video, full disk"]
    assert left == [] and said.startswith("OSError: full.mp4 could not be written") and "free space" in said
    assert report["bytes"][0] > 10_000 and report["bytes"][1] > 100_000, "there was not room enough"


@pytest.mark.parametrize("kind", ["GIF", "video"])
def test_a_cancelled_run_leaves_no_half_file(report, kind):
    said, left = report[f"{kind}, cancelled"]
    assert said.startswith("InterruptProcessingException") and left == []
    assert report["frames until then"] == 4, "not all frames come first"


def test_folders_that_cannot_be(report):
    said, left = report["GIF, a file for a folder"]
    assert said.startswith("ValueError: filename_prefix: ") and left == []
    said, left = report["GIF, outside"]
    assert said.startswith("ValueError: filename_prefix: ") and "outside of the output folder" in said and left == []


def test_the_next_ones_are_there(report):
    assert report["GIF"] == ["done", ["clips/whole_00001_.gif"]]
    assert report["video"] == ["done", ["clips/whole.mp4"]]
