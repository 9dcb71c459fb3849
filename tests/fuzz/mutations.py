"""Checkpoint files, and what can become of them: each mutation takes a random generator and gives a file's bytes."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor

from seine_model import SeineConfig
from seine_model.checkpoint import UNET_PREFIX, strip_prefix
from seine_model.conversion import convert
from seine_model.quantised import FORMAT_KEY, SCALE_KEY
from seine_model.reading import read_checkpoint
from tools.hosting.sample_bundle import sample_bundle

CONFIG = SeineConfig(
    block_out_channels=(32, 32, 32, 32),
    layers_per_block=1,
    attention_head_dim=1,
    cross_attention_dim=64,
    norm_num_groups=32,
)
DTYPES = (torch.float64, torch.float16, torch.bfloat16, torch.float8_e5m2, torch.float8_e4m3fn, torch.complex64)
INTEGERS = (torch.int64, torch.int8, torch.uint8, torch.bool)
VALUES = (float("nan"), float("inf"), -float("inf"), 1e38, 1e30, 1e20, 1e9, 9e7, -9e7, 1e5, 1e-40, 0.0)
JUNK = (None, True, -1, 0, 3, 10**9, 10**30, 1.5, float("nan"), "", "x" * 99, [], [[]], {}, {"a": 1}, [1, 2, 3, 4])
HEADS = (
    *(
        b"<!DOCTYPE html><html>",
        b"version https://git-lfs.github.com/spec/v1\n",
        b'{"error": "denied"}',
        b"GGUF\3\0\0\0",
    ),
    *(b"PK\3\4", b"PK\5\6" + bytes(18), b"\x80\2", b"\x80\4\x95", b"\x1f\x8b", b"\x89PNG", b"[1, 2]", b"\0\0\0 ftyp"),
)


@dataclass(frozen=True, repr=False)
class Sources:
    """The same weights as a bundle (.safetensors), and its UNet alone as .safetensors (in int8 too) and in both PyTorch
    formats.
    """

    bundle: bytes
    unet: bytes
    scaled: bytes
    zipped: bytes
    old: bytes

    @classmethod
    def make(cls, folder: Path) -> Sources:
        path = sample_bundle(folder / "bundle.safetensors", CONFIG)
        tensors, metadata = read_checkpoint(path)
        unet = strip_prefix(tensors, UNET_PREFIX)
        zipped, old = io.BytesIO(), io.BytesIO()
        torch.save({"ema": unet}, zipped)
        torch.save({"ema": unet}, old, _use_new_zipfile_serialization=False)
        alone, scaled = folder / "unet.safetensors", folder / "scaled.safetensors"
        alone.write_bytes(save(unet, metadata))
        convert(alone, scaled, "int8")
        return cls(path.read_bytes(), alone.read_bytes(), scaled.read_bytes(), zipped.getvalue(), old.getvalue())

    def any(self, rng: random.Random) -> tuple[str, bytes]:
        kinds = [(".safetensors", content) for content in (self.bundle, self.unet, self.scaled)]
        return rng.choice([*kinds, (".pt", self.zipped), (".pt", self.old)])


def flip_bits(rng: random.Random, sources: Sources) -> tuple[str, bytes]:
    suffix, content = sources.any(rng)
    data = bytearray(content)
    where = rng.choice([range(len(data)), range(4096), range(65536), range(len(data) - 20000, len(data))])
    for _ in range(rng.choice([1, 3, 30, 300])):
        data[rng.choice(where)] ^= 1 << rng.randrange(8)
    return suffix, bytes(data)


def truncate(rng: random.Random, sources: Sources) -> tuple[str, bytes]:
    suffix, content = sources.any(rng)
    length = rng.choice([rng.randrange(64), rng.randrange(200_000), rng.randrange(len(content)), len(content) - 1])
    return suffix, content[:length]


def splice(rng: random.Random, sources: Sources) -> tuple[str, bytes]:
    """A piece is taken out, put in twice, zeroed or replaced by noise."""
    suffix, content = sources.any(rng)
    start = rng.choice([rng.randrange(4096), rng.randrange(len(content))])
    end = start + rng.choice([1, 8, 500, 70_000])
    piece = rng.choice([b"", content[start:end] * 2, bytes(end - start), rng.randbytes(end - start)])
    return suffix, content[:start] + piece + content[end:]


def change_header(rng: random.Random, sources: Sources) -> tuple[str, bytes]:
    """The table of contents of .safetensors says something else than the bytes behind it."""
    content = rng.choice([sources.bundle, sources.unet])
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    names = [name for name in header if name != "__metadata__"]
    for _ in range(rng.choice([1, 1, 5])):
        entry, other = header[rng.choice(names)], header[rng.choice(names)]
        field = rng.choice(["dtype", "shape", "data_offsets"])
        entry[field] = rng.choice([other[field], rng.choice(JUNK), rng.choice(["F64", "I8", "F4", "BOOL", "F8_E8M0"])])
    if rng.random() < 0.2:
        header = rng.choice([*JUNK, {name: header for name in names[:3]}])
    encoded = json.dumps(header).encode()
    stated = rng.choice([len(encoded)] * 8 + [len(encoded) + 1, 0, 2**31, 2**63, 2**64 - 1])
    return ".safetensors", struct.pack("<Q", stated) + encoded + content[8 + length :]


def change_metadata(rng: random.Random, sources: Sources) -> tuple[str, bytes]:
    """The configuration and what else is said of the model."""
    content = rng.choice([sources.bundle, sources.unet])
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    said = header["__metadata__"]
    config = json.loads(said["seine_config"])
    for _ in range(rng.choice([1, 1, 3])):
        config[rng.choice([*config, "act_fn", "class_embed_type"])] = rng.choice([*JUNK, 64, 16, [32, 32, 32, 64]])
    said["seine_config"] = rng.choice([json.dumps(config)] * 4 + [json.dumps(rng.choice(JUNK)), "{", "[" * 50_000])
    for key in ("seine_gray_latent", "seine_latent_rgb", "text_encoder_heads"):
        if rng.random() < 0.3:
            said[key] = rng.choice([json.dumps(rng.choice(JUNK)), "no json", "[" * 50_000])
    encoded = json.dumps(header).encode()
    return ".safetensors", struct.pack("<Q", len(encoded)) + encoded + content[8 + length :]


def change_tensors(rng: random.Random, sources: Sources) -> tuple[str, bytes]:
    """Well-formed files whose tensors are of other shapes, dtypes or values."""

    def changed(value: Tensor) -> Tensor:
        value = value.real if value.is_complex() else value
        kind = rng.randrange(4)
        if kind == 0:
            return value.to(rng.choice(DTYPES + INTEGERS))
        if kind == 1:
            shape = [rng.choice([0, 1, side, side + 1, 2 * side]) for side in value.shape]
            return torch.zeros(rng.choice([shape, shape[1:], [*shape, 1], []]), dtype=value.dtype)
        if kind == 2:
            value = value.float().clone()
            value.view(-1)[rng.randrange(value.numel())] = rng.choice(VALUES)
            return value
        return torch.full_like(value.float(), rng.choice(VALUES))

    def change(tensors: dict[str, Tensor]) -> None:
        if rng.random() < 0.1:
            dtype = rng.choice(DTYPES[1:])
            tensors.update({key: value.to(dtype) for key, value in tensors.items()})
        for key in rng.sample(sorted(tensors), rng.choice([1, 1, 4, 100])):
            tensors[key] = changed(tensors[key])

    return _rewritten(rng, sources, change)


def change_keys(rng: random.Random, sources: Sources) -> tuple[str, bytes]:
    """Keys are dropped, added or renamed."""

    def change(tensors: dict) -> None:
        for key in rng.sample(sorted(tensors), rng.choice([1, 1, 10, 200])):
            other = rng.choice(
                [None, key[:-1], key.upper(), "module." + key, key.replace(".", "/"), "x" * 5000, "", 7, ("a", 1), "\0"]
            )
            value = tensors.pop(key)
            if other is not None:
                tensors[other] = value
            if rng.random() < 0.3:
                tensors[key] = rng.choice([value, value.flatten()[:1], 3, None, [value], {"a": value}])
        if rng.random() < 0.1:
            tensors.clear()

    return _rewritten(rng, sources, change)


def change_scales(rng: random.Random, sources: Sources) -> tuple[str, bytes]:
    """Formats of eight bits that are none, or not those of their weights; scales of other values and shapes."""

    def change(tensors: dict[str, Tensor]) -> None:
        layers = [key.rpartition(".")[0] for key in tensors if key.endswith(FORMAT_KEY)]
        for layer in rng.sample(layers, rng.choice([1, 1, 20])):
            kind = rng.randrange(4)
            if kind == 0:
                text = json.dumps(
                    {"format": rng.choice([*JUNK, "nvfp4", "float8_e4m3fn"]), "convrot": rng.choice(JUNK)}
                )
                tensors[f"{layer}.{FORMAT_KEY}"] = torch.tensor(list(rng.choice([text, "{", "3"]).encode()))
            elif kind == 1:
                scale = tensors[f"{layer}.{SCALE_KEY}"].clone()
                scale.view(-1)[rng.randrange(scale.numel())] = rng.choice(VALUES)
                tensors[f"{layer}.{SCALE_KEY}"] = scale.to(rng.choice([torch.float32, torch.float16, torch.int64]))
            elif kind == 2:
                part = rng.choice([FORMAT_KEY, SCALE_KEY, "weight"])
                tensors[f"{layer}.{part}"] = rng.choice([torch.zeros(0), torch.zeros(3, 3), torch.tensor(1)])
            else:
                tensors.pop(f"{layer}.{rng.choice([FORMAT_KEY, SCALE_KEY, 'weight'])}")
        if rng.random() < 0.2:
            tensors["scaled_fp8"] = torch.zeros(rng.choice([0, 2]), dtype=torch.float8_e4m3fn)

    return _rewritten(rng, sources, change, sources.scaled)


def _rewritten(
    rng: random.Random, sources: Sources, change: Callable[[dict], None], content: bytes = b""
) -> tuple[str, bytes]:
    content = content or rng.choice([sources.bundle, sources.unet])
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    tensors = load(content)
    change(tensors)
    if rng.random() < 0.5 and all(isinstance(key, str) and isinstance(tensors[key], Tensor) for key in tensors):
        whole = {key: value.contiguous().clone() for key, value in tensors.items()}
        return ".safetensors", save(whole, metadata if rng.random() < 0.7 else None)
    file = io.BytesIO()
    wrapped = rng.choice([tensors, {"ema": tensors}, {"state_dict": tensors}, {"ema": [tensors]}, [tensors]])
    torch.save(wrapped, file, _use_new_zipfile_serialization=rng.random() < 0.8)
    return rng.choice([".pt", ".ckpt", ".bin"]), file.getvalue()


def damage_pickle(rng: random.Random, sources: Sources) -> tuple[str, bytes]:
    """The pickle in the zip archive is another; the archive around it is whole."""
    contents = _entries(sources.zipped)
    name = next(name for name in contents if name.endswith("data.pkl"))
    data = bytearray(contents[name])
    for _ in range(rng.choice([1, 1, 2, 10])):
        if not data:
            break
        place = rng.choice([rng.randrange(len(data)), rng.randrange(min(300, len(data)))])
        kind = rng.randrange(4)
        if kind == 0:
            data[place] = rng.choice(b"(.0123abcdeghijlopqrstuKMGIJNQRSTUVX\x80\x85\x88\x89\x8a\x8c\x93\xff")
        elif kind == 1:
            del data[place : place + rng.choice([1, 5, 100])]
        elif kind == 2:
            data[place:place] = rng.choice(
                [
                    b"]" * 50_000,
                    b"cbuiltins\neval\n",
                    b"cos\nsystem\nX\1\0\0\0a\x85R",
                    b"K\xff",
                    b"M\xff\xff",
                    b"\x8a\x08" + b"\x7f" * 8,
                ]
            )
        else:
            data[place:] = data[place:][: rng.randrange(1, 200)]
    contents[name] = bytes(data)
    return ".pt", _archive(contents)


def damage_archive(rng: random.Random, sources: Sources) -> tuple[str, bytes]:
    """Entries of the zip archive are dropped, renamed, doubled, emptied, packed or not there at all."""
    contents = _entries(sources.zipped)
    for name in rng.sample(sorted(contents), rng.choice([1, 2, 50])):
        kind = rng.randrange(5)
        content = contents.pop(name)
        if kind == 1:
            contents[rng.choice(["../" + name, name.upper(), name.replace("/", "\\"), "a/" + name, "é" * 300])] = (
                content
            )
        elif kind > 1:
            contents[name] = rng.choice([b"", content[: len(content) // 2], content * 3, rng.randbytes(64)])
    if rng.random() < 0.2:
        contents["archive/code/__torch__.py"] = b"pass"
        contents["archive/constants.pkl"] = b"\x80\2)."
    return ".pt", _archive(contents, rng.choice([zipfile.ZIP_STORED] * 4 + [zipfile.ZIP_DEFLATED]))


def _entries(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _archive(contents: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packing) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return file.getvalue()


def foreign(rng: random.Random, sources: Sources) -> tuple[str, bytes]:
    """Files of other kinds, and ours under other names."""
    suffix = rng.choice([".pt", ".safetensors", ".ckpt", ".sft", ".bin", ".pth"])
    if rng.random() < 0.3:
        return suffix, sources.any(rng)[1]
    tail = rng.choice([b"", bytes(3000), rng.randbytes(3000), b"text " * 500])
    return suffix, rng.choice([*HEADS, b"", rng.randbytes(8), rng.randbytes(8) + b"{"]) + tail


MUTATIONS = (
    *(flip_bits, truncate, splice, change_header, change_metadata, change_tensors, change_keys, change_scales),
    *(damage_pickle, damage_archive, foreign),
)


def mutated(seed: int, index: int, sources: Sources) -> tuple[str, str, bytes]:
    """Kind of mutation, suffix and bytes of a case: always the same for the same seed and index."""
    rng = random.Random(f"{seed} {index}")
    mutation = MUTATIONS[index % len(MUTATIONS)]
    return mutation.__name__, *mutation(rng, sources)
