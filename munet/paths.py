"""Paths as people write them: `~` is the home directory, where there is one."""

from __future__ import annotations

import os
from pathlib import Path

from munet.errors import UserError


def expanded(path: str | os.PathLike[str]) -> Path:
    """A path with `~` replaced.

    Raises:
      UserError: whoever runs this has no home directory, as in a container with a user id that it does not know.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UserError(
            f"{os.fspath(path)}: there is no home directory to put for `~`: HOME is not set, and the user is not known "
            "here.",
            "Set HOME to a directory that you may write, or give a path without `~`: of the cache as MUNET_CACHE_DIR "
            "or --config.cache_dir, of TFDS data as TFDS_DATA_DIR or --config.data_dir.",
        ) from None


def check_folder(output: str) -> None:
    """That a file can be where `--output` says, before the work for it begins; of its folder only that it is there.

    Raises:
      UserError: there is no such folder.
    """
    folder = Path(output).parent
    if not folder.is_dir():
        problem = f"{folder} is no folder" if folder.exists() else f"there is no folder {folder}"
        raise UserError(f"--output={output} cannot be written: {problem}. Give a file in a folder that exists.")
