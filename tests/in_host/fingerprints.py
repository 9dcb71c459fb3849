"""Fingerprints of what differs and of what does not."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import torch
from comfy import controlnet, model_patcher, model_sampling
from comfyui_seine.comfy_adapter import files, loading
from comfyui_seine.comfy_adapter.films.fingerprint import Fingerprints, patches_of


class Holder:
    def __init__(self, value: Any) -> None:
        self.value, self.itself = value, self


class Slotted:
    __slots__ = ("value",)


def fingerprint(*values: Any) -> str | None:
    return Fingerprints().of(*values)


def closed_over(value: Any) -> Any:
    return lambda: value


def empty_cell() -> bool:
    """Whether a function that reads a name which has no value yet has a fingerprint."""

    def inner() -> Any:
        return later

    found = fingerprint(inner)
    later = 1
    return found is not None and inner() == 1


def of_module(name: str) -> Any:
    """A class and a function of a module, which the host calls by its path where it is a pack."""
    made = type("Made", (), {"__module__": name})
    function = FunctionType((lambda: None).__code__, {"__name__": name})
    assert made.__module__ == function.__module__ == name
    return [made, made(), function]


def schedule(kind: type) -> Any:
    class ModelSamplingAdvanced(model_sampling.ModelSamplingDiscrete, kind):
        pass

    return ModelSamplingAdvanced()


def control(strength: float, weight: float = 1.0) -> Any:
    network = torch.nn.Linear(2, 2)
    torch.nn.init.constant_(network.weight, weight)
    torch.nn.init.zeros_(network.bias)
    made = controlnet.ControlNet(network, load_device=torch.device("cpu"), manual_cast_dtype=None)
    return made.set_cond_hint(torch.ones(1, 3, 8, 8), strength)


def model_pairs() -> dict[str, tuple]:
    """What a MODEL may carry beside its weights: the same twice, and another."""
    files.register_folder()
    model = loading.load_model(files.model_path("sample.safetensors"))

    def patched(change: Any, value: Any) -> list:
        clone = model.clone()
        change(clone, value)
        return patches_of(clone)

    def wrapper(clone: Any, value: int) -> None:
        clone.add_wrapper("diffusion_model", closed_over(value))

    def injection(clone: Any, value: int) -> None:
        clone.set_injections("bypass", [model_patcher.PatcherInjection(closed_over(value), closed_over(0))])

    def callback(clone: Any, value: int) -> None:
        clone.add_callback("on_pre_run", closed_over(value))

    def options(clone: Any, value: int) -> None:
        clone.model_options["transformer_options"]["value"] = value

    changes = {"wrapper": wrapper, "injection": injection, "callback": callback, "options": options}
    return {name: tuple(patched(change, value) for value in (1, 1, 2)) for name, change in changes.items()}


def main() -> dict[str, Any]:
    tensor = torch.arange(4.0)
    pairs = {
        "tensor": (tensor, tensor.clone(), tensor.half()),
        "order of a dict": ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 2, "b": 1}),
        "closure": (closed_over(1), closed_over(1), closed_over(2)),
        "object": (Holder(tensor), Holder(tensor.clone()), Holder(tensor + 1)),
        "number and text": (1, 1, "1"),
        "builtin": (max, max, min),
        "set": ({1, "a"}, {"a", 1}, {1, "b"}),
        "place of a pack": tuple(map(of_module, ("/one/custom_nodes/a.b", "C:\\two\\custom_nodes\\a.b", "/one/a.c"))),
        "code": (lambda x: x + 1, lambda x: x + 1, lambda x: x + 2),
        "prediction": tuple(map(schedule, (model_sampling.EPS, model_sampling.EPS, model_sampling.V_PREDICTION))),
        "control": (control(0.5), control(0.5), control(0.6)),
        "weights of control": (control(0.5), control(0.5), control(0.5, 2.0)),
        **model_pairs(),
    }
    found = {name: [fingerprint(value) for value in values] for name, values in pairs.items()}
    reads: list[str] = []
    network = torch.nn.Linear(2, 2)
    network.register_state_dict_post_hook(lambda *_: reads.append("read"))
    film = Fingerprints()
    return {
        "as they should be": {
            name: [first is not None and other is not None, first == same, first == other]
            for name, (first, same, other) in found.items()
        },
        "unknown": [fingerprint(Slotted()), fingerprint([torch.Generator()])],
        "empty cell": empty_cell(),
        "one film": [film.of(network) == film.of(network), len(reads)],
    }
