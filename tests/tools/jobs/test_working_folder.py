"""Folders of hosts are gone with them, one way or the other."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.jobs.working_folder import working_folder

HOLD = """
import sys, time
from pathlib import Path
from tools.jobs.working_folder import working_folder
with working_folder(Path(sys.argv[1])) as folder:
    (folder / "weights").write_text("x")
    print(folder, flush=True)
    time.sleep(600)
"""


def test_it_is_removed_at_the_end(tmp_path):
    with pytest.raises(KeyError), working_folder(tmp_path) as folder:
        (folder / "a").touch()
        raise KeyError
    assert not folder.exists()


def test_that_of_a_killed_process_is_removed_by_the_next_and_that_of_a_living_one_stays(tmp_path):
    repository = Path(__file__).parents[3]
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, cwd=repository, stdout=subprocess.PIPE, text=True) as process:
        held = Path(process.stdout.readline().strip())
        with working_folder(tmp_path) as own:
            assert (held / "weights").exists() and own.exists()
        process.kill()
    assert held.exists()
    with working_folder(tmp_path):
        assert not held.exists()
