"""Fingerprints, by which finished windows are found again."""


def test_equal_values_have_one_fingerprint_and_others_another(run_in_host):
    found = run_in_host("fingerprints.py")
    assert all(equal == [True, False] for equal in found["equal"].values()), found["equal"]
    assert not found["unknown"], "an object that cannot be looked into is never taken for another"
