"""What a network is before it has learned anything."""

import torch

from tests.tools.training.test_trainer import generator, network


def test_an_initialised_network_takes_its_input_for_the_noise_and_every_weight_is_finite():
    unet = network()
    sample, context = torch.randn(1, 9, 4, 8, 8, generator=generator(1)), torch.randn(1, 5, 8, generator=generator(2))
    for scale in (1.0, 1.02):  # noise is not always of the same size, and the difference is all that can be seen early
        noise = scale * sample[:, :4] / sample[:, :4].std()
        predicted = unet(torch.cat((noise, sample[:, 4:]), 1), torch.tensor([5]), context)
        torch.testing.assert_close(predicted, noise, rtol=0, atol=0.01)
    assert all(value.isfinite().all() for value in unet.state_dict().values())
    assert unet.mid_block.attentions[0].transformer_blocks[0].attn_temp.rotary_emb.freqs[0] == 1
