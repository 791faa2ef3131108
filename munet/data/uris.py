"""Task URIs and where each kind of data set is opened: one table from scheme to opener.

`tfds:mnist`, `tfds:cmaterdb/bangla`, `tfds:omniglot?split=clean`, `tfds:omniglot?alphabet=Korean`,
`tfds:NAME?train=train[5%:]&validation=train[:5%]`, `npz:/path.npz`, `folder:/path`, `builtin:digits`,
`builtin:glyphs/<script>`, `hf:NAME?label=...`, `memory:NAME` (arrays handed over in Python),
`muir:/path.npz?task=7&noisy=true` (one of many tasks of values in a file), `text:/path` (a text by bytes),
`text:/path?unit=words` (by words), `dna:/path.npz?length=201` (measured windows of nucleotides). Sets of TFDS, of
Hugging Face and built-in ones may be changed: `?rotate=90` (`changed.py`). Any of them may have a name in front,
`birds=folder:/data/a/images`, which the task then has.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from munet.data import changed
from munet.data.open_settings import OpenSettings, TaskUri
from munet.data.splits import Source
from munet.errors import DataError, nearest
from munet.paths import expanded
from munet.store.folders import is_remote
from munet.text import printable
from munet.types import TaskName

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
      has_changes: the options of `changed.py` may follow, which make another task of a set.
      is_decoded_whole: images are pixels before they are squashed; else files are squashed while they are decoded.
    """

    opener: str
    is_path: bool = False
    has_options: bool = False
    may_be_path: bool = False
    path_options: tuple[str, ...] = ()
    has_changes: bool = False
    is_decoded_whole: bool = True

    def open(self, uri: TaskUri, settings: OpenSettings) -> Source:
        """Opens a data set of this kind; raises `DataError`."""
        module, _, function = self.opener.partition(":")
        opener = cast(Opener, getattr(importlib.import_module(f"munet.data.{module}"), function))
        return changed.open_changed(uri, settings, opener) if self.has_changes else opener(uri, settings)


SCHEMES = {
    "tfds": Scheme("tfds.tfds:open_prepared", has_options=True, has_changes=True),
    "npz": Scheme("npz:open_npz", is_path=True),
    "builtin": Scheme("builtin.builtin:open_builtin", has_changes=True),
    "folder": Scheme("folder.folder:open_folder", is_path=True, path_options=("range",), is_decoded_whole=False),
    "hf": Scheme(
        "hub.hub:open_hugging_face", has_options=True, may_be_path=True, has_changes=True, is_decoded_whole=False
    ),
    "memory": Scheme("memory:open_memory"),
    "muir": Scheme("muir:open_muir", is_path=True, path_options=("task", "noisy")),
    "text": Scheme("text:open_text", is_path=True, path_options=("unit",)),
    "dna": Scheme("dna:open_dna", is_path=True, path_options=("length",)),
}


def parse_uri(uri: str) -> TaskUri:
    """Parses a task URI.

    A task is called as its URI says (`birds=folder:/data/a/images`), else as its URI without scheme and options; one on
    disk as its folder or symbolic link, or as its file without the ending.

    Raises:
      DataError: no or an unknown scheme, nothing after it, options that are not `name=value`, or no name before `=`.
    """
    head, colon, rest = uri.partition(":")
    given, equals, name = head.rpartition("=")
    if equals and name in SCHEMES:
        _check_given(uri, given)
    if not colon:
        examples = " or ".join(dict.fromkeys((_likely(uri), "builtin:digits")))
        raise DataError(f"{uri!r} is no task URI: a scheme is missing, e.g. {examples}.")
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
    known = changed.CHANGES if scheme.has_changes else ()
    if (own := [key for key in options if key not in known]) and not (scheme.has_options or scheme.path_options):
        raise DataError(f"{uri}: a {name} task has no option {own[0]!r}; {_takes(known, own)}.")
    task = _name_of(path) if is_path else path
    parts = [options[key] for key in ("config", "task", "alphabet") if key in options]
    parts += ["noisy"] if options.get("noisy") == "true" else []
    task = "/".join([task, *parts])
    called = changed.name_of(uri, task, options) if known else task  # refuses what the options cannot mean
    return TaskUri(uri, name, path, given or called, options)


def _takes(known: Sequence[str], given: Sequence[str]) -> str:
    """What to do with options that a task does not have."""
    return f"it takes {', '.join(known)}" if known else f"remove {', '.join(given)}"


def _check_given(uri: str, name: str) -> None:
    """Refuses names that could not be given on a command line, or that nobody could read.

    Raises:
      DataError: it is one.
    """
    if not name or name != name.strip() or set(name) & set(",=?") or printable(name) != name:
        raise DataError(
            f"{printable(uri)}: a task cannot be called '{printable(name)}'. Expected any letters but , = ? : and "
            "line breaks, without blanks around them, e.g. birds=folder:/data/a/images."
        )


def as_begun(uri: str, name: TaskName) -> str:
    """A task's URI as a run knows the task that began when folders behind symbolic links were called as these lead.

    Args:
      uri: as it is given now.
      name: of the task in the run.

    Raises:
      DataError: as `parse_uri`.
    """
    task = parse_uri(uri)
    if task.name == name or not _is_path(SCHEMES[task.scheme], task.path) or is_remote(task.path):
        return uri
    return f"{name}={uri}" if expanded(task.path).resolve().name == name else uri


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
    """The name of a task on disk: that of its folder, as it is written, or of its file without the ending."""
    place = Path(os.path.abspath(expanded(path)))  # noqa: PTH100 - without following links, and without `..`
    if place.name == "labels.csv":
        return place.parent.name
    return place.stem if place.suffix.lower() in (".npz", ".csv", ".txt") else place.name or "root"


def open_source(uri: TaskUri, settings: OpenSettings) -> Source:
    """Opens a data set; nothing of a prepared TFDS set is decoded yet.

    Raises:
      DataError: missing, unreadable, or no classification task.
    """
    return SCHEMES[uri.scheme].open(uri, settings)


def _likely(text: str) -> str:
    """The URI that somebody meant who gave only this: of a file or folder there, a built-in set, else of a TFDS set."""
    path = expanded(text)
    if text and path.is_dir():
        return f"folder:{text}"
    if text == "digits" or text.startswith("glyphs/"):
        return f"builtin:{text}"
    return f"npz:{text}" if path.suffix == ".npz" else f"tfds:{text or 'mnist'}"
