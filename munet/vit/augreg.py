"""Root checkpoints in the public augreg `.npz` layout, in and out: flat keys with "/".

All problems of names and shapes are reported together, before memory is taken for any array.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

import numpy as np

from munet.errors import CheckpointError, nearest
from munet.npz_headers import ArrayHeader
from munet.types import ComponentName
from munet.vit import architecture
from munet.vit.architecture import (
    CLS,
    HEAD,
    NORM,
    POSITION,
    Variant,
    block_name,
    component_leaves,
    is_adapter,
    is_block,
)
from munet.vit.headers import Facts, listing, variant_of
from munet.vit.init import merge_lora, resize_position_embedding
from munet.vit.npz_file import DTYPES, open_npz

Components = dict[ComponentName, dict[str, np.ndarray]]  # arrays by path inside each component

_TRANSFORMER = "Transformer/"
_POSITION_KEY = f"{_TRANSFORMER}{POSITION}/pos_embedding"
_PRETRAINING = ("head/", "pre_logits/")  # layers of the pretraining task, left out
_MAX_POSITIONS = 1 << 14  # 2,048-pixel images; more can only be a damaged or hostile header


def demo_root_path() -> Path:
    """The demo's root, shipped in the package; its card is beside it."""
    return Path(architecture.__file__).parent.parent / "assets" / "demo16_3blocks_32px.npz"


def load_augreg(path: str | Path, variant: Variant, num_blocks: int, image_size: int | None = None) -> Components:
    """Reads a root: every component but the head, float32.

    The position embedding is resized to `image_size` (pixels on a side); None: it is as stored.

    Blocks above `num_blocks`, the pretraining head and `pre_logits` are left out.

    Raises:
      CheckpointError: not such a file, damaged, or not of this architecture; one message with every problem.
    """
    head = f"{path} does not fit {variant.name} with {num_blocks} blocks"
    components: Components = {}
    with open_npz(path) as archive:
        stored_size = _image_size(archive.headers, variant)
        wanted = {
            _key(name, leaf_path): (name, leaf_path, leaf.shape)
            for name in architecture.path_names(num_blocks)
            if name != HEAD
            for leaf_path, leaf in component_leaves(
                variant, name, image_size=stored_size or image_size or variant.patch_size, adapter_dim=0, num_classes=0
            ).items()
        }
        shapes = {key: shape for key, (_, _, shape) in wanted.items()}
        if problems := _problems(archive.headers, shapes, variant, num_blocks, stored_size):
            raise CheckpointError(listing(head, problems))
        for key, (name, leaf_path, _) in wanted.items():
            array = archive.read(key)
            if not np.isfinite(array).all():
                problems.append(f"{key}: holds NaN or infinite values")
            components.setdefault(name, {})[leaf_path] = array
    if problems:
        raise CheckpointError(listing(head, problems))
    if stored_size and image_size:
        position = components[POSITION]
        position["pos_embedding"] = resize_position_embedding(
            position["pos_embedding"], stored_size, image_size, variant.patch_size
        )
    return components


def describe_augreg(path: str | Path) -> Facts:
    """What a checkpoint holds, from its headers alone.

    Raises:
      CheckpointError: not such a file, or of no variant that we know.
    """
    with open_npz(path) as archive:
        headers = archive.headers
    variant = _variant(path, headers)
    if (size := _image_size(headers, variant)) is None:
        raise CheckpointError(
            f"{path} is no ViT in the augreg layout: {_POSITION_KEY} is missing or has no valid shape."
        )
    head = headers["head/kernel"].shape if "head/kernel" in headers else ()
    return Facts("augreg", variant, _num_blocks(headers), size, head[-1] if head else 0)


def inspect(path: str | Path) -> tuple[str, int]:
    """The variant's name and the number of blocks of a checkpoint, from its headers alone.

    Raises:
      CheckpointError: not such a file, or of no variant that we know.
    """
    with open_npz(path) as archive:
        return _variant(path, archive.headers).name, _num_blocks(archive.headers)


