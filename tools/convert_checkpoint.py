"""Convert SEINE's published checkpoint to .safetensors, alone or with the text encoder and VAE of an SD 1.x base.

    python tools/convert_checkpoint.py seine.pt seine_fp16.safetensors --dtype fp16
    python tools/convert_checkpoint.py seine.pt seine_int8.safetensors --dtype int8
    python tools/convert_checkpoint.py seine.pt seine_bundle.safetensors --base stable-diffusion-v1-4

Needs torch, safetensors and tqdm: run it with the Python that runs ComfyUI.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from seine_model import CheckpointError, SeineConfig
from seine_model.conversion import NUMBER_FORMATS, Conversion, convert
from tools.hosting.bars import PhaseBars

try:
    import resource
except ImportError:  # Windows keeps no such record
    resource = None


_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    bars = PhaseBars(unit="%")
    # Ended from outside, it tidies up as for Ctrl-C; what it was started to ignore, as nohup has it, stays ignored.
    ending = [number for number in _ENDING if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, _interrupt) for number in ending}
    try:
        config = None if options.config is None else _read_config(options.config)
        result = convert(
            options.source,
            options.target,
            options.dtype,
            base=options.base,
            config=config,
            overwrite=options.overwrite,
            progress=lambda phase, fraction: bars.show(phase, int(100 * fraction), 100),
        )
    except (CheckpointError, ValueError, OSError) as error:
        bars.close()
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        bars.close()
        print("stopped; nothing was written", file=sys.stderr)
        return 130
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    print(_summary(options.target, options.dtype, result))
    return 0


def _interrupt(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def _parser() -> argparse.ArgumentParser:
    description, _, epilog = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=description, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="seine.pt, or a SEINE .safetensors file or bundle")
    parser.add_argument("target", type=Path, help="the .safetensors file to write")
    parser.add_argument(
        "--dtype",
        choices=NUMBER_FORMATS,
        default="fp16",
        help="how weights are stored (default: fp16); int8 and fp8_scaled: eight bits with scales, half the size",
    )
    parser.add_argument(
        "--base",
        type=Path,
        help="Stable Diffusion 1.4 or 1.5, a single .safetensors or .ckpt file or a diffusers folder: its text encoder "
        "and VAE go into the file",
    )
    parser.add_argument("--config", type=Path, help="config.json of the UNet, for sizes other than the published one")
    parser.add_argument("--overwrite", action="store_true", help="replace the target where it exists")
    return parser


def _read_config(path: Path) -> SeineConfig:
    try:
        return SeineConfig.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"--config {path}: {error}") from error


def _summary(target: Path, dtype: str, result: Conversion) -> str:
    parts = ", ".join(
        f"{name} {keys} keys / {count / 1e6:.1f} M parameters" for name, (keys, count) in result.parts.items()
    )
    memory = "" if resource is None else f", peak memory {_peak_memory() / 1e9:.2f} GB with the mapped input"
    return f"{target}: {parts}; {dtype}, {result.size / 1e9:.2f} GB, {result.seconds:.1f} s{memory}. Verified."


def _peak_memory() -> int:
    """Bytes; what is mapped and was read counts too."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    sys.exit(main())
