"""Ten packs beside ours in one host: all are there, and the plain clip is what it is without them."""

import pytest

from tests.graphs import latents, video_frames
from tests.packs.packs import PACKS, needs_packs, small

pytestmark = [pytest.mark.one_host, needs_packs]


@pytest.mark.parametrize("pack", PACKS)
def test_is_there(client, pack):
    assert client.object_info(PACKS[pack])["python_module"] == f"custom_nodes.{pack}"


@pytest.mark.parametrize("sampler", ["SEINEKSampler", "KSampler"])
def test_the_plain_clip_is_the_same_bit_for_bit(client, server, sampler):
    found, alone = (latents(each, small(sampler))["latent"] for each in (client, server.client))
    assert found.equal(alone)


@pytest.mark.parametrize("sampler", ["SEINEKSampler", "KSampler"])
def test_its_pictures_too(client, server, sampler):
    graph = small(sampler, steps=5)
    found, alone = (video_frames(each, dict(graph), ["sample", 0]) for each in (client, server.client))
    assert found.equal(alone)
