"""How to get TFDS sets that are not prepared yet: one answer for all of them together."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from munet.errors import DataError, did_you_mean, nearest

_NOTES = {
    "visual_domain_decathlon/imagenet12": (
        "its images come from image-net.org, for registered users. Where the download fails: put their "
        "decathlon-1.0-data-imagenet.tar (6.5 GB) into a folder and add --manual_dir=FOLDER"
    ),
}


class MissingSetError(DataError):
    """A TFDS set that is not prepared.

    Attributes:
      uri: the task that asks for it.
      name: of the set, with its config.
      root: where it was looked for.
      prepared: names of the sets that are there.
    """

    def __init__(self, uri: str, name: str, root: str, prepared: Sequence[str]):
        self.uri, self.name, self.root, self.prepared = uri, name, root, tuple(prepared)
        near = nearest(name, prepared, listed="Prepared there") if prepared else "Nothing is prepared there."
        super().__init__(f"{uri}: the set {name!r} is not prepared in {root}. {near}\n{how_to_get([self])}")

    @property
    def short(self) -> str:
        """What is missing, without the way to get it."""
        return f"tfds:{self.name} is not prepared in {self.root}. {did_you_mean(self.name, self.prepared)}".rstrip()


def how_to_get(missing: Sequence[MissingSetError]) -> str:
    """What to do about sets that were all looked for in one place: the commands, and what they cannot do alone."""
    root = missing[0].root
    unknown = {item.name: reason for item in missing if (reason := _why_not_made(item.name))}
    lines = []
    if names := [item.name for item in missing if item.name not in unknown]:
        it = "it" if len(names) == 1 else "them"
        lines += [
            f"To prepare {it}, once, which needs TensorFlow and the network:",
            "    pip install -e '.[tfds-prepare]'    # in munet's folder",
            f"    tfds build {' '.join(names)} --file_format=array_record --data_dir={root}",
            *(f"  {name}: {note}." for name in names if (note := _note(name))),
        ]
    lines += [f"TFDS cannot make {name}: {reason}" for name, reason in unknown.items()]
    return "\n".join([*lines, "Where prepared sets are in another folder: --config.data_dir=DIR or $TFDS_DATA_DIR."])


def _why_not_made(name: str) -> str:
    """Why `tfds build` would not know a set; "" if it would."""
    dataset, _, config = name.partition("/")
    tfds = _tfds()
    builders = tfds.list_builders(with_community_datasets=False)
    if dataset not in builders:
        hint = did_you_mean(dataset, builders) or "It has no set of that name."
        return f"{hint} If it was prepared elsewhere, copy its folder."
    configs = [item.name for item in tfds.builder_cls(dataset).BUILDER_CONFIGS or ()]
    if config and config not in configs:
        return nearest(config, configs) if configs else f"{dataset} has no configs; leave out '/{config}'."
    return ""


def _note(name: str) -> str:
    """What a set needs beside the command; "" for most."""
    instructions = _tfds().builder_cls(name.partition("/")[0]).MANUAL_DOWNLOAD_INSTRUCTIONS
    if name in _NOTES or not instructions:
        return _NOTES.get(name, "")
    text = " ".join(textwrap.dedent(instructions).split()).rstrip(".")
    return f"download it by hand into a folder and add --manual_dir=FOLDER. {text}"


def _tfds() -> Any:
    """The package, which takes most of a second to import: only for a set that is missing."""
    import tensorflow_datasets

    return tensorflow_datasets
