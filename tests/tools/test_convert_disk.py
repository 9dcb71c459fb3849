"""tools/convert_checkpoint.py: room on the disk and in memory."""

import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple

import pytest
import torch

from seine_model import SeineConfig, SeineUNet3D, conversion
from seine_model.temporal import rotary_frequencies
from tests.tools.converting import REPOSITORY, refused, write_source


@pytest.fixture(scope="module")
def seine(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("source"))


def test_too_little_room_is_known_beforehand(tmp_path, capsys, seine, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 1000, 1000))
    assert "make room" in refused(capsys, seine, tmp_path / "out.safetensors")
    assert os.listdir(tmp_path) == []


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
sys.path.insert(0, sys.argv[1])
from tools.convert_checkpoint import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files the POSIX way")
def test_a_disk_that_fills_up_leaves_nothing_behind(tmp_path, seine):
    target = tmp_path / "out.safetensors"
    arguments = [REPOSITORY, seine, target, "--config", seine.parent / "config.json"]
    result = subprocess.run(
        [sys.executable, "-c", LIMITED, *map(str, arguments)], check=False, capture_output=True, text=True
    )
    assert result.returncode == 1
    message = result.stderr.splitlines()[-1]
    assert message.startswith("error: out.safetensors could not be written (File too large): free space on its disk")
    assert os.listdir(tmp_path) == []


STOPPED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
# What a shell starts in the background ignores it, and so does what that starts in turn.
signal.signal(signal.SIGINT, signal.default_int_handler)
from seine_model import conversion
from tools.convert_checkpoint import main
write, where = conversion._write, sys.argv[2]

def write_and_stop(path, *arguments):
    write(path, *arguments)
    print(*os.listdir(path.parent))
    os.kill(os.getpid(), getattr(signal, where))

conversion._write = write_and_stop
sys.exit(main(sys.argv[3:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="ends it the POSIX way")
@pytest.mark.parametrize("how", ["SIGTERM", "SIGHUP", "SIGINT", "SIGKILL"])
def test_a_run_that_is_ended_leaves_nothing_a_loader_lists(tmp_path, seine, how):
    command = [sys.executable, "-c", STOPPED, REPOSITORY, how, seine, tmp_path / "out.safetensors"]
    command += ["--config", seine.parent / "config.json"]

    def as_usual():  # also where the tests themselves were started by nohup
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)

    result = subprocess.run([*map(str, command)], check=False, capture_output=True, text=True, preexec_fn=as_usual)
    while_writing, left = result.stdout.split(), os.listdir(tmp_path)
    assert len(while_writing) == 1
    assert all(name.endswith(".part") for name in while_writing)
    if how == "SIGKILL":
        assert left == while_writing
    else:
        assert (result.returncode, left) == (130, [])
        assert "stopped; nothing was written" in result.stderr and "Traceback" not in result.stderr


IGNORING = """
import signal, subprocess, sys
signal.signal(getattr(signal, sys.argv[1]), signal.SIG_IGN)
sys.exit(subprocess.run(sys.argv[2:], check=False).returncode)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="ignores it the POSIX way")
@pytest.mark.parametrize("how", ["SIGHUP", "SIGTERM"])
def test_a_signal_that_it_was_started_to_ignore_does_not_end_it(tmp_path, seine, how):
    """As nohup does with SIGHUP."""
    command = [sys.executable, "-c", IGNORING, how, sys.executable, "-c", STOPPED, REPOSITORY, how]
    command += [seine, tmp_path / "out.safetensors", "--config", seine.parent / "config.json"]
    result = subprocess.run([*map(str, command)], check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert os.listdir(tmp_path) == ["out.safetensors"] and "Verified" in result.stdout


def test_what_was_written_wrongly_is_found(tmp_path, capsys, seine, monkeypatch):
    write = conversion._write

    def write_and_damage(path, *arguments):
        write(path, *arguments)
        with path.open("r+b") as file:
            file.seek(-4, os.SEEK_END)
            file.write(b"\x00\x3c\x00\x3c")

    monkeypatch.setattr(conversion, "_write", write_and_damage)
    assert "reads back with other values" in refused(capsys, seine, tmp_path / "out.safetensors")
    assert os.listdir(tmp_path) == []


MEASURED = """
import sys
sys.path.insert(0, sys.argv[1])
from tools.convert_checkpoint import main

def peak():
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))

before = peak()
status = main(sys.argv[2:])
print("growth", peak() - before)
sys.exit(status)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_peak_memory_is_about_one_copy(tmp_path, dtype):
    config = SeineConfig(block_out_channels=(128, 224, 320, 320), attention_head_dim=4)
    generator = torch.Generator().manual_seed(1)
    weights = {
        key: rotary_frequencies() if key.endswith("freqs") else torch.randn(value.shape, generator=generator)
        for key, value in SeineUNet3D(config, device="meta").state_dict().items()
    }
    copy = sum(value.nbytes for value in weights.values())
    largest = max(value.nbytes for value in weights.values())
    assert copy > 2.5e8
    torch.save({"ema": weights}, tmp_path / "seine.pt")
    del weights
    command = [sys.executable, "-c", MEASURED, REPOSITORY, tmp_path / "seine.pt", tmp_path / "out.safetensors"]
    result = subprocess.run([*map(str, command), "--dtype", dtype], check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    growth = int(result.stdout.split("growth")[1])
    # The mapped input, a batch of the output being compared, and what several tensors at work and the threads' heaps
    # take, which differs from run to run by some MB; a second copy would make it 2.0.
    assert copy + conversion._BATCH + 6 * largest < 1.3 * copy
    assert growth < 1.5 * copy