def _variant(path: str | Path, headers: Mapping[str, ArrayHeader]) -> Variant:
    mlp_key = _key(block_name(0), "MlpBlock_3/Dense_0/kernel")
    if "embedding/kernel" not in headers or mlp_key not in headers:
        found = ", ".join(sorted(headers)[:8]) + (", ..." if len(headers) > 8 else "")
        raise CheckpointError(
            f"{path} is no ViT in the augreg layout: embedding/kernel or {mlp_key} is missing. It holds: {found[:400]}."
        )
    kernel, mlp = headers["embedding/kernel"].shape, headers[mlp_key].shape
    if len(kernel) == 4 and kernel[0] == kernel[1] and kernel[2] == architecture.CHANNELS and mlp[:1] == kernel[3:]:
        variant = variant_of(kernel[3], mlp[-1], kernel[0])
        if variant is not None:
            return variant
    raise CheckpointError(
        f"{path} is of no known variant: embedding/kernel has shape {kernel}, {mlp_key} {mlp}. "
        f"Known variants: {', '.join(architecture.VARIANTS)}."
    )


def save_augreg(path: str | Path | IO[bytes], components: Mapping[ComponentName, Mapping[str, np.ndarray]]) -> None:
    """Writes components (with or without a head) so that other programs read them as a plain ViT.

    The same components give the same bytes. Low-rank updates are merged into their blocks.

    Args:
      path: where to, or an open binary file.
      components: arrays by component and path.

    Raises:
      CheckpointError: there are residual adapters, for which the layout has no place.
    """
    adapters = [name for name in components if is_adapter(name)]
    if adapters:
        raise CheckpointError(f"The augreg layout has no place for {', '.join(adapters)}: export without adapters.")
    flat = {
        _key(name, leaf): array for name, leaves in merge_lora(components).items() for leaf, array in leaves.items()
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for key in sorted(flat):
            # A ZipInfo of our own has a fixed date, where numpy.savez would write today's.
            with archive.open(zipfile.ZipInfo(f"{key}.npy"), "w") as member:
                np.lib.format.write_array(member, np.ascontiguousarray(flat[key]), allow_pickle=False)


def _key(name: ComponentName, leaf_path: str) -> str:
    if name == CLS:
        return leaf_path  # the array `cls` of the component `cls` is a top-level key
    prefix = _TRANSFORMER if name in (POSITION, NORM) or is_block(name) else ""
    return f"{prefix}{name}/{leaf_path}"


def _block_prefixes(indices: Iterable[int]) -> tuple[str, ...]:
    return tuple(f"{_TRANSFORMER}{block_name(index)}/" for index in indices)


def _num_blocks(keys: Iterable[str]) -> int:
    return len({key.split("/")[1] for key in keys if key.startswith(f"{_TRANSFORMER}encoderblock_")})


def _image_size(headers: Mapping[str, ArrayHeader], variant: Variant) -> int | None:
    """Pixels on a side that the position embedding was made for; None if its shape makes no sense."""
    shape = headers[_POSITION_KEY].shape if _POSITION_KEY in headers else ()
    if len(shape) != 3 or not 2 <= shape[1] <= _MAX_POSITIONS:
        return None
    grid = math.isqrt(shape[1] - 1)
    return grid * variant.patch_size if grid * grid == shape[1] - 1 else None


def _problems(
    headers: Mapping[str, ArrayHeader],
    wanted: Mapping[str, tuple[int, ...]],
    variant: Variant,
    num_blocks: int,
    stored_size: int | None,
) -> list[str]:
    """What stands between the file and the architecture."""
    problems = []
    available = _num_blocks(headers)
    absent = _block_prefixes(range(available, num_blocks) if available else ())
    if absent:
        problems.append(f"only {available} blocks are there: use num_blocks={available} or fewer")
    for key, shape in wanted.items():
        if key not in headers:
            if not key.startswith(absent):  # said above, once for all
                problems.append(f"{key}: is missing")
            continue
        header = headers[key]
        expected = f"{shape}"
        if key == _POSITION_KEY and stored_size is None:
            expected = f"(1, 1 + a square number of patches, {variant.width})"
        if str(header.shape) != expected:
            problems.append(f"{key}: shape {header.shape}, expected {expected}")
        if header.dtype.name not in DTYPES:
            problems.append(f"{key}: type {header.dtype.name}, expected one of {', '.join(DTYPES)}")
    left_out = (*_PRETRAINING, *_block_prefixes(range(num_blocks, variant.max_blocks)))
    for key in headers:
        if key not in wanted and not key.startswith(left_out):
            problems.append(f"{key}: has no place in {variant.name}. {nearest(key, wanted)}")
    return problems
