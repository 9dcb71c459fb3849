"""The full-size UNet on a CUDA card there is none of: what is where, what waits, what it takes."""

import math

import pytest

from benchmarks import fake_cuda

KERNELS = "512x512, with its own kernels"
CHOSEN = [
    "512x512",
    KERNELS,
    "512x320, one prompt",
    "512x320, fp8, --fast fp8_matrix_mult",
    "512x320, int8 (file)",
    "520x264, 33 frames, bf16",
    "512x320, 24 frames in windows of 16",
    "512x320, two clips with keyframes",
    "512x320, ControlNet, patches, a prompt for each frame",
]
"""Of the table's, for every run of the tests; `python benchmarks/fake_cuda.py` does all."""
BUDGETS = {"512x512": 6, "512x320, one prompt": 4, CHOSEN[-1]: 4}
"""GB that a card has, of which the context of CUDA, cuDNN and cuBLAS take their part."""
FOR_CUDA = 0.6e9
LEAST_FREE, RESERVE = 1229 << 20, 400 << 20
"""Bytes that ComfyUI keeps free at least, and those that it adds to its estimate of a model."""

pytestmark = pytest.mark.one_host


@pytest.fixture(scope="session")
def report(run_in_host):
    script = fake_cuda.REPOSITORY / "benchmarks" / "fake_cuda_in_host.py"
    return run_in_host(script, names=CHOSEN, faults=["device", "elsewhere", "dtype", "item"])


@pytest.fixture(scope="session")
def cases(report):
    return {row["name"]: row for row in report["cases"]}


def test_everything_is_on_the_card_in_its_dtype_and_nothing_waits(report, cases):
    assert list(cases) == CHOSEN
    for row in [*report["cases"], *report["decoding"]]:
        assert fake_cuda.problems_of(row) == "" and row["placed"] and not row["waits"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("device", "two different devices cuda:0, cpu"),
        ("elsewhere", "copy to the device, benchmarks/fake_cuda_in_host.py"),
        ("dtype", "aten.mul.Tensor in float32, benchmarks/fake_cuda_in_host.py"),
        ("item", "local_scalar_dense, benchmarks/fake_cuda_in_host.py"),
    ],
)
def test_a_planted_fault_is_found(report, fault, words):
    row = report["planted"][fault]
    assert words in fake_cuda.problems_of(row)
    assert not row["placed"]


def test_attention_has_the_fast_kernels(cases):
    for name, row in cases.items():
        # With the bias over frames, and without; our own attends over frames where it is.
        assert set(row["kernels"]) == ({"flash"} if name == KERNELS else {"flash", "efficient"})
        assert list(row["refused"]) == ["sage: 160 values a head"]


def test_our_kernels_hold_and_reorder_less(cases):
    own, plain = cases[KERNELS], cases["512x512"]
    assert own["peak"] < plain["peak"] and own["reordered"] < plain["reordered"] / 1.5


def test_every_product_is_in_fp8_where_the_host_was_told_to(cases):
    layers = 16 * 14 + 22 + 2  # of each transformer, each resnet's timestep, and the time embedding
    products = cases["512x320, fp8, --fast fp8_matrix_mult"]["products"]
    assert list(products) == ["fp8"] and products["fp8"] >= layers


def test_weights_in_eight_bits_are_held_in_them(cases):
    """Of a file in int8 no more than one layer at a time is in more bits; the rest of a step is as of fp8 without."""
    whole, plain = (cases[name] for name in ("512x320, int8 (file)", CHOSEN[3]))
    assert whole["weights"] == pytest.approx(0.913e9, rel=0.01)
    assert whole["peak"] - whole["weights"] < 1.02 * (plain["peak"] - plain["weights"])


def test_the_budgets_hold(cases):
    assert cases["512x512"]["weights"] == pytest.approx(1.82e9, rel=0.01)
    for name, budget in BUDGETS.items():
        assert cases[name]["peak"] < budget * 1e9 - FOR_CUDA


def test_the_host_reserves_what_a_step_takes(cases):
    for row in cases.values():
        step = row["peak"] - row["weights"]
        assert step < max(LEAST_FREE, row["reserved"] + RESERVE)
        assert row["reserved"] < 1.4 * step


def test_the_table_in_the_docs_is_this_one(report, cases):
    document = fake_cuda.DOCUMENT.read_text(encoding="utf-8")
    assert fake_cuda.with_table(document, []).count("\n") < document.count("\n") - len(CHOSEN)
    for line in fake_cuda.table([*cases.values(), *report["decoding"]]).splitlines():
        assert f"\n{line}\n" in document, "python benchmarks/fake_cuda.py --write"


def test_a_document_without_a_place_for_the_table_is_refused():
    with pytest.raises(ValueError, match="put them where the table goes"):
        fake_cuda.with_table("no marks", [])


def test_memory_is_followed_until_the_last_tensor_on_it_is_gone():
    torch = pytest.importorskip("torch")
    from tools.hosting.device_watch import BLOCK, DeviceWatch

    watch = DeviceWatch("meta")
    with watch:
        first = torch.empty(1000, device="meta")
        view = first.view(10, 100)
        size = math.ceil(4000 / BLOCK) * BLOCK
        assert watch.held == size
        del first
        assert watch.held == size
        view.add_(1)
        assert watch.held == size
        second = view + 1
        del view, second
    assert (watch.held, watch.peak) == (0, 2 * size)
