"""The readers that are fed with altered files: what is altered, who reads it, and which exceptions are theirs.

A target is made in an empty folder; `execute` alters a file of its corpus as the generator says, and has it read.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from etils import epath

from munet.config import Config, Experiment, Runtime
from munet.config.checks import validate
from munet.config.flags import Override, override
from munet.data import dna, npz, photos
from munet.data.folder.labels_csv import list_labels
from munet.data.open_settings import OpenSettings
from munet.data.photos import BadImageError
from munet.data.tasks import load_task, open_task
from munet.errors import UserError
from munet.roots.checkpoint import open_local
from munet.store import ComponentStore, Journal
from munet.system import view
from munet.training import save_manifest
from tests.fuzz.mutations import mutated, mutated_text, mutated_zip
from tests.store import journal_files
from tests.system.strangers import alter

CORPUS = Path(__file__).parent / "corpus"
_MEMORY = 1 << 30  # of the machine, as `npz:` and `dna:` are told: they take a quarter and a third of that


class Target(ABC):
    """A reader.

    Args:
      place: an empty folder, its own.
    """

    ours: ClassVar[tuple[type[Exception], ...]] = (UserError,)  # what it may raise

    def __init__(self, place: Path):
        self.place = place

    @abstractmethod
    def execute(self, draw: random.Random) -> None:
        """Alters a file and reads it; raises what the reader raises."""


class JournalEntries(Target):
    """Entries of a journal: their bytes altered, or what they say, with every hash made anew."""

    def __init__(self, place: Path):
        super().__init__(place)
        shutil.copytree(CORPUS / "run", place / "run")
        self._files = sorted((place / "run" / "journal").iterdir())
        self._sound = [file.read_bytes() for file in self._files]
        self._contents = [journal_files.read(file) for file in self._files]
        shutil.rmtree(place / "run" / "snapshots")  # they would be read instead

    def execute(self, draw: random.Random) -> None:
        index = draw.randrange(len(self._files))
        if draw.random() < 0.3:
            self._files[index].write_bytes(mutated(self._sound[index], draw, self._sound))
            changed = [index]
        else:
            changed = self._say(index, draw)
        try:
            if draw.random() < 0.5:
                list(Journal(self.place / "run" / "journal").entries())
            else:
                view.open(str(self.place / "run"))
        finally:
            for one in changed:
                self._files[one].write_bytes(self._sound[one])

    def _say(self, index: int, draw: random.Random) -> list[int]:
        """Lets an entry say something else, and those behind it follow on it; which were written."""
        content = json.loads(json.dumps(self._contents[index]))
        alter(content["entry"] if draw.random() < 0.9 else content, draw)
        _signed(self._files[index], content)
        previous = hashlib.sha256(self._files[index].read_bytes()).hexdigest()
        for later in range(index + 1, len(self._files)):
            journal_files.write(self._files[later], self._contents[later] | {"previous": previous})
            previous = hashlib.sha256(self._files[later].read_bytes()).hexdigest()
        return list(range(index, len(self._files)))


def _signed(file: Path, content: Any) -> None:
    """Writes an entry with its own hash, also one with numbers that munet's own writer refuses."""
    try:
        journal_files.write(file, content)
    except (ValueError, TypeError):
        rest = json.dumps({key: value for key, value in content.items() if key != "sha256"})[1:].encode() + b"\n"
        file.write_bytes(b'{"sha256":"' + hashlib.sha256(rest).hexdigest().encode() + b'",' + rest)


class Components(Target):
    """Component files: bytes, or the JSON of the header."""

    def __init__(self, place: Path):
        super().__init__(place)
        files = sorted((CORPUS / "run" / "components").iterdir())
        self._sound = {file.stem: file.read_bytes() for file in files}
        self._store = ComponentStore(place)

    def execute(self, draw: random.Random) -> None:
        identity = draw.choice(sorted(self._sound))
        data = self._sound[identity]
        altered = mutated(data, draw) if draw.random() < 0.4 else _header_altered(data, draw)
        (self.place / f"{identity}.safetensors").write_bytes(altered)
        draw.choice([self._store.record, self._store.get, self._store.load])(identity)


