"""Starts the 2024 host as `python start.py HOST_FOLDER --base-directory BASE [the host's own options]`.

That host knows neither `--base-directory` nor packs with a `comfy_entrypoint`. This gives it both before its own
main.py runs, which stays as it is: every path lies under BASE, and V3 packs in BASE/custom_nodes are registered.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path


def set_up(host_folder: Path, base: Path, arguments: list[str]) -> None:
    """Make this process the host's: its modules first on the path, its arguments, its folders under `base`."""
    here = str(Path(__file__).resolve().parent)
    # The folder of the starting script is no part of the host; the stand-in comes last, after everything real.
    sys.path[:] = [str(host_folder), *(path for path in sys.path if path not in (here, str(host_folder))), here]
    sys.argv = [str(host_folder / "main.py"), *arguments]

    import comfy.options

    comfy.options.enable_args_parsing()
    _move_folders(base)
    _accept_v3_packs()


def _move_folders(base: Path) -> None:
    import folder_paths

    old = folder_paths.base_path

    def moved(path: str) -> str:
        return os.path.join(base, os.path.relpath(path, old))

    for folders, _ in folder_paths.folder_names_and_paths.values():
        folders[:] = [moved(path) for path in folders]
    for name in ("models_dir", "output_directory", "temp_directory", "input_directory", "user_directory"):
        setattr(folder_paths, name, moved(getattr(folder_paths, name)))
    folder_paths.base_path = str(base)


def _accept_v3_packs() -> None:
    from v3_bridge import node_mappings

    import nodes

    load_v1 = nodes.load_custom_node

    def load(module_path: str, ignore: set[str] = frozenset()) -> bool:
        if load_v1(module_path, ignore):
            return True
        pack = sys.modules.get(os.path.basename(module_path))
        if not hasattr(pack, "comfy_entrypoint"):
            return False
        classes, names = node_mappings(pack)
        nodes.NODE_CLASS_MAPPINGS.update(classes)
        nodes.NODE_DISPLAY_NAME_MAPPINGS.update(names)
        return True

    nodes.load_custom_node = load


if __name__ == "__main__":
    folder, option, base_directory, *rest = sys.argv[1:]
    if option != "--base-directory":
        sys.exit(__doc__)
    set_up(Path(folder), Path(base_directory), rest)
    runpy.run_path(sys.argv[0], run_name="__main__")
