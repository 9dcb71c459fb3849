"""Options that the commands which make clips have in common."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tools.hosting import hosts
from tools.hosting.environment import SetupError
from tools.jobs.values import NO_VALUE, shown

TEXTS = (
    *("id", "prompt", "negative"),
    *("ckpt", "pretrained_model_path", "input_path", "save_path", "additional_prompt", "negative_prompt"),
)
"""Keys of rows and of official configurations whose values are never anything else."""
TEXTS_OR_LISTS = ("images", "text_prompt")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--address", help="of a running Ray, such as auto or 10.0.0.1:6379 (default: one of its own)")
    parser.add_argument("--hosts-per-gpu", type=int, default=1, help="with ray: ComfyUIs on each GPU, or CPU machine")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a value for what rows leave out; of a configuration: in place of its own. May be given often",
    )
    parser.add_argument("--checkpoint", help="SEINE file: a path, or its name in a models folder (default: seine.pt)")
    parser.add_argument("--base", help="SD 1.4 file or diffusers folder, for a checkpoint without VAE and CLIP")
    parser.add_argument("--models", type=Path, help="models folder (default: that of $COMFYUI_PATH, and the pack's)")
    parser.add_argument("--host", choices=hosts.CHOICES, default="best", help="ComfyUI to run in")
    parser.add_argument("--device", choices=("auto", "cpu"), default="auto", help="auto: a GPU where torch sees one")


def check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End the command where a value cannot be meant."""
    if options.hosts_per_gpu < 1:
        parser.error(f"--hosts-per-gpu: {options.hosts_per_gpu} is too few: give 1 or more")
    for setting in options.set:
        if "=" not in setting:
            parser.error(f"--set: {setting!r} is not KEY=VALUE, such as steps=50")


def settings_of(given: Iterable[str]) -> dict[str, Any]:
    """Keys and values of --set: texts are as they are typed, other values are read as in a YAML file.

    Raises SetupError for one that cannot be read.
    """
    settings = {}
    for each in given:
        key, _, value = each.partition("=")
        settings[key.strip()] = _value(key.strip(), value)
    return settings


def _value(key: str, typed: str) -> Any:
    import yaml

    if key in TEXTS:
        return typed
    try:
        read = yaml.safe_load(typed)
    except (yaml.YAMLError, RecursionError, *NO_VALUE) as problem:
        if key in TEXTS_OR_LISTS:
            return typed
        words = getattr(problem, "problem", None) or problem
        raise SetupError(f"--set {key}: {shown(typed)} cannot be read ({words}): put it in YAML's quotes") from problem
    return typed if key in TEXTS_OR_LISTS and not isinstance(read, list) else read
