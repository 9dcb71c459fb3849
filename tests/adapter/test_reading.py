"""Files of weights are read as ComfyUI reads its own: by its flags, and where it pages weights in from the files."""

import sys

import pytest

pytestmark = [pytest.mark.one_host, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]


def test_files_are_mapped_as_the_host_was_told_and_let_go(run_in_host):
    found = run_in_host("reading.py")
    # Plain weights are copied into the model, those in eight bits are the file's own; a .pt is read whole.
    assert found["as usual"] == {
        "a bundle": [True, False, False],
        "int8": [True, True, False],
        "a .pt": [False, False, False],
    }
    assert found["--disable-mmap"] == dict.fromkeys(found["as usual"], [False, False, False])
    assert found["--mmap-torch-files"] == found["as usual"] | {"a .pt": [True, False, False]}
    for parts in found["paging"].values():
        assert parts["UNet"] == [True, 0, True], "every weight knows its place in the file"
        assert parts["VAE"] == [True, 1, True], "but for vae_scale, which the host makes"
        assert parts["tidied up"] == 1
