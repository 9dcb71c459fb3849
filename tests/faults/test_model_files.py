"""Models that are replaced, damaged or deleted while the server runs."""

import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.graphs import clip, latents, node, sampled
from tools.hosting.client import ExecutionFailed, ValidationFailed

NAME = "replaced.safetensors"


@pytest.fixture
def model_file(server, sample_model):
    file = server.models / "seine" / NAME
    shutil.copy(sample_model, file)
    yield file
    file.unlink(missing_ok=True)


def made(client):
    return latents(client, sampled(clip(model_name=NAME), steps=2))["latent"]


def put_another(file, sample_model):
    """Other weights of the same size, put there at once as a download or converter does."""
    from safetensors import safe_open

    tensors = load_file(sample_model)
    with safe_open(sample_model, "pt") as opened:
        metadata = opened.metadata()
    key = "model.diffusion_model.conv_out.weight"
    tensors[key] = -tensors[key]
    part = file.with_suffix(".part")
    save_file(tensors, part, metadata)
    os.replace(part, file)


def test_a_replaced_model_is_loaded_anew(client, model_file, sample_model):
    first = made(client)
    assert torch.equal(made(client), first), "and kept where it is the same"
    put_another(model_file, sample_model)
    second = made(client)
    assert not torch.equal(second, first)
    shutil.copy(sample_model, model_file.with_suffix(".part"))
    os.replace(model_file.with_suffix(".part"), model_file)
    assert torch.equal(made(client), first)


def test_a_damaged_one_is_named_and_put_back_works(client, model_file, sample_model):
    first = made(client)
    model_file.write_bytes(sample_model.read_bytes()[:-1000])
    with pytest.raises(ExecutionFailed) as error:
        made(client)
    assert f"model_name {NAME}" in error.value.exception_message and "downloaded" in error.value.exception_message
    shutil.copy(sample_model, model_file)
    assert torch.equal(made(client), first)


def test_a_deleted_one_is_refused_by_name(client, model_file):
    made(client)
    model_file.unlink()
    with pytest.raises((ValidationFailed, ExecutionFailed)) as error:
        made(client)
    assert "model_name" in str(error.value)
    # Wired in, the host does not check it against its list.
    graph = sampled(clip(model_name=NAME), steps=2)
    graph["name"] = node("PrimitiveString", value=NAME)
    graph["model"]["inputs"]["model_name"] = ["name", 0]
    with pytest.raises((ValidationFailed, ExecutionFailed)) as error:
        latents(client, graph)
    assert "model_name" in str(error.value)


def test_deleted_while_it_waits_in_the_queue(client, model_file):
    slow = sampled(clip(), steps=60)
    slow["sample"]["inputs"]["seed"] = 12
    client.queue(slow)
    waiting = client.queue(sampled(clip(model_name=NAME), steps=2))
    model_file.unlink()
    with pytest.raises(ExecutionFailed) as error:
        client.wait(waiting)
    message = error.value.exception_message
    assert message.startswith(f"model_name: {NAME} is in none of") and "put it into models/seine" in message
