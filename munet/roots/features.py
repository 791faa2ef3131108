"""`munet.load_root`: whatever names a root, as a feature extractor."""

from __future__ import annotations

from pathlib import Path

from munet.errors import UserError
from munet.roots.resolve import DEMO, find
from munet.vit.root import Root


def load_root(
    path: str | Path = DEMO, image_size: int = 32, num_layers: int | None = None, cache_dir: str = ""
) -> Root:
    """Reads a pretrained root as a feature extractor.

    Args:
      path: a file, or anything else that `experiment.root` may be: see `munet.roots.resolve`.
      image_size: pixels on a side, a multiple of the patch; the position embedding is resized to it.
      num_layers: how many of its first blocks to use; None: all that are there.
      cache_dir: where downloads are kept; "": `$MUNET_CACHE_DIR`, else `~/.cache/munet`.

    Raises:
      CheckpointError: the file is missing, damaged, or of no known architecture.
      UserError: an image size or a number of layers that cannot be.
    """
    checkpoint = find(path, cache_dir)
    variant, available = checkpoint.variant, checkpoint.num_blocks
    num_blocks = available if num_layers is None else num_layers
    if not 1 <= num_blocks <= available:
        raise UserError(f"num_layers={num_layers}: expected 1 to {available}, the blocks in {checkpoint.place}.")
    if image_size < variant.patch_size or image_size % variant.patch_size:
        below = max(image_size // variant.patch_size, 1) * variant.patch_size
        raise UserError(
            f"image_size={image_size} is no multiple of {variant.name}'s patch size {variant.patch_size}: "
            f"use {below} or {below + variant.patch_size}."
        )
    return Root(variant, num_blocks, image_size, checkpoint.load(num_blocks, image_size))
