"""What is computed another way on one kind of device than on another, and the sizes at which it was found to pay."""

from __future__ import annotations

import torch
from torch import Tensor

SMALL_MAP = 64
"""Pixels from which the CPU convolves faster with channels last: 8x8."""
NARROW = 128
"""Channels that come out of a convolution, up to which it does with all maps."""
PIXELS_OF_A_CHANNEL = 1 / 4
"""Of all maps together, for each channel that comes out: of fewer, most of a convolution is reading its weights."""
FEW_PIXELS = 1024
"""Of all maps together, for a convolution of single pixels."""
INNER_VALUES = 2**27
"""Most values between the layers of a feed-forward that are there at once: 256 MB in half precision."""
INNER_VALUES_ON_CPU = 6 * 2**20
"""The same on the CPU, where what fits its caches is a fifth faster, and where smaller pieces are slower again."""
LARGE_MAP = 2**22
"""Values of a map: below, 8 MB in half precision, CUDA copies it sooner than it launches five more kernels."""
MANY_PIXELS = 2**11
"""Of all maps together, before they are doubled."""
LARGE_INPUT = 2**24
"""Values of a product's input: from 32 MB in half precision on, a card's cache does not hold it for the next one."""
MOST_COLUMNS = 640
"""Of a feed-forward's input, up to which its product is our own: of more, the gate is a smaller part."""
MOST_FRAMES_AT_ONCE = 64
"""That our kernel attends over in half precision; of more, its tiles exceed 64 KB."""
MOST_FRAMES_BEFORE_AMPERE = 16
"""On older cards, for whose tensor cores Triton has no code: of more, a thread spills 2 to 8 KB, and compiling takes up
to half a minute, in the middle of a step."""
AMPERE = 8, 0
"""Compute capability, the first with all that our kernels multiply by."""
HALVES = (torch.float16, torch.bfloat16)
CUDNN = 91000
"""The version from which its attention was tried."""
MANY_KEYS = 1024
"""From which cuDNN's attention is asked for: half of flash attention's time on an H200, of fewer keys little less."""
MOST_DIM = 128
"""Values of a head, up to which it is."""
MOST_PIXELS = 2**15
"""Attended to over frames at once. CUDA's grids end at 65535, which a second pass at 1536x1536 would exceed."""


def convolves_in_plain_order(x: Tensor, channels: int) -> bool:
    """Whether the CPU is slower with channels last: where small maps ``[rows, channels, h, w]`` become wide ones."""
    return x.device.type == "cpu" and x.shape[-2] * x.shape[-1] < SMALL_MAP and channels > NARROW


def convolves_as_product(x: Tensor, weight: Tensor) -> bool:
    """Whether a convolution of a map ``[rows, channels, h, w]`` is one matrix product.

    On cards where it is of single pixels of a channels-last map, since a product's kernels add the bias too. On the CPU
    where the pixels are so few that reading their surroundings costs less than oneDNN's other order of the weights.
    """
    single = weight.shape[2:] == (1, 1)
    if x.device.type == "cpu":
        pixels = x.shape[0] * x.shape[-2] * x.shape[-1]
        return weight.is_contiguous() and pixels <= (FEW_PIXELS if single else PIXELS_OF_A_CHANNEL * len(weight))
    return single and x.device.type == "cuda" and x.is_contiguous(memory_format=torch.channels_last)


def doubles_within(x: Tensor) -> bool:
    """Whether a convolution of a doubled map is computed of the map itself: where its weights are the smaller part."""
    return x.shape[0] * x.shape[-2] * x.shape[-1] >= MANY_PIXELS


def convolves_channels_last(device: torch.device) -> bool:
    """Whether a VAE decodes maps that lie channels-last: sooner on the CPU, see benchmarks/vae.py."""
    return device.type == "cpu"


def in_order(weight: Tensor) -> Tensor:
    """A weight as its device reads it: on cards kernels of convolutions channels-last, else copied in every step."""
    if weight.ndim == 4 and weight.device.type == "cuda":
        return weight.contiguous(memory_format=torch.channels_last)
    return dense(weight)


def dense(weight: Tensor) -> Tensor:
    """A weight without gaps, in the order of its dimensions, or channels-last as it may lie."""
    if weight.ndim == 4 and weight.is_contiguous(memory_format=torch.channels_last):
        return weight
    return weight.contiguous()


def normalises_as_it_lies(x: Tensor) -> bool:
    """Whether a map is normalised channels-last by ourselves, since CUDA's own norm copies it into plain order first.

    By the bytes that benchmarks/fake_cuda.py counts, and not timed beside it. Training takes PyTorch's gradient.
    """
    return x.device.type == "cuda" and x.numel() >= LARGE_MAP and not torch.is_grad_enabled()


def puts_in_order(x: Tensor) -> bool:
    """Whether what PyTorch's norm gives is copied back to channels-last, which the next convolution wants."""
    return x.device.type == "cuda"


def feed_forward_pieces(values: int, device_type: str) -> int:
    """Into how many pieces to cut a feed-forward with so many values between its layers."""
    return -(-values // (INNER_VALUES_ON_CPU if device_type == "cpu" else INNER_VALUES))


def multiplies_at_once(x: Tensor) -> bool:
    """Whether products of one input are computed as one, for which their weights are copied together each time."""
    return x.numel() >= LARGE_INPUT


def multiplies_with_gates(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether there is a product of our own with the gate behind it. Its tiles are chosen for Hopper."""
    return is_hopper(device) and dtype in HALVES


def most_frames(dtype: torch.dtype, capability: tuple[int, int] = AMPERE) -> int:
    """That our kernel attends over, which has them all at once, on cards of this compute capability."""
    return MOST_FRAMES_BEFORE_AMPERE if capability < AMPERE else 2 * MOST_FRAMES_AT_ONCE // dtype.itemsize


def has_kernels(device: torch.device) -> bool:
    """Whether to try kernels of our own: on NVIDIA's cards. Triton compiles for AMD's too, which were never at hand."""
    return device.type == "cuda" and torch.cuda.is_available() and torch.version.hip is None


def is_hopper(device: torch.device) -> bool:
    """Whether it is an H100, an H200 or one of their kind."""
    return has_kernels(device) and torch.cuda.get_device_capability(device) == (9, 0)


def may_attend_by_cudnn(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether to try cuDNN's attention: on Hopper, where PyTorch's flash attention is that of the cards before it."""
    return is_hopper(device) and dtype in HALVES and (torch.backends.cudnn.version() or 0) >= CUDNN


def attends_by_cudnn(rows: int, keys: int, dim: int) -> bool:
    """Whether cuDNN's attention is taken for so many, where it is there."""
    return keys >= MANY_KEYS and dim <= MOST_DIM and dim % 8 == 0 and rows < 2**16


def attends_in_float32(x: Tensor) -> bool:
    """Whether attention in half precision is summed up in float32: macOS has made black pictures of it since 14.5."""
    return x.device.type == "mps" and x.dtype == torch.float16
