"""Channels of a VAE that are always zero are not computed.

TAESD's layout has 64 channels at every size, and most of its work is where its pictures are large. A VAE that was
trained with fewer of them there, as the small model's, is stored with zeros for the others.
"""

from __future__ import annotations

import comfy.ops
from comfy.taesd.taesd import TAESD
from torch import Tensor, nn

_Convolution = comfy.ops.disable_weight_init.Conv2d


class _Narrow(_Convolution):
    """A convolution of the host's whose inputs and outputs beyond some are zero and are left out."""

    live: int
    """Outputs that are computed; inputs are as many as come."""

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        bias = None if bias is None else bias[: self.live]
        return super()._conv_forward(x, weight[: self.live, : x.shape[1]], bias)


def leave_out_zero_channels(network: nn.Module) -> None:
    """Make the convolutions of a TAESD compute only the leading channels that can differ from zero.

    Its weights stay whole, and so does what is saved, moved or cast of them. Other networks are left alone.
    """
    if not isinstance(network, TAESD):
        return
    for chain in (network.taesd_encoder, network.taesd_decoder):
        plan = _live_outputs(chain)
        if all(live == convolution.out_channels for convolution, live in plan.items()):
            continue
        for convolution, live in plan.items():
            convolution.__class__, convolution.live = _Narrow, live


def _live_outputs(chain: nn.Sequential) -> dict[nn.Conv2d, int]:
    """How many outputs each convolution needs; none for a chain of which some part is not understood."""
    plan, came = {}, 0
    for layer in chain:
        if isinstance(layer, nn.Conv2d):
            inner = [layer]
            came = 0
        elif isinstance(getattr(layer, "conv", None), nn.Sequential):
            inner = [part for part in layer.conv if isinstance(part, nn.Conv2d)]
        else:
            inner = []
        if [part for part in layer.modules() if next(part.parameters(recurse=False), None) is not None] != inner:
            return {}
        plan |= {convolution: _last_live(convolution) for convolution in inner}
        if inner:  # what comes into a block is added to what its last convolution makes
            came = plan[inner[-1]] = max(plan[inner[-1]], came)
    if inner:  # the picture or the latent
        plan[inner[-1]] = inner[-1].out_channels
    return plan if all(type(convolution) is _Convolution for convolution in plan) else {}


def _last_live(convolution: nn.Conv2d) -> int:
    live = convolution.weight.flatten(1).any(1)
    if convolution.bias is not None:
        live = live | (convolution.bias != 0)
    return int(live.nonzero().max()) + 1 if live.any() else 1
