"""Low-rank updates folded into the weights that they update, for programs that know plain ViTs only (LoRA, 4.1)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from munet.types import ComponentName
from munet.vit.architecture import LORA_PROJECTIONS, block_name, is_lora, layer_index

FlatArrays = Mapping[str, np.ndarray]  # arrays of one component by path


def merge_lora(components: Mapping[ComponentName, FlatArrays]) -> dict[ComponentName, FlatArrays]:
    """The same function without low-rank updates: `W + A B` where block i has a `lora_i`; all else is as it was.

    Equal up to float32 rounding: the sum is rounded once more than the two products apart.
    """
    merged = {name: arrays for name, arrays in components.items() if not is_lora(name)}
    for name in components.keys() - merged.keys():
        block = block_name(layer_index(name) or 0)
        arrays = dict(merged[block])
        for projection in LORA_PROJECTIONS:
            path = f"MultiHeadDotProductAttention_1/{projection}/kernel"
            first, second = components[name][f"{projection}/A"], components[name][f"{projection}/B"]
            product = np.tensordot(first.astype(np.float64), second.astype(np.float64), axes=1)
            arrays[path] = (arrays[path] + product).astype(arrays[path].dtype)
        merged[block] = arrays
    return merged
