"""Compiled programs in a bucket: a machine that takes over from one that was taken away compiles nothing again.

JAX reads and writes a folder on disk. What the bucket has for this kind of device is put there before anything is
compiled, and a thread of the background puts what is new into the bucket.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import re
import threading
import time
from pathlib import Path

import jax

from munet import accelerators
from munet.errors import UserError
from munet.store.folders import Folder, open_folder
from munet.store.local import TEMPORARY_PREFIX
from munet.store.replacing import replacing
from munet.threads import in_threads

_SECONDS = 10.0  # between two looks at the folder
_SETTLED = 2.0  # seconds since a file changed, after which JAX has written all of it
_THREADS = 16
logger = logging.getLogger(__name__)


def folder_name() -> str:
    """Of the programs of this version of JAX on this kind of device: others cannot be used here."""
    device = accelerators.local_devices()[0]
    return re.sub(r"[^\w.-]+", "_", f"jax-{jax.__version__}-{device.platform}-{device.device_kind}")


class SharedPrograms:
    """The programs in a bucket and those on disk.

    Args:
      url: the folder in the bucket.
      place: the folder on disk, JAX's.
    """

    def __init__(self, url: str, place: Path):
        self._url, self._place = url, place
        self._shared: set[str] = set()
        self._lock = threading.Lock()
        self._has_failed = False

    def start(self) -> None:
        """Fetches what the bucket has, and shares what is new from now on, until the process ends."""
        self.fetch()
        threading.Thread(target=self._watch, name="shared programs", daemon=True).start()
        atexit.register(self.share, 0.0)

    def fetch(self) -> int:
        """Puts programs that are not on disk there; how many."""
        try:
            folder = open_folder(self._url)
            self._shared = folder.names()
            self._place.mkdir(parents=True, exist_ok=True)
            missing = sorted(self._shared - {path.name for path in self._place.iterdir()})
            for _ in in_threads(lambda name: self._fetch(folder, name), missing, _THREADS):
                pass
        except (OSError, RuntimeError, ValueError, UserError) as error:
            self._tell("read", error)
            return 0
        return len(missing)

    def _fetch(self, folder: Folder, name: str) -> None:
        with replacing(self._place / name) as temporary:
            temporary.write_bytes(folder.read(name))

    def share(self, settled: float = _SETTLED) -> int:
        """Puts programs that the bucket does not have there; how many.

        Args:
          settled: seconds for which a file has not changed.
        """
        with self._lock:
            try:
                folder = open_folder(self._url)
                new = [path for path in self._new() if time.time() - path.stat().st_mtime >= settled]
                for path in new:
                    with contextlib.suppress(FileExistsError):  # another machine was there first
                        folder.create(path.name, path.read_bytes())
                    self._shared.add(path.name)
            except (OSError, RuntimeError, ValueError, UserError) as error:
                self._tell("written", error)
                return 0
            return len(new)

    def _new(self) -> list[Path]:
        if not self._place.is_dir():
            return []
        return [
            path
            for path in sorted(self._place.iterdir())
            if path.name not in self._shared and not path.name.startswith(TEMPORARY_PREFIX) and path.is_file()
        ]

    def _watch(self) -> None:
        while True:
            time.sleep(_SECONDS)
            self.share()

    def _tell(self, what: str, error: Exception) -> None:
        if not self._has_failed:
            self._has_failed = True
            logger.warning("programs at %s cannot be %s, and are compiled here: %s", self._url, what, error)
