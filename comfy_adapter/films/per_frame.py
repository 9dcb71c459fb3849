"""What a prompt holds for each frame of a film (embeddings, hints of a ControlNet), for the frames of one window."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ...seine_model.inputs import check_conditioning
from ..control import of_frames


@dataclass(frozen=True)
class Place:
    """Where a window lies: its `frames` in a film of `total`, of which `new` are generated, from `first` on."""

    frames: tuple[int, ...]
    first: int
    new: int
    total: int

    def rows(self, values: Tensor, what: str) -> Tensor:
        """Of one value for all, for each frame of the film, or for each new one (the nearest, where a frame is known).

        Raises ValueError for any other number.
        """
        if len(values) == 1:
            return values
        if len(values) == self.total:
            return values[list(self.frames)]
        if len(values) == self.new:
            return values[[min(max(frame - self.first, 0), self.new - 1) for frame in self.frames]]
        raise ValueError(
            f"positive, negative: there are {len(values)} {what}, the film has {self.total} frames, {self.new} of them "
            f"new: give one for all, {self.total} or {self.new}"
        )


def conditioning_of(conditioning: list, place: Place) -> list:
    """CONDITIONING of the window alone. Raises ValueError for values that are not one for each frame."""

    def hints(values: Tensor) -> Tensor:
        return place.rows(values, "hints of a ControlNet")

    check_conditioning(conditioning, "positive, negative")
    found = []
    for embedding, options in conditioning:
        control = options.get("control")
        changed = {} if control is None else {"control": of_frames(control, hints)}
        found.append([place.rows(embedding, "embeddings of a prompt"), {**options, **changed}])
    return found
