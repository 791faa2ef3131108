"""A checkpoint file before its arrays are read, whatever its format: what its headers say, what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath
from typing import IO

from etils import epath

from munet.errors import CheckpointError, nearest
from munet.vit import architecture
from munet.vit.architecture import HEAD, Variant


@dataclass(frozen=True)
class Facts:
    """A root before its arrays are read.

    Attributes:
      layout: whose names the arrays have: `augreg`, `timm`, `transformers` or `munet`.
      variant: the architecture.
      num_blocks: transformer blocks that are there.
      image_size: pixels on a side that its position embedding is for.
      num_classes: outputs of its head, which a root leaves out; 0: it has none.
      adapters: indices of the blocks with a residual adapter before them, which only models of ours have.
      adapter_dim: inner width of these; 0: there are none.
      notes: what a person should know.
    """

    layout: str
    variant: Variant
    num_blocks: int
    image_size: int
    num_classes: int = 0
    adapters: tuple[int, ...] = ()
    adapter_dim: int = 0
    notes: tuple[str, ...] = ()

    @property
    def num_params(self) -> int:
        """Parameters without the head."""
        sizes = {"image_size": self.image_size, "adapter_dim": self.adapter_dim}
        names = [name for name in architecture.path_names(self.num_blocks, self.adapters) if name != HEAD]
        return sum(architecture.num_params(self.variant, name, **sizes) for name in names)


def variant_of(width: int, mlp_dim: int, patch_size: int) -> Variant | None:
    """The variant of these sizes, if we know one."""
    return next(
        (
            variant
            for variant in architecture.VARIANTS.values()
            if (variant.width, variant.mlp_dim, variant.patch_size) == (width, mlp_dim, patch_size)
        ),
        None,
    )


_MAX_LISTED = 20  # problems in one message; a foreign file has hundreds of the same kind
_MAX_LINE = 240  # characters of one problem; names in a damaged file may be of any length


def open_file(path: str | PurePath) -> IO[bytes]:
    """The file, for reading bytes; local, or wherever epath can read.

    Raises:
      CheckpointError: it is not there (the nearest name is), or cannot be opened.
    """
    place = epath.Path(path)
    try:
        file: IO[bytes] = place.open("rb")
    except FileNotFoundError:
        folder = place.parent
        if not folder.is_dir():
            raise CheckpointError(f"There is no checkpoint {path}: the folder {folder} does not exist.") from None
        files = [file.name for file in folder.iterdir() if file.suffix in (".npz", ".safetensors")]
        advice = nearest(place.name, files) if files else "Its folder holds no .npz or .safetensors file."
        raise CheckpointError(f"There is no checkpoint {path}. {advice}") from None
    except (OSError, ImportError) as error:  # ImportError: a remote place without the package that reads it
        raise CheckpointError(f"The checkpoint {path} cannot be opened: {error}") from error
    return file


def listing(head: str, problems: Iterable[str]) -> str:
    """One message of several problems, sorted; of very many the first ones and how many there are."""
    found = sorted(problems)
    lines = [line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]}..." for line in found[:_MAX_LISTED]]
    if len(found) > _MAX_LISTED:
        lines.append(f"... and {len(found) - _MAX_LISTED:,} more")
    return "\n  - ".join([f"{head}:", *lines])
