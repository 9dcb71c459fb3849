"""Faults of the store of finished windows: nothing is lost, nothing wrong is taken, and a film never fails for it."""

import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes, links and forks of the POSIX kind")


@pytest.fixture(scope="module")
def report(run_in_host):
    return run_in_host("window_store.py")


def test_what_is_not_the_whole_window_is_not_taken(report):
    assert {name: answers for name, answers in report["there"].items() if answers != ["the window", "nothing"]} == {}
    assert len(report["there"]) == 11


@pytest.mark.parametrize("name", ["a file in its place", "a link to nowhere", "a full disk"])
def test_a_store_that_cannot_be_written_is_warned_of_once(report, name):
    answer, warnings = report["store"][name]
    assert answer == "nothing" and 1 <= warnings <= 2, "once for reading, once for writing"


def test_times_that_cannot_be_set_change_nothing(report):
    assert report["store"]["no times"] == ["the window", 0]


def test_dates_in_the_future_do_not_push_out_what_is_new(report):
    assert report["after a clock that was wrong"] == "the window"


def test_only_old_parts_are_removed(report):
    assert report["parts"] == ["new.part"]


def test_servers_that_share_a_store_and_prune_it_do_not_fail(report):
    assert report["servers"] == [0, 0, 0]
