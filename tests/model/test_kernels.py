"""Kernels that no machine here has a card for: right in Triton's interpreter, compiled for cards that are not there."""

import json
import subprocess
import sys

import pytest
import torch

pytest.importorskip("triton", reason="PyTorch brings Triton on Linux alone")

from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

from seine_model import device_choices, triton_convolutions, triton_kernels, triton_norms, triton_products
from tests.conftest import REPOSITORY

LIMITS = {"fp32": 1e-5, "fp16": 2e-3}
POINTERS = ("_from", "_to", "_in")
NUMBERS = {"eps": "fp32", "scale": "fp32"}
KERNELS = {
    "_attend": {
        "HEADS": 8,
        "DIM": 40,
        "TURNED": 32,
        "REST": 16,
        "BLOCK_FRAMES": 16,
        "WHOLE": True,
        "PRECISION": "tf32",
    },
    "_sum_up": {"BLOCK_PIXELS": 32, "BLOCK_CHANNELS": 64, "ADDS": True},
    "_combine": {"SIZE": 10, "BLOCK_CHANNELS": 16, "BLOCK_CHUNKS": 64},
    "_scale": {"BLOCK_PIXELS": 32, "BLOCK_CHANNELS": 64, "ADDS": True, "ACTIVATES": True},
    "_gate": {"ROWS": 4, "COLUMNS": 256},
    "_add_up": {"ROWS": 32, "COLUMNS": 64},
    "_normalise_rows": {"ADDS": True, "ROWS": 4, "BLOCK": 512},
    "_reorder": {"PLACES": 9, "COLUMNS": 256},
    "_quarters": {"COLUMNS": 256},
    "_interleave": {"BLOCK_PIXELS": 32, "BLOCK_CHANNELS": 64},
    "_gated_product": {"WIDTH": 320, "ROWS": 128, "COLUMNS": 128, "DEPTH": 64, "PRECISION": "tf32"},
}
MOST_SHARED = 64 << 10
"""Bytes that every card has from Turing on."""
HOPPERS = "_gated_product"
"""Is for one kind of card alone, in half precision."""


@pytest.fixture(scope="module")
def found():
    run = subprocess.run(
        [sys.executable, "-m", "tests.model.interpreted_kernels"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("dtype", LIMITS)
def test_each_is_what_pytorch_s_operators_give(found, dtype):
    apart = {name: error for name, error in found.items() if name.endswith(dtype)}
    assert len(apart) > 20
    assert all(error < LIMITS[dtype] for error in apart.values()), apart


def test_the_network_with_them_predicts_the_same(found):
    """Though its weights do not lie one value after the other."""
    assert 0 < found["the network"] < 1e-5  # not 0: they were at work


@pytest.mark.parametrize("ones", [False, True], ids=["numbers", "ones"])
@pytest.mark.parametrize(
    ("name", "card", "dtype"),
    [
        *((name, *kind) for name in KERNELS if name != HOPPERS for kind in ((75, "fp16"), (80, "bf16"), (90, "fp32"))),
        *((HOPPERS, 90, dtype) for dtype in ("fp16", "bf16")),
    ],
)
def test_each_compiles(name, card, dtype, ones):
    """`ones`: Triton puts numbers that are 1 into the code, where they are Python's and no tensors."""
    modules = triton_convolutions, triton_kernels, triton_norms, triton_products
    kernel = next(getattr(module, name) for module in modules if hasattr(module, name))
    assert _compiled(kernel, KERNELS[name], card, dtype, ones).asm["cubin"]


@pytest.mark.parametrize(("dtype", "frames"), [("fp16", 16), ("fp16", 64), ("fp32", 32)])
def test_attention_over_frames_fits_every_card(dtype, frames):
    """Of the widest heads, over as many frames as it is asked for."""
    kind = {"fp16": torch.float16, "fp32": torch.float32}[dtype]
    assert frames <= device_choices.most_frames(kind) < 65
    sizes = {"DIM": 160, "REST": 128, "BLOCK_FRAMES": frames, "PRECISION": "ieee" if dtype == "fp32" else "tf32"}
    warps = triton_kernels.warps_of(frames, kind)
    made = _compiled(triton_kernels._attend, KERNELS["_attend"] | sizes, 80, dtype, num_warps=warps)
    assert made.metadata.shared <= MOST_SHARED


def _compiled(kernel, constants, card, dtype, ones=False, **options):
    types, constants = {}, dict(constants)
    for argument in kernel.arg_names:
        if argument.endswith(POINTERS):
            # Sums are kept in float32.
            types[argument] = "*fp32" if argument.split("_")[0] in ("sums", "factors") else f"*{dtype}"
        elif argument in constants:
            types[argument] = "constexpr"
        elif argument in NUMBERS:
            types[argument] = NUMBERS[argument]
        elif ones:
            types[argument], constants[argument] = "constexpr", 1
        else:
            types[argument] = "i32"
    places = {(kernel.arg_names.index(argument),): value for argument, value in constants.items()}
    source = ASTSource(kernel, types, constexprs=places)
    return compile(source, target=GPUTarget("cuda", card, 32), options=options)