def _header_altered(data: bytes, draw: random.Random) -> bytes:
    """A safetensors file whose header says something else, by its own length or a wrong one."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    record = header.get("__metadata__", {}).get("munet")
    if record is not None and draw.random() < 0.5:
        said = json.loads(record)
        alter(said, draw)
        header["__metadata__"]["munet"] = json.dumps(said)
    else:
        alter(header, draw)
    text = json.dumps(header).encode()
    declared = len(text) if draw.random() < 0.9 else draw.choice([0, 1, len(text) + 7, 1 << 23, 1 << 40, 1 << 63])
    return declared.to_bytes(8, "little") + text + data[8 + length :]


class Snapshots(Target):
    """Snapshots: bytes, or the state in them, with its hash made anew."""

    def __init__(self, place: Path):
        super().__init__(place)
        shutil.copytree(CORPUS / "run", place / "run")
        self._file = max((place / "run" / "snapshots").iterdir())
        for older in set(self._file.parent.iterdir()) - {self._file}:
            older.unlink()
        self._sound = self._file.read_bytes()

    def execute(self, draw: random.Random) -> None:
        self._file.write_bytes(mutated(self._sound, draw) if draw.random() < 0.3 else self._say(draw))
        opened = view.open(str(self.place / "run"))
        assert set(opened.models) <= {"task0", "task1"}

    def _say(self, draw: random.Random) -> bytes:
        head, state = (json.loads(line) for line in self._sound.splitlines())
        alter(state if draw.random() < 0.9 else head, draw)
        body = json.dumps(state).encode() + b"\n"
        return json.dumps(head | {"sha256": hashlib.sha256(body).hexdigest()}).encode() + b"\n" + body


class Manifests(Target):
    """Manifests of saves in flight: bytes, or what they say, with the hash made anew."""

    ours = (UserError, ValueError, OSError)  # what `check` documents; whoever calls it tells and leaves the save aside

    def __init__(self, place: Path):
        super().__init__(place)
        for number, name in enumerate(("manifest.ocdbt", "d/0a1b", "_CHECKPOINT_METADATA")):
            (place / name).parent.mkdir(exist_ok=True)
            (place / name).write_bytes(random.Random(number).randbytes(50))
        save_manifest.write(epath.Path(place))
        self._file = place / save_manifest.FILE
        self._sound = self._file.read_bytes()

    def execute(self, draw: random.Random) -> None:
        if draw.random() < 0.3:
            self._file.write_bytes(mutated(self._sound, draw))
        else:
            content = json.loads(self._sound.splitlines()[0])
            alter(content, draw)
            body = json.dumps(content).encode()
            self._file.write_bytes(body + b"\n" + hashlib.sha256(body).hexdigest().encode() + b"\n")
        save_manifest.check(epath.Path(self.place))


class Npz(Target):
    """`npz:` data sets: bytes, or arrays and headers inside a sound zip file."""

    scheme, module = "npz", npz

    def __init__(self, place: Path):
        super().__init__(place)
        self._sound = [file.read_bytes() for file in sorted((CORPUS / self.scheme).iterdir())]
        self.module.host_memory = lambda: _MEMORY  # type: ignore[attr-defined]

    def execute(self, draw: random.Random) -> None:
        data = draw.choice(self._sound)
        file = self.place / "x.npz"
        file.write_bytes(mutated(data, draw, self._sound) if draw.random() < 0.4 else mutated_zip(data, draw))
        self.load(f"{self.scheme}:{file}")

    def load(self, uri: str) -> None:
        load_task(uri, cache_dir="off", max_image_size=4)


class Dna(Npz):
    """`dna:` data sets likewise."""

    scheme, module = "dna", dna

    def load(self, uri: str) -> None:
        open_task(uri, OpenSettings(objectives=("value",))).split("train")


class RootNpz(Target):
    """Roots in augreg's layout."""

    def __init__(self, place: Path):
        from tests.vit.test_fuzz import valid_npz

        super().__init__(place)
        self._sound = valid_npz()

    def execute(self, draw: random.Random) -> None:
        file = self.place / "x.npz"
        file.write_bytes(mutated(self._sound, draw) if draw.random() < 0.5 else mutated_zip(self._sound, draw))
        open_local("fuzz", file).load(1, 48)


class RootSafetensors(Target):
    """Roots as safetensors: bytes, or the JSON of the header."""

    def __init__(self, place: Path):
        from tests.vit.test_fuzz import valid_safetensors

        super().__init__(place)
        self._sound = valid_safetensors()

    def execute(self, draw: random.Random) -> None:
        file = self.place / "x.safetensors"
        is_raw = draw.random() < 0.4
        file.write_bytes(mutated(self._sound, draw) if is_raw else _header_altered(self._sound, draw))
        open_local("fuzz", file).load(1, 48)


class Images(Target):
    """Image files of every format that is read."""

    ours = (BadImageError,)

    def __init__(self, place: Path):
        super().__init__(place)
        self._sound = [file.read_bytes() for file in sorted((CORPUS / "images").iterdir())]

    def execute(self, draw: random.Random) -> None:
        data = mutated(draw.choice(self._sound), draw, self._sound)
        with photos.quietly():
            photos.read_header(data)
            pixels = photos.decode(data, draw.choice([None, 5]))
        assert pixels.dtype == np.uint8


class Labels(Target):
    """`labels.csv`."""

    def __init__(self, place: Path):
        super().__init__(place)
        self._sound = [file.read_bytes() for file in sorted((CORPUS / "labels").iterdir())]
        for number in range(6):
            (place / f"{number}.png").touch()

    def execute(self, draw: random.Random) -> None:
        file = self.place / "labels.csv"
        file.write_bytes(mutated(draw.choice(self._sound), draw, self._sound))
        list_labels("folder:x", file)


class ConfigValues(Target):
    """`--config.NAME=VALUE`: the values of all settings, altered or swapped."""

    def __init__(self, place: Path):
        super().__init__(place)
        lines = (CORPUS / "config" / "values.txt").read_text().splitlines()
        self._pairs = [line.partition("=")[::2] for line in lines]
        self._values = [value for _, value in self._pairs]

    def execute(self, draw: random.Random) -> None:
        given = []
        for _ in range(draw.randint(1, 3)):
            name, value = draw.choice(self._pairs)
            value = draw.choice(self._values) if draw.random() < 0.5 else value
            text = mutated_text(value, draw, self._values) if draw.random() < 0.8 else value
            given.append(Override(mutated_text(name, draw) if draw.random() < 0.1 else name, text))
        validate(override(Config(Experiment(tasks=("builtin:digits",)), Runtime()), given))


TARGETS: dict[str, type[Target]] = {
    "journal": JournalEntries,
    "components": Components,
    "snapshots": Snapshots,
    "manifests": Manifests,
    "npz": Npz,
    "dna": Dna,
    "npz_roots": RootNpz,
    "safetensors": RootSafetensors,
    "images": Images,
    "labels": Labels,
    "config": ConfigValues,
}
