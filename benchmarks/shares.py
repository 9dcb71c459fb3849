"""What each part of the UNet has of a guided step's work, counted without a card: `python benchmarks/shares.py`.

FLOPs of matrix products and convolutions, and bytes that operations read and write, on PyTorch's fake CUDA tensors in
fp16. Divided by what a card can do at most they say how short the step could be, and which part is worth a kernel of
its own. No time is measured.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.hosting import environment
from tools.hosting.documents import with_part

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
CARD, FLOPS, BYTES = "H100 SXM", 989e12, 3.35e12
"""A card, and what it does in a second at most in fp16 (NVIDIA's data sheet, without sparsity)."""
REST = "time embedding, sums, skip connections"
PARTS = {
    "Convolution": "convolutions",
    "Conv2d": "convolutions",
    "GroupNorm": "group norms",
    "LayerNorm": "layer norms",
    "FeedForward": "feed-forward",
    "TemporalAttention": "attention over frames: rotation, bias, product",
    "Attention": "attention within frames and to the text: product",
}
"""By class of a module; what has none counts to the module around it."""
OVER_FRAMES = PARTS["TemporalAttention"]
PROJECTIONS = {
    "TemporalAttention": "attention over frames: projections",
    "Attention": "attention within frames and to the text: projections",
}
"""Of the linear layers in modules of these classes."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=512, help="in pixels (default 512)")
    parser.add_argument("--height", type=int, default=512, help="in pixels (default 512)")
    parser.add_argument("--frames", type=int, default=16, help="default 16")
    parser.add_argument("--write", action="store_true", help=f"put the table into docs/{DOCUMENT.name}")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    code = environment.enter(Path(__file__), "torch")
    if code is not None:
        return code
    text = table(*count(arguments.width, arguments.height, arguments.frames))
    print(text)
    if arguments.write:
        DOCUMENT.write_text(with_part(DOCUMENT.read_text(encoding="utf-8"), "shares.py", text), encoding="utf-8")
    return 0


def count(width: int, height: int, frames: int, config: Any = None) -> tuple[Counter[str], Counter[str], int]:
    """FLOPs and bytes by part, of both predictions of one step, and the least bytes that attention over frames moves
    where one kernel does all of it: queries, keys and values in, the result out."""
    import torch
    import torch.nn.functional as F
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves
    from torch.utils.flop_counter import flop_registry

    from seine_model import SeineConfig, SeineUNet3D
    from tools.hosting.attention_kernels import attend

    inside = [REST]
    flops: Counter[str] = Counter()
    moved: Counter[str] = Counter()

    class AsOnCuda(TorchFunctionMode):
        """PyTorch chooses its attention kernel by the machine it runs on, which has no card."""

        def __torch_function__(self, function: Any, types: Any, given: tuple = (), options: Any = None) -> Any:
            if function is F.scaled_dot_product_attention:
                with torch._C.DisableTorchFunction():
                    return attend(*given, **(options or {}))[1]
            return function(*given, **(options or {}))

    class Count(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, given: tuple = (), options: Any = None) -> Any:
            result = function(*given, **(options or {}))
            flops[inside[-1]] += flops_of(function, given, options or {}, result, flop_registry)
            if not function.is_view:
                leaves = [*tree_leaves((given, options)), *tree_leaves(result)]
                moved[inside[-1]] += sum(leaf.nbytes for leaf in leaves if isinstance(leaf, torch.Tensor))
            return result

    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        config = config or SeineConfig()
        unet = SeineUNet3D(config, dtype=torch.float16, device="cuda").eval()
        sample = torch.empty(2, config.in_channels, frames, height // 8, width // 8, dtype=torch.float16, device="cuda")
        text = torch.empty(2, 77, config.cross_attention_dim, dtype=torch.float16, device="cuda")
        steps = torch.zeros(2, device="cuda")
        least: list[int] = []
        for module in unet.modules():
            if type(module).__name__ == "TemporalAttention":
                module.register_forward_pre_hook(lambda _, given: least.append(4 * given[0].nbytes))
        with labelled(unet, inside), AsOnCuda(), Count():
            unet(sample, steps, text)
    return flops, moved, sum(least)


def flops_of(function: Any, given: tuple, options: dict[str, Any], result: Any, known: dict) -> int:
    """A multiply-add is 2."""
    counted = known.get(function._overloadpacket)
    return counted(*given, **options, out_val=result) if counted else 0


@contextmanager
def labelled(network: Any, inside: list[str]) -> Iterator[None]:
    """`inside` ends with the part of the network that is being computed."""
    parts = {}
    for module in network.modules():
        kind = type(module).__name__
        parts |= {module: PARTS[kind]} if kind in PARTS else {}
        for inner in module.modules() if kind in PROJECTIONS else ():
            parts |= {inner: PROJECTIONS[kind]} if type(inner).__name__ == "Linear" else {}
    hooks = []
    for module, part in parts.items():
        hooks.append(module.register_forward_pre_hook(lambda *_, part=part: inside.append(part)))
        hooks.append(module.register_forward_hook(lambda *_: inside.pop() and None))
    yield
    for hook in hooks:
        hook.remove()


def table(flops: Counter[str], moved: Counter[str], over_frames: int) -> str:
    """In markdown; the least time of a part is the longer of what its FLOPs and its bytes take."""
    lines = [f"| | FLOPs | bytes | {CARD} at least by FLOPs | by bytes |", "| --- | --- | --- | --- | --- |"]
    for part in sorted(moved, key=moved.get, reverse=True):
        shares = [f"{counted[part] / counted.total():.0%}" for counted in (flops, moved)]
        least = [f"{1e3 * counted[part] / most:.1f} ms" for counted, most in ((flops, FLOPS), (moved, BYTES))]
        lines.append(f"| {part} | {' | '.join(shares + least)} |")
    whole = [f"{flops.total() / 1e12:.1f} T", f"{moved.total() / 1e9:.0f} GB"]
    whole += [f"{1e3 * counted.total() / most:.0f} ms" for counted, most in ((flops, FLOPS), (moved, BYTES))]
    lines.append(f"| all | {' | '.join(whole)} |")
    saved = moved[OVER_FRAMES] - over_frames
    lines += [
        "",
        f"One kernel for rotation, bias and product over frames would move {over_frames / 1e9:.0f} GB instead of "
        f"{moved[OVER_FRAMES] / 1e9:.0f}: at most {saved / moved.total():.0%} of the step's bytes.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
