"""H.264 as MP4 and Matroska hold it (ISO/IEC 14496-15): parameter sets apart from the frames, in a record.

Frames of two encoders stand in one file where each has parameter sets with numbers of their own, and the record both.
"""

from __future__ import annotations

import re

PROFILES = {66: "baseline", 77: "main", 100: "high", 110: "high10", 122: "high422", 244: "high444"}
"""By number, those that libx264 writes."""
MOST_ID = 31
"""Of a sequence parameter set."""
_SPS, _PPS = 7, 8
_START = re.compile(b"\0\0\1")


def free_id(record: bytes | None) -> int | None:
    """A number that no parameter set of the record has.

    None where this is no such record (a stream with its parameter sets among the frames), or none can be added.
    """
    if not record or record[0] != 1 or len(record) < 7 or record[1] not in PROFILES:
        return None
    sequences, pictures, _ = _parsed(record)
    if not sequences or not pictures:
        return None
    # Behind the unit's header a sequence parameter set begins with three bytes, a picture's with its number.
    used = {_number(unit[4:]) for unit in sequences} | {_number(unit[1:]) for unit in pictures}
    return next((number for number in range(MOST_ID + 1) if number not in used), None)


def profile(record: bytes) -> str:
    return PROFILES[record[1]]


def with_parameters(record: bytes, annex_b: bytes) -> bytes:
    """The record, with the parameter sets of another stream (its extradata, in Annex B) beside its own."""
    sequences, pictures, rest = _parsed(record)
    added = units(annex_b)
    more = [unit for unit in added if unit[0] & 31 == _SPS]
    level = max(record[3], *(unit[3] for unit in more))
    sequences, pictures = sequences + more, pictures + [unit for unit in added if unit[0] & 31 == _PPS]
    head = record[:3] + bytes([level, record[4], 0xE0 | len(sequences)])
    return head + _listed(sequences) + bytes([len(pictures)]) + _listed(pictures) + rest


def with_lengths(annex_b: bytes, record: bytes) -> bytes:
    """A frame in Annex B as the record's stream has its frames: each unit's length before it, no start codes."""
    size = (record[4] & 3) + 1
    return b"".join(len(unit).to_bytes(size, "big") + unit for unit in units(annex_b))


def units(annex_b: bytes) -> list[bytes]:
    """The units between the start codes."""
    # Zeros before a start code belong to it; a unit never ends with one.
    return [unit.rstrip(b"\0") for unit in _START.split(annex_b)[1:]]


def _parsed(record: bytes) -> tuple[list[bytes], list[bytes], bytes]:
    """Sequence and picture parameter sets, and what stands behind them."""
    sequences, at = _taken(record, 6, record[5] & 31)
    pictures, at = _taken(record, at + 1, record[at])
    return sequences, pictures, record[at:]


def _taken(record: bytes, at: int, count: int) -> tuple[list[bytes], int]:
    taken = []
    for _ in range(count):
        size = int.from_bytes(record[at : at + 2], "big")
        taken.append(record[at + 2 : at + 2 + size])
        at += 2 + size
    return taken, at


def _listed(parameters: list[bytes]) -> bytes:
    return b"".join(len(unit).to_bytes(2, "big") + unit for unit in parameters)


def _number(data: bytes) -> int:
    """The Exp-Golomb code at the start of the data."""
    bits = "".join(f"{byte:08b}" for byte in data[:9])
    zeros = len(bits) - len(bits.lstrip("0"))
    return int(bits[zeros : 2 * zeros + 1] or "1", 2) - 1
