"""How a training shows itself: a bar with the latest loss, and a picture of all losses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import torch

from tools.hosting import bars


def progress(steps: Iterable, name: str, done: int, total: int, shown: Callable[[], list[float]]) -> Iterable:
    """A bar over `steps` that shows the latest loss."""
    with bars.bar(name, total, done) as bar:
        for step in steps:
            yield step
            bar.update()
            bar.set_postfix(loss=" ".join(f"{value:.4f}" for value in shown()), refresh=False)


def where_it_is(done: int, steps: int) -> str:
    """Said of a training that goes on from a state."""
    if done < steps:
        return f"going on from step {done}"
    return f"all {done} steps were done before, and what they came to is written; for more ask for more --steps"


def draw_losses(losses: Mapping[str, Sequence[float]], file: Path, average: int = 50) -> None:
    """One curve for each name: the loss of each step, averaged over neighbouring steps, on a logarithmic axis."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(losses), figsize=(4 * len(losses), 3), constrained_layout=True)
    for axis, (name, values) in zip([axes] if len(losses) == 1 else axes, losses.items(), strict=True):
        smooth = torch.tensor(values).unfold(0, min(average, len(values)), 1).mean(-1)
        axis.semilogy(range(len(values) - len(smooth), len(values)), smooth)
        axis.set(title=name, xlabel="step", ylabel=f"loss (mean of {average})")
        axis.grid(alpha=0.3)
    figure.savefig(file, dpi=100)
    pyplot.close(figure)
