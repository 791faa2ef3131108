"""Where data and caches are: on this machine's disk, or in a bucket, of which there is a copy on the disk.

`folder:gs://bucket/birds`, `npz:gs://bucket/birds.npz`, a `labels.csv` there, and `runtime.cache_dir=gs://bucket/cache`
are read and written as local ones are; what a machine that was taken away had decoded or compiled, the next one finds.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from munet.data.open_settings import OpenSettings, TaskUri
from munet.errors import DataError, nearest
from munet.paths import expanded
from munet.store import tree
from munet.store.folders import is_remote, local_path

_DEFAULT = "~/.cache/munet"


def local_dir() -> Path:
    """The folder on this machine's disk for copies of what buckets hold: `$MUNET_LOCAL_DIR`, else `~/.cache/munet`."""
    return expanded(os.environ.get("MUNET_LOCAL_DIR") or _DEFAULT)


def given_cache(cache_dir: str) -> str:
    """What a `cache_dir` setting means: a path, a URL, or "" for none.

    Args:
      cache_dir: a path or URL; "": `$MUNET_CACHE_DIR`, else `~/.cache/munet`; "off": no cache.
    """
    return "" if cache_dir == "off" else cache_dir or os.environ.get("MUNET_CACHE_DIR") or _DEFAULT


def copy_of(url: str) -> Path:
    """The folder on disk for the copy of a place in a bucket."""
    digest = hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:12]
    return local_dir() / "buckets" / f"{url.rstrip('/').rsplit('/', 1)[-1] or 'bucket'}-{digest}"


def of_task(uri: TaskUri, settings: OpenSettings) -> Path:
    """Where the file or folder of a task lies on disk: itself, or a copy of what a bucket holds, brought up to date.

    Raises:
      DataError: the bucket has nothing there, or cannot be read.
    """
    if not is_remote(uri.path):
        return expanded(local_path(uri.path))
    url = uri.path.rstrip("/")
    whole = url.rpartition("/")[0] if url.lower().endswith(".csv") else url  # a table names the images beside it
    place = _unkept(whole) if settings.cache_dir == "off" else copy_of(whole)
    found = tree.copy(whole, place, settings.say)
    found = found / url.rsplit("/", 1)[-1] if whole != url else found
    if not found.exists():
        near = tree.names_beside(url)
        hint = nearest(url.rsplit("/", 1)[-1], near, listed="It has") if near else "Check the name, and the rights."
        raise DataError(f"{uri.text}: there is nothing at {url}. {hint}")
    return found


def file_of_task(
    uri: TaskUri, settings: OpenSettings, pattern: str, options: Sequence[str] = (), advice: str = ""
) -> Path:
    """The same of a task that is one file.

    Args:
      uri, settings: as `of_task` has them.
      pattern: of the files beside it that may have been meant, such as `*.npz`.
      options: that such a task may have.
      advice: what makes such a file.

    Raises:
      DataError: there is no file, or it is a folder.
    """
    path = of_task(uri, settings)
    if path.is_file():
        return path
    if path.is_dir():
        hint = f" Did you mean folder:{path}?" if uri.scheme == "npz" else ""
        raise DataError(f"{uri.text}: {path} is a folder, expected a file ({pattern}).{hint}")
    raise not_there(uri, path, pattern, options, advice)


def not_there(uri: TaskUri, path: Path, pattern: str, options: Sequence[str] = (), advice: str = "") -> DataError:
    """What to say of a task where there is nothing at its path: the option that was misspelt, or what lies beside it.

    Args:
      uri: of the task.
      path: where nothing is.
      pattern, options, advice: as `file_of_task` has them.
    """
    name, mark, option = path.name.partition("?")
    if mark and path.with_name(name).exists():
        given = option.partition("=")[0]
        hint = nearest(given, options) if options else "It takes none."
        return DataError(f"{uri.text}: a {uri.scheme} task has no option {given!r}. {hint}")
    siblings = sorted(file.name for file in path.parent.glob(pattern)) if path.parent.is_dir() else []
    near = nearest(path.name, siblings, listed="Beside it") if siblings else ""
    return DataError(" ".join(part for part in (f"{uri.text}: there is no file {path}.", near, advice) if part))


@functools.cache
def _unkept(url: str) -> Path:
    """A folder that lasts as long as this process."""
    place = Path(tempfile.mkdtemp(prefix=f"munet-{copy_of(url).name}-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place
