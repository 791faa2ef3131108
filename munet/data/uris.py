"""Task URIs and where each kind of data set is opened: one table from scheme to opener.

`tfds:mnist`, `tfds:cmaterdb/bangla`, `tfds:omniglot?split=clean`, `tfds:NAME?train=train[5%:]&validation=train[:5%]`,
`npz:/path.npz`, `folder:/path`, `builtin:digits`, `builtin:glyphs/<script>`, `hf:NAME?label=...`, `memory:NAME` (arrays
handed over in Python).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from munet.data.open_settings import OpenSettings, TaskUri
from munet.data.splits import Source
from munet.errors import DataError, nearest
from munet.paths import expanded
from munet.store.folders import is_remote

Opener = Callable[[TaskUri, OpenSettings], Source]


@dataclass(frozen=True)
class Scheme:
    """A kind of data set.

    Attributes:
      opener: the function that opens one, as `module:function` inside `munet.data`; imported when it is first needed
        (importing tensorflow_datasets takes most of a second).
      is_path: what follows the scheme is a path on disk: taken as it is, without options.
      has_options: `?name=value&...` may follow.
      may_be_path: what follows is a name, or a path if it begins as one (`/`, `~`, `.`).
      path_options: options that may follow a path all the same, unless there is a file of the whole name.
    """

    opener: str
    is_path: bool = False
    has_options: bool = False
    may_be_path: bool = False
    path_options: tuple[str, ...] = ()

    def open(self, uri: TaskUri, settings: OpenSettings) -> Source:
        """Opens a data set of this kind; raises `DataError`."""
        module, _, function = self.opener.partition(":")
        return cast(Opener, getattr(importlib.import_module(f"munet.data.{module}"), function))(uri, settings)


SCHEMES = {
    "tfds": Scheme("tfds.tfds:open_prepared", has_options=True),
    "npz": Scheme("npz:open_npz", is_path=True),
    "builtin": Scheme("builtin.builtin:open_builtin"),
    "folder": Scheme("folder.folder:open_folder", is_path=True, path_options=("range",)),
    "hf": Scheme("hub.hub:open_hugging_face", has_options=True, may_be_path=True),
    "memory": Scheme("memory:open_memory"),
}


def parse_uri(uri: str) -> TaskUri:
    """Parses a task URI.

    A task is named by its URI without scheme and options; one on disk by its folder, or by its file without the ending.

    Raises:
      DataError: no or an unknown scheme, nothing after it, or options that are not `name=value`.
    """
    name, colon, rest = uri.partition(":")
    if not colon:
        raise DataError(f"{uri!r} is no task URI: a scheme is missing, e.g. {_likely(uri)} or builtin:digits.")
    if name not in SCHEMES:
        raise DataError(f"{uri!r}: there is no scheme {name!r}. {nearest(name, SCHEMES)}")
    scheme = SCHEMES[name]
    path, query = _path_and_query(scheme, rest)
    is_path = _is_path(scheme, path)
    path = path if is_path else path.strip("/")
    if not path:
        raise DataError(f"{uri!r}: nothing follows the scheme, e.g. tfds:mnist, npz:/path.npz, builtin:digits.")
    options: dict[str, str] = {}
    for option in query.split("&") if query else ():
        key, equals, value = option.partition("=")
        if not equals or not value or key in options:
            raise DataError(f"{uri!r}: option {option!r} is not of the form name=value, each name once.")
        options[key] = value
    if options and not (scheme.has_options or scheme.path_options):
        raise DataError(f"{uri}: a {name} task has no options; remove {', '.join(options)}.")
    task = _name_of(path) if is_path else path
    return TaskUri(uri, name, path, f"{task}/{options['config']}" if "config" in options else task, options)


def relative_path(uri: str) -> str:
    """The path of a task on disk, as it is given, if it goes from the current folder; "" for all other tasks.

    Raises:
      DataError: as `parse_uri`.
    """
    task = parse_uri(uri)
    is_path = _is_path(SCHEMES[task.scheme], task.path) and not is_remote(task.path)
    is_relative = is_path and not expanded(task.path).is_absolute()
    return task.path if is_relative else ""


def from_folder(uri: str, folder: str) -> str:
    """A task's URI with the absolute path in `folder`, if its relative one leads to something there and nothing here.

    Args:
      uri: of any task.
      folder: where a run was started; "" if that is not known: the URI stays as it is.

    Raises:
      DataError: as `parse_uri`.
    """
    path = relative_path(uri)
    if not path or not folder or Path(path).exists() or not Path(folder, path).exists():
        return uri
    return uri.replace(f":{path}", f":{Path(folder, path)}", 1)


def absolute(uri: str) -> str:
    """A task's URI with the absolute path for a relative one.

    Raises:
      DataError: as `parse_uri`.
    """
    path = relative_path(uri)
    return uri.replace(f":{path}", f":{expanded(path).absolute()}", 1) if path else uri


def _path_and_query(scheme: Scheme, rest: str) -> tuple[str, str]:
    """What follows the scheme, cut where options begin; the path of a file may have any characters."""
    path, mark, query = rest.partition("?") if not scheme.is_path else rest.rpartition("?")
    if not scheme.is_path:
        return path, query
    is_option = bool(mark) and query.partition("=")[0] in scheme.path_options
    return (path, query) if is_option and not Path(rest).expanduser().exists() else (rest, "")


def _is_path(scheme: Scheme, path: str) -> bool:
    return scheme.is_path or (scheme.may_be_path and path.startswith(("/", "~", ".")))


def _name_of(path: str) -> str:
    """The name of a task on disk: that of its folder, or of its file without the ending."""
    place = expanded(path).absolute()
    if place.name == "labels.csv":
        return place.parent.name
    return place.stem if place.suffix.lower() in (".npz", ".csv") else place.resolve().name or "root"


def open_source(uri: TaskUri, settings: OpenSettings) -> Source:
    """Opens a data set; nothing of a prepared TFDS set is decoded yet.

    Raises:
      DataError: missing, unreadable, or no classification task.
    """
    return SCHEMES[uri.scheme].open(uri, settings)


def _likely(text: str) -> str:
    """The URI that somebody meant who gave only this: of a file or folder that is there, else of a TFDS set."""
    path = expanded(text)
    if text and path.is_dir():
        return f"folder:{text}"
    return f"npz:{text}" if path.suffix == ".npz" else f"tfds:{text or 'mnist'}"
