"""A root on this machine, checked as far as its headers go; and the opening of files of each format."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from munet.errors import CheckpointError
from munet.roots import cached_files
from munet.vit.architecture import Variant
from munet.vit.augreg import Components, describe_augreg, load_augreg
from munet.vit.foreign import describe_tensors, load_tensors
from munet.vit.headers import Facts

FORMATS = (".npz", ".safetensors")
_PICKLED = (".bin", ".pth", ".pt", ".ckpt", ".pkl", ".pickle", ".joblib")
_OTHERS = {
    ".h5": "a Keras file", ".keras": "a Keras file", ".onnx": "an ONNX file", ".msgpack": "a Flax file",
    ".gguf": "a GGUF file", ".zip": "packed: unpack it", ".tar": "packed: unpack it", ".gz": "packed: unpack it",
}  # fmt: skip
_MODEL = "model.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A root that can be loaded.

    Attributes:
      reference: as a person named it.
      name: a short name for the journal: the file's.
      sha256: of what decides its values; the same root at another place has the same one.
      facts: what its headers say.
      place: where it is, for people.
    """

    reference: str
    name: str
    sha256: str
    facts: Facts
    place: str
    _load: Callable[[int, int | None], Components] = field(repr=False, compare=False)

    @property
    def variant(self) -> Variant:
        """The ViT variant that the checkpoint is of."""
        return self.facts.variant

    @property
    def num_blocks(self) -> int:
        """Transformer blocks that are there."""
        return self.facts.num_blocks

    def load(self, num_blocks: int, image_size: int | None = None) -> Components:
        """Every component but the head, float32.

        Args:
          num_blocks: how many of its first blocks.
          image_size: pixels on a side that the position embedding is resized to; None: it is as stored.

        Raises:
          CheckpointError: the arrays do not fit the architecture, are damaged, or not finite.
        """
        return self._load(num_blocks, image_size)


def open_local(reference: str, path: Path, sha256: str = "") -> Checkpoint:
    """The checkpoint in a file, or in a folder as Hugging Face keeps models.

    Args:
      reference: as a person named it.
      path: of the file or the folder.
      sha256: the file's hash where it is known; "": it is computed.

    Raises:
      CheckpointError: missing, damaged, of another format, or no ViT of ours; the message says what to do.
    """
    path = _in_folder(path) if path.is_dir() else path
    facts, scaling = describe(path)
    digest = sha256 or cached_files.file_sha256(path)
    if scaling:
        # The same file with another scaling of pixels is another root.
        digest = hashlib.sha256(f"{digest} {json.dumps(scaling)}".encode()).hexdigest()
    if path.suffix == ".npz":
        variant = facts.variant
        return Checkpoint(
            reference,
            path.name,
            digest,
            facts,
            str(path),
            lambda blocks, size: load_augreg(path, variant, blocks, size),
        )
    name = f"{path.parent.resolve().name}/{path.name}" if path.name == _MODEL else path.name
    return Checkpoint(reference, name, digest, facts, str(path), lambda blocks, size: load_tensors(path, blocks, size))


def describe(path: Path, suffix: str = "") -> tuple[Facts, list[object]]:
    """What a file holds, and how it scales pixels if otherwise than we do.

    Args:
      path: of the file.
      suffix: of its name when it has its final one; "": as it is.

    Raises:
      CheckpointError: as `open_local`.
    """
    suffix = suffix or path.suffix
    check_format(str(path), suffix)
    if suffix == ".npz":
        return describe_augreg(path), []
    facts, config = describe_tensors(path)
    return facts, [] if config.is_scaled_as_ours else [config.mean, config.std]


def check_format(name: str, suffix: str) -> None:
    """Refuses what no reader of ours takes, by the ending of its name.

    Raises:
      CheckpointError: says what to convert it with.
    """
    if suffix in FORMATS:
        return
    if suffix in _PICKLED:
        raise CheckpointError(
            f"{name} is a pickle, which can run any program when it is read: refused. Convert it where you trust it: "
            "safetensors.torch.save_file(torch.load(FILE, weights_only=True), 'model.safetensors')."
        )
    what = _OTHERS.get(suffix, f"of no format that munet reads ({suffix or 'no ending'})")
    raise CheckpointError(f"{name} is {what}. Expected {' or '.join(FORMATS)}, or a folder with {_MODEL}.")


def _in_folder(folder: Path) -> Path:
    if (folder / _MODEL).is_file():
        return folder / _MODEL
    if (folder / f"{_MODEL}.index.json").is_file():
        raise CheckpointError(
            f"{folder} holds a model in several files: save it as one (save_pretrained(..., max_shard_size='10GB'))."
        )
    if (folder / "journal").is_dir():
        raise CheckpointError(
            f"{folder} is a run of munet: to begin with one of its models give munet:{folder}?task=TASK."
        )
    found = sorted(file.name for file in folder.iterdir() if file.suffix in (*FORMATS, *_PICKLED))
    if pickled := [name for name in found if Path(name).suffix in _PICKLED]:
        check_format(str(folder / pickled[0]), Path(pickled[0]).suffix)
    choices = f" It has {', '.join(found[:5])}: give the file itself." if found else ""
    raise CheckpointError(f"The folder {folder} has no {_MODEL}.{choices}")
