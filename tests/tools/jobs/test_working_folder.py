"""Folders of hosts are gone with them, one way or the other."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tools.hosting.environment import SetupError
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


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A system's folder for temporary files, where anyone may write."""
    tmp_path.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.skipif(os.name == "nt", reason="each user has a temporary folder there")
def test_nobody_else_may_write_to_it(temporary):
    old = os.umask(0)
    try:
        with working_folder() as folder:
            assert folder.parent.parent == temporary and folder.parent.stat().st_mode & 0o777 == 0o700
        folder.parent.chmod(0o775)  # as an earlier version left it
        (folder.parent / "left").mkdir()
        (folder.parent / "left/lock").touch()
        with working_folder() as folder:
            assert folder.parent.stat().st_mode & 0o777 == 0o700
            assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    finally:
        os.umask(old)


@pytest.mark.skipif(os.name == "nt", reason="each user has a temporary folder there")
@pytest.mark.parametrize("taken", ["another's", "a link", "a file"])
def test_what_another_user_has_put_there_is_not_used(temporary, monkeypatch, taken):
    uid = os.getuid()
    place = temporary / f"seine-batch-{uid}"
    if taken == "a file":
        place.touch()
    elif taken == "a link":
        (temporary / "elsewhere").mkdir()
        place.symlink_to("elsewhere")
    elif uid == 0:
        place.mkdir(mode=0o777)
        os.chown(place, 65534, 65534)
    else:  # it is this user's, who says to be another
        (temporary / f"seine-batch-{uid + 1}").mkdir()
        monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    with pytest.raises(SetupError, match="not a folder of yours.*set TMPDIR"), working_folder():
        pass
    assert not list((temporary / "elsewhere").glob("*"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only the superuser becomes anyone")
def test_a_user_without_a_name_has_one(open_folder):
    code = """
import os, sys
from tools.jobs.working_folder import working_folder
os.setuid(54321)
with working_folder() as folder:
    print(folder.parent)
"""
    variables = {name: value for name, value in os.environ.items() if name not in ("USER", "LOGNAME", "USERNAME")}
    variables["TMPDIR"] = str(open_folder)
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[3], env=variables, capture_output=True, text=True
    )
    assert ran.stdout.strip() == str(open_folder / "seine-batch-54321"), ran.stderr
