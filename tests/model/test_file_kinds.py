"""Files that are no checkpoints are named for what they are, before anything of them is loaded."""

import io
import json
import os
import pickle
import resource
import struct
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from seine_model import CheckpointError
from seine_model.base import read_base
from seine_model.reading import read_checkpoint

NOBODY = 65534


def zipped(**contents: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return file.getvalue()


KINDS = {
    "page": (b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>", "a web page"),
    "page behind a mark": (b"\xef\xbb\xbf  <html lang='en'>", "a web page"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3640000000\n", "Git-LFS pointer"),
    "error": (b'{"error":"Repository not found"}', "JSON"),
    "text": (b"Access denied\n", "text (Access denied)"),
    "gguf": (b"GGUF\3\0\0\0" + bytes(64), "a GGUF file"),
    "archive": (zipped(**{"readme.txt": b"hello", "a/b.png": b"x"}), "a zip archive"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(64), "a picture"),
    "video": (b"\0\0\0 ftypisom" + bytes(64), "a video"),
    "gzip": (b"\x1f\x8b\x08" + bytes(64), "unpack it"),
    "zeros": (bytes(4096), "filled with zeros"),
    "nothing": (b"", "empty"),
    "noise": (bytes(range(7, 250)) * 8, "does not begin as"),
}


@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".ckpt"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_file_is_is_said(tmp_path, kind, suffix):
    content, words = KINDS[kind]
    path = tmp_path / ("file" + suffix)
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as error:
        read_checkpoint(path)
    message = str(error.value)
    assert words in message and path.name in message
    assert "weights_only" not in message and "could run code" not in message
    with pytest.raises(CheckpointError, match="base: "):
        read_base(path)


def test_a_file_under_the_other_kind_s_name(tmp_path):
    save_file({"a": torch.zeros(2)}, tmp_path / "really.safetensors")
    (tmp_path / "really.safetensors").rename(tmp_path / "named.pt")
    torch.save({"a": torch.zeros(2)}, tmp_path / "named.safetensors")
    with pytest.raises(CheckpointError, match=r"a \.safetensors file under the name \.pt: rename it"):
        read_checkpoint(tmp_path / "named.pt")
    with pytest.raises(CheckpointError, match=r"zip archive under the name \.safetensors: .* rename it to end in \.pt"):
        read_checkpoint(tmp_path / "named.safetensors")


def test_what_is_no_file(tmp_path):
    (tmp_path / "folder.pt").mkdir()
    os.mkfifo(tmp_path / "pipe.pt")
    for name, words in {"folder.pt": "is a folder", "pipe.pt": "no ordinary file", "a/b.pt": "no such file"}.items():
        with pytest.raises(CheckpointError, match=words):
            read_checkpoint(tmp_path / name)


@contextmanager
def as_nobody():
    """Without the right to read what only its owner may: root reads everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("closed", ["file", "folder"])
def test_a_file_that_may_not_be_read_is_not_called_missing(suffix, closed):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "folder"
        folder.mkdir()
        path = folder / ("seine" + suffix)
        torch.save({}, path)
        os.chmod(name, 0o755)
        os.chmod(path if closed == "file" else folder, 0)
        with as_nobody(), pytest.raises(CheckpointError, match="cannot be read: Permission denied"):
            read_checkpoint(path)
        os.chmod(folder, 0o755)


def table(count: int) -> dict:
    return {f"layer.{i}.weight": torch.zeros(1) for i in range(count)}


def write_bomb(path: Path) -> None:
    torch.save({"a": torch.zeros(4)}, path)
    with zipfile.ZipFile(path) as archive:
        contents = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, bytes(300_000_000) if name.endswith("data/0") else content)


def write_nested(path: Path) -> None:
    nested = b"\x80\x02" + b"]" * 3_000_000 + b"a" * 2_999_999 + b"."
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("seine/data.pkl", nested)


def write_nested_alone(path: Path) -> None:
    path.write_bytes(b"\x80\x02" + b"(" * 6_000_000)


def write_keys(path: Path) -> None:
    header = {f"k{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(200_000)}
    content = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(content)) + content)


def write_pickled_keys(path: Path) -> None:
    path.write_bytes(pickle.dumps({f"k{i}": i for i in range(200_000)}, 2))


def write_zipped_keys(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(30_000):
            archive.writestr(f"seine/data/{i}", b"")


def write_long_header(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 40_000_000) + b"{" + b" " * 40_000_000)


@pytest.mark.parametrize(
    ("write", "suffix"),
    [
        (write_bomb, ".pt"),
        (write_nested, ".pt"),
        (write_nested_alone, ".ckpt"),
        (write_keys, ".safetensors"),
        (write_pickled_keys, ".bin"),
        (write_zipped_keys, ".pth"),
        (write_long_header, ".safetensors"),
    ],
)
def test_what_is_far_too_much_is_refused_before_it_is_read(tmp_path, write, suffix):
    path = tmp_path / ("huge" + suffix)
    write(path)
    before, reached = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, []
    with pytest.raises(CheckpointError, match=r"huge\..* is refused: "):
        read_checkpoint(path, reached.append)
    assert reached == []
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 250_000  # KB


NO_TABLES = {
    "integers for keys": {0: torch.zeros(2), 1: torch.zeros(2)},
    "a list": [torch.zeros(2)],
    "a number": 3,
    "an integer among tensors": {"a": torch.zeros(2), "step": 3},
    "nothing": None,
}


@pytest.mark.parametrize("content", NO_TABLES)
@pytest.mark.parametrize("wrapper", [None, "ema", "state_dict"])
def test_pickles_that_hold_something_else(tmp_path, content, wrapper):
    held = NO_TABLES[content]
    torch.save(held if wrapper is None else {wrapper: held}, tmp_path / "strange.ckpt")
    with pytest.raises(CheckpointError, match=r"strange\.ckpt is not a table of tensors"):
        read_checkpoint(tmp_path / "strange.ckpt")


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(1).expand(10**9),
        torch.eye(3).to_sparse(),
        torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
        torch.empty(3, device="meta"),
    ],
    ids=["larger than the file", "sparse", "quantised", "without values"],
)
def test_tensors_that_are_no_plain_ones(tmp_path, tensor):
    torch.save({"a": tensor}, tmp_path / "strange.pt")
    with pytest.raises(CheckpointError, match=r"strange\.pt(: a is no plain tensor| holds tensors of a kind)"):
        read_checkpoint(tmp_path / "strange.pt")


@pytest.mark.parametrize(
    "content", [b"\x80\x02.", b"\x80\x02h\x07.", b"\x80\x02t.", b"\x80\x04\x8c\xff", b"\x80\x02]a."]
)
def test_corrupt_pickles(tmp_path, content):
    """Each makes the unpickler raise another of IndexError, KeyError, EOFError, struct.error, AssertionError …"""
    (tmp_path / "alone.pt").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "zip.pt", "w") as archive:
        archive.writestr("seine/data.pkl", content)
    for name in ("alone.pt", "zip.pt"):
        with pytest.raises(CheckpointError, match=f"{name} is not a readable PyTorch file .* fetch it again"):
            read_checkpoint(tmp_path / name)


def calls(what: bytes) -> bytes:
    """A pickle that calls a value."""
    return b"\x80\x02" + what + b")R."


@pytest.mark.parametrize(
    "what", [b"]" + b"(" + b"K\x07" * 100_000 + b"e", b"X" + struct.pack("<I", 10**6) + b"x" * 10**6]
)
def test_a_pickle_that_calls_a_value_is_refused_before_it_is_read(tmp_path, what):
    """PyTorch's unpickler puts the value into its message, and looks through that for minutes."""
    (tmp_path / "alone.pt").write_bytes(calls(what))
    with zipfile.ZipFile(tmp_path / "zip.pt", "w") as archive:
        archive.writestr("seine/data.pkl", calls(what))
    for name in ("alone.pt", "zip.pt"):
        reached = []
        with pytest.raises(CheckpointError, match=f"{name} is not a readable PyTorch file"):
            read_checkpoint(tmp_path / name, reached.append)
        assert reached == []


def test_a_name_as_long_as_a_book(tmp_path):
    (tmp_path / "long.pt").write_bytes(b"\x80\x02cbuiltins\n" + b"x" * 10**6 + b"\n.")
    reached = []
    with pytest.raises(CheckpointError, match=r"long\.pt "):
        read_checkpoint(tmp_path / "long.pt", reached.append)
    assert reached == []


@pytest.mark.parametrize("said", [{"seine_config": 3}, {"note": None}, ["a", "b"], "text"])
def test_metadata_that_are_no_text(tmp_path, said):
    """Refused before a reader sees them: not every reader looks at them."""
    content = json.dumps({"__metadata__": said}).encode()
    path = tmp_path / "odd.safetensors"
    path.write_bytes(struct.pack("<Q", len(content)) + content)
    with pytest.raises(CheckpointError, match="is not a readable .safetensors file .its .* is no "):
        read_checkpoint(path, read=lambda path: ({}, said))


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt"])
def test_another_reader_sees_only_files_that_were_looked_at(tmp_path, name):
    wanted, seen = {"a": torch.ones(2)}, []

    def read(path):
        seen.append(path.name)
        return wanted, None

    with pytest.raises(CheckpointError, match="Git-LFS pointer"):
        (tmp_path / name).write_bytes(b"version https://git-lfs.github.com/spec/v1")
        read_checkpoint(tmp_path / name, read)
    assert seen == []
    save_file({"b": torch.zeros(2)}, tmp_path / "weights.safetensors")
    torch.save({"b": torch.zeros(2)}, tmp_path / "weights.pt")
    tensors, facts = read_checkpoint(tmp_path / name, read)
    assert (seen, list(tensors), facts) == ([name], ["a"], {})
