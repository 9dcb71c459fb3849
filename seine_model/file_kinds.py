"""What a file is, by its first bytes and its table of contents: known before anything of it is loaded."""

from __future__ import annotations

import json
import os
import stat
import zipfile
from pathlib import Path
from typing import BinaryIO

from .pickle_scan import MOST_STEPS, TooManySteps, looked_up_names

SAFETENSORS_SUFFIXES = (".safetensors", ".sft")

MOST_TENSORS = 20_000
"""A bundle with all parts has 1,300; a training state of a few copies less than this."""
MOST_CONTENTS = 2**24
"""Bytes of a table of contents; that of 1,300 tensors takes 0.2 MB."""

DAMAGED = "It is damaged or was not downloaded completely: fetch it again."

_HEAD = 512
_OLD_FORMAT = 5
"""PyTorch's old format is so many pickles before the weights."""
_PLAIN = ("torch.", "collections.OrderedDict")
"""How names begin that a pickled table of tensors looks up."""
_SMALLEST_ZIP_END, _LONGEST_ZIP_COMMENT = 22, 2**16
_MAGIC = {
    b"version https://git-lfs": "a Git-LFS pointer, a note of where the file is: run git lfs pull, or download "
    "the file itself",
    b"GGUF": "a GGUF file, which other programs use. Use a .safetensors or .pt file",
    b"\x1f\x8b": "a gzip archive: unpack it",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive: unpack it",
    b"Rar!": "a RAR archive: unpack it",
    b"BZh": "a bzip2 archive: unpack it",
    b"\xfd7zXZ": "an xz archive: unpack it",
    b"\x28\xb5\x2f\xfd": "a zstd archive: unpack it",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"RIFF": "a picture, a sound or a video",
    b"\x89HDF": "an HDF5 file, such as Keras writes",
    b"\x93NUMPY": "a NumPy array",
}
_PAGE = (b"<!doctype", b"<html", b"<head", b"<body", b"<?xml", b"<!--", b"<script")


class CheckpointError(ValueError):
    """A file that is not a usable SEINE checkpoint; the message says what it is and what to do."""


def refuse_other_files(path: Path) -> list[str]:
    """The Python names that unpickling the file would look up; none for .safetensors.

    Raises CheckpointError for a file that is not there, cannot be read, is of another kind than its name says, is
    incomplete, or has a table of contents far larger than a checkpoint's. Reads only its head and table of contents.
    """
    try:
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            raise CheckpointError(f"{path} is a folder: choose a file")
        if not stat.S_ISREG(found.st_mode):
            raise CheckpointError(f"{path} is no ordinary file: choose a .safetensors or .pt file")
        with open(path, "rb") as file:
            return _refuse_content(path, file, found.st_size)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CheckpointError(f"{path}: there is no such file: choose another") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CheckpointError(
            f"{path.name} cannot be read: {reason} ({path}). Check its permissions and the disk it is on."
        ) from error


def _refuse_content(path: Path, file: BinaryIO, size: int) -> list[str]:
    head = file.read(_HEAD)
    kind = kind_of(head)
    named_safetensors = path.suffix.lower() in SAFETENSORS_SUFFIXES
    if kind == "safetensors" and named_safetensors:
        _check_safetensors(path, file, size)
        return []
    if kind in ("zip", "pickle") and not named_safetensors:
        return _check_zip(path, file, size) if kind == "zip" else _pickle_names(path, file, 0, size, _OLD_FORMAT)
    if kind == "safetensors":
        kind = f"a .safetensors file under the name {path.suffix or path.name}: rename it to end in .safetensors"
    elif kind in ("zip", "pickle"):
        kind = f"a {'zip archive' if kind == 'zip' else 'Python pickle'} under the name {path.suffix}: "
        kind += "if it is a PyTorch file, rename it to end in .pt"
    elif kind == "unknown":
        wanted = "a .safetensors" if named_safetensors else "a PyTorch"
        raise CheckpointError(f"{path.name} cannot be read: it does not begin as {wanted} file does. {DAMAGED}")
    raise CheckpointError(f"{path.name} cannot be read: it is {kind}. Choose a checkpoint, .safetensors or .pt.")


def kind_of(head: bytes) -> str:
    """ "safetensors", "zip", "pickle", "unknown", or words for what else begins like this."""
    if not head.strip(b"\0"):
        return f"{'filled with zeros' if head else 'empty'}. {DAMAGED[:-1]}"
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return "zip"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**32:
        return "safetensors"
    if head[:1] == b"\x80" and head[1:2] in (b"\0", b"\1", b"\2", b"\3", b"\4", b"\5"):
        return "pickle"
    if head[4:8] == b"ftyp":
        return "a video"
    if head[257:262] == b"ustar":
        return "a tar archive: unpack it"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.lower().startswith(_PAGE):
        return "a web page, not the file itself: download the file, logged in where the site asks for it"
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        words = text[:60].decode("ascii").split("\n")[0].strip()
        what = "JSON, perhaps a server's error message" if text.startswith((b"{", b"[")) else "text"
        return f"{what} ({words}), not the file itself: fetch it again"
    return "unknown"


