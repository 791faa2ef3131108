"""Task URIs and where each kind of data set is opened: one table from scheme to opener.

`tfds:mnist`, `tfds:cmaterdb/bangla`, `tfds:omniglot?split=clean`, `tfds:NAME?train=train[5%:]&validation=train[:5%]`,
`npz:/path.npz`, `builtin:digits`, `builtin:glyphs/<script>`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from munet.data import builtin, npz
from munet.data.splits import Source
from munet.errors import DataError, nearest
from munet.types import TaskName

SCHEMES = ("tfds", "npz", "builtin")


@dataclass(frozen=True)
class TaskUri:
    """A parsed task URI.

    Attributes:
      text: as given.
      scheme: `tfds`, `npz` or `builtin`.
      path: what stands between the scheme and the options.
      options: what stands after the `?`, by name; values are taken as they are (no `%` decoding).
    """

    text: str
    scheme: str
    path: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> TaskName:
        """The task's name: the URI without scheme and options; of an npz file its stem."""
        return Path(self.path).stem if self.scheme == "npz" else self.path


def parse_uri(uri: str) -> TaskUri:
    """Parses a task URI.

    Raises:
      DataError: no or an unknown scheme, nothing after it, or options that are not `name=value`.
    """
    scheme, colon, rest = uri.partition(":")
    if not colon:
        raise DataError(f"{uri!r} is no task URI: a scheme is missing, e.g. tfds:{uri or 'mnist'} or builtin:digits.")
    if scheme not in SCHEMES:
        raise DataError(f"{uri!r}: there is no scheme {scheme!r}. {nearest(scheme, SCHEMES)}")
    path, _, query = rest.partition("?") if scheme != "npz" else (rest, "", "")
    path = path.strip("/") if scheme != "npz" else path
    if not path:
        raise DataError(f"{uri!r}: nothing follows the scheme, e.g. tfds:mnist, npz:/path.npz, builtin:digits.")
    options: dict[str, str] = {}
    for option in query.split("&") if query else ():
        name, equals, value = option.partition("=")
        if not equals or not value or name in options:
            raise DataError(f"{uri!r}: option {option!r} is not of the form name=value, each name once.")
        options[name] = value
    return TaskUri(uri, scheme, path, options)


def open_source(uri: TaskUri, *, data_dir: str, cache_dir: str, seed: int, canvas: int) -> Source:
    """Opens a data set; nothing of a prepared TFDS set is decoded yet.

    Args:
      uri: what to open.
      data_dir: prepared TFDS data; "": `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`.
      cache_dir: as for `cache.folder`.
      seed: of the 80/10/10 split of npz and built-in sets.
      canvas: larger images, and those of varying size, are squashed to this many pixels on a side.

    Raises:
      DataError: missing, unreadable, or no classification task.
    """
    if uri.scheme == "tfds":
        # Importing tensorflow_datasets takes most of a second, for nothing where all tasks are built in.
        from munet.data import prepared

        return prepared.open_prepared(
            uri.text, uri.path, uri.options, data_dir=data_dir, cache_dir=cache_dir, canvas=canvas
        )
    if uri.options:
        raise DataError(f"{uri.text}: a {uri.scheme} task has no options; remove {', '.join(uri.options)}.")
    if uri.scheme == "npz":
        return npz.open_npz(uri.text, Path(uri.path).expanduser(), seed=seed, canvas=canvas)
    return builtin.open_builtin(uri.text, uri.path, cache_dir=cache_dir, seed=seed)
