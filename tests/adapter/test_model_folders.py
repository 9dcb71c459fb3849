"""Model folders as they are on real disks."""

import os
import tempfile

from tools.hosting.model_files import SMALL_LORA


def test_folders_that_may_not_be_read_are_left_out(run_in_host):
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is its owner's alone
        os.chmod(folder, 0o755)
        found = run_in_host("model_folders.py", folder=folder)
    assert "sd" in found["bases"] and "bundled" in found["bases"]
    assert not {"lost+found", "other", "a file"} & set(found["bases"])
    assert found["nodes"] > 10
    assert found["loras"] == [SMALL_LORA]
