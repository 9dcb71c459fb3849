"""What a pickle would do, known without doing it: its steps are walked through with kinds instead of values."""

from __future__ import annotations

import io
import pickletools
from collections.abc import Iterator

MOST_STEPS = 300_000
"""A table of tensors takes about 25 for each; a second or two to go through."""

_LONGEST_NAME = 200
_MARK, _VALUE = "mark", "value"
_NAME = "name:"
"""Kinds on the stack: a mark, a name that was looked up, anything else."""
_CALLS = {"REDUCE", "NEWOBJ", "NEWOBJ_EX"}


class TooManySteps(Exception):
    """The pickle is none of a table of tensors of any size."""


def looked_up_names(content: bytes, pickles: int) -> tuple[list[str], bool]:
    """Names that unpickling up to so many pickles, one after the other, looks up, and whether they are whole.

    Pickles that call what is no name count as broken: PyTorch's unpickler refuses them too, but shows all of the value
    in a message that it then searches for minutes. Raises TooManySteps.
    """
    stream, names, steps = io.BytesIO(content), [], 0
    try:
        for _ in range(pickles):
            for name in _walk(stream):
                steps += 1
                if steps > MOST_STEPS:
                    raise TooManySteps
                if name:
                    names.append(name)
            if stream.tell() >= len(content):
                break
    except TooManySteps:
        raise
    except Exception:  # damaged bytes can raise anything in the parser
        return names, False
    return names, True


def _walk(stream: io.BytesIO) -> Iterator[str | None]:
    """For each step of one pickle, the name that it looks up, if any. Raises ValueError for what cannot be."""
    stack: list[str] = []
    memo: dict[int, str] = {}
    texts: list[str] = []
    for opcode, value, _position in pickletools.genops(stream):
        name = None
        if opcode.name == "GLOBAL":
            name = str(value).replace(" ", ".")
        elif opcode.name == "STACK_GLOBAL":
            name = ".".join(texts[-2:])
        elif isinstance(value, str):
            texts = [*texts[-1:], value]
        if name is not None and len(name) > _LONGEST_NAME:
            raise ValueError(f"a name of {len(name)} letters")
        _step(opcode, value, stack, memo, name)
        yield name


def _step(
    opcode: pickletools.OpcodeInfo, value: object, stack: list[str], memo: dict[int, str], name: str | None
) -> None:
    """What one step makes of the stack. Raises ValueError, IndexError or KeyError where it cannot be done."""
    if opcode.name in _CALLS:
        called = stack[-3 if opcode.name == "NEWOBJ_EX" else -2]
        if not called.startswith(_NAME):
            raise ValueError("something is called that is no name")
    if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT"):
        memo[int(value)] = stack[-1]
    elif opcode.name == "MEMOIZE":
        memo[len(memo)] = stack[-1]
    elif opcode.name in ("GET", "BINGET", "LONG_BINGET"):
        stack.append(memo[int(value)])
    else:
        below = len(opcode.stack_before)
        if pickletools.markobject in opcode.stack_before:
            below = opcode.stack_before.index(pickletools.markobject)
            while stack.pop() != _MARK:
                pass
        if below > len(stack):
            raise ValueError("the stack is empty")
        del stack[len(stack) - below :]
        if name is not None:
            stack.append(_NAME + name)
        elif opcode.name == "MARK":
            stack.append(_MARK)
        else:
            stack += [_VALUE] * len(opcode.stack_after)