def _check_safetensors(path: Path, file: BinaryIO, size: int) -> None:
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if length > size - 8:
        raise CheckpointError(f"{path.name} is not a readable .safetensors file (it ends too early). {DAMAGED}")
    if length > MOST_CONTENTS:
        raise _too_much(path, f"its table of contents alone is {length / 1e6:.0f} MB")
    try:
        header = json.loads(file.read(length))
        metadata = header.get("__metadata__") or {}
        texts = all(isinstance(value, str) for value in metadata.values())
    except (ValueError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{path.name} is not a readable .safetensors file (its table of contents is no JSON). {DAMAGED}"
        ) from error
    if not texts:
        raise CheckpointError(f"{path.name} is not a readable .safetensors file (its metadata is no text). {DAMAGED}")
    if len(header) > MOST_TENSORS:
        raise _too_much(path, f"it lists {len(header)} tensors")


def _check_zip(path: Path, file: BinaryIO, size: int) -> list[str]:
    damaged = CheckpointError(f"{path.name} is not a readable PyTorch file (its zip archive is broken). {DAMAGED}")
    file.seek(max(0, size - _SMALLEST_ZIP_END - _LONGEST_ZIP_COMMENT))
    tail = file.read()
    end = tail.rfind(b"PK\5\6")
    if end < 0 or len(tail) < end + _SMALLEST_ZIP_END:
        raise damaged
    entries = int.from_bytes(tail[end + 10 : end + 12], "little")
    if entries > MOST_TENSORS:
        raise _too_much(path, f"it is a zip archive of {entries} or more files")
    try:
        archive = zipfile.ZipFile(file)
    except Exception as error:  # damaged bytes can raise anything in the parser
        raise damaged from error
    with archive:
        contents = archive.infolist()
        pickles = [entry for entry in contents if entry.filename.split("/")[1:] == ["data.pkl"]]
        if len(pickles) != 1:
            names = ", ".join(entry.filename[:40] for entry in contents[:3]) or "nothing"
            raise CheckpointError(
                f"{path.name} cannot be read: it is a zip archive of something else ({names}). Unpack it, or fetch the "
                "file that the model's page names."
            )
        unpacked = sum(entry.file_size for entry in contents)
        if unpacked > size or any(entry.compress_type != zipfile.ZIP_STORED for entry in contents):
            raise CheckpointError(
                f"{path.name} is refused: it is {size / 1e6:.1f} MB, its parts are said to be {unpacked / 1e6:.1f} MB "
                "unpacked, and PyTorch packs nothing. Fetch it from where it was published, or use a .safetensors file."
            )
        if any(entry.filename.split("/")[1:] == ["constants.pkl"] for entry in contents):
            raise CheckpointError(
                f"{path.name} cannot be read: it is a TorchScript program, not a table of tensors. Choose a "
                ".safetensors file, or the published seine.pt."
            )
        try:
            # The local header, 30 bytes, names the entry and an extra field before the data.
            file.seek(pickles[0].header_offset)
            local = file.read(30)
            start = pickles[0].header_offset + 30 + sum(int.from_bytes(local[i : i + 2], "little") for i in (26, 28))
        except (OSError, ValueError) as error:
            raise damaged from error
        return _pickle_names(path, file, start, pickles[0].file_size, 1)


def _pickle_names(path: Path, file: BinaryIO, start: int, size: int, pickles: int) -> list[str]:
    """Names that unpickling up to so many pickles, one after the other from `start` on, would look up."""
    file.seek(start)
    content = file.read(min(size, MOST_CONTENTS))
    try:
        names, whole = looked_up_names(content, pickles)
    except TooManySteps as error:
        raise _too_much(path, f"its pickle takes more than {MOST_STEPS} steps") from error
    if whole:
        return names
    if len(content) == MOST_CONTENTS:
        raise _too_much(path, f"its pickle is longer than {MOST_CONTENTS / 1e6:.0f} MB")
    refuse_foreign_names(path, names)
    raise CheckpointError(f"{path.name} is not a readable PyTorch file (its pickle is broken). {DAMAGED}")


def refuse_foreign_names(path: Path, names: list[str]) -> None:
    """CheckpointError where unpickling would look up what no table of tensors does."""
    foreign = [name for name in dict.fromkeys(names) if not name.startswith(_PLAIN)]
    if foreign:
        more = f" and {len(foreign) - 3} more" if len(foreign) > 3 else ""
        raise CheckpointError(
            f"{path.name} holds more than plain tensors and is refused, since loading it could run code. Use a "
            ".safetensors file; of SEINE itself, the published seine.pt will do too. (It wants "
            f"{', '.join(name[:60] for name in foreign[:3])}{more}.)"
        )


def _too_much(path: Path, what: str) -> CheckpointError:
    return CheckpointError(
        f"{path.name} is refused: {what}, a SEINE checkpoint has 830 tensors and a bundle about 1,300. Choose the "
        "published seine.pt or a conversion."
    )
