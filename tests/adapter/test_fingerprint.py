"""Fingerprints, by which finished windows are found again."""

import pytest


@pytest.fixture(scope="module")
def facts(run_in_host):
    return run_in_host("fingerprints.py")


def test_equal_values_have_one_fingerprint_and_others_another(facts):
    assert {name: found for name, found in facts["as they should be"].items() if found != [True, True, False]} == {}


def test_an_object_that_cannot_be_looked_into_has_none(facts):
    assert facts["unknown"] == [None, None]


def test_a_function_that_waits_for_a_value_is_known(facts):
    assert facts["empty cell"]


def test_a_network_is_read_once_for_a_film(facts):
    assert facts["one film"] == [True, 1]
