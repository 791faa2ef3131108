"""Models with made-up weights, the same everywhere: what timm was once asked about, and where its answers are."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from munet.export.portable import PortableModel
from munet.vit import architecture
from munet.vit.architecture import component_leaves, get_variant, path_names

GOLDEN = Path(__file__).parent / "golden" / "timm.npz"
ADAPTERS = {"plain": (), "adapters": (1,)}  # by name: before which of the two blocks
SIZE, CLASSES, WIDTH = 32, 4, 8


def model(name: str) -> PortableModel:
    """A demo/16 of two blocks, plain or with an adapter."""
    variant = get_variant("demo/16")
    components: dict[str, dict[str, Any]] = {}
    for part in path_names(2, ADAPTERS[name]):
        leaves = component_leaves(variant, part, image_size=SIZE, adapter_dim=WIDTH, num_classes=CLASSES)
        components[part] = {path: _values(f"{part}/{path}", leaf.shape) for path, leaf in leaves.items()}
    return PortableModel("judged", variant, SIZE, 64, False, ("a", "b", "c", "d"), components)


def _values(key: str, shape: tuple[int, ...]) -> Any:
    """Around 1 for a norm's scale, around 0 elsewhere, with a spread that keeps activations of the order of 1."""
    words = np.random.Philox(key=int(hashlib.sha256(key.encode()).hexdigest()[:16], 16)).random_raw(int(np.prod(shape)))
    noise = (words >> np.uint64(40)).astype(np.float64) / (1 << 23) - 1  # uniform in [-1, 1)
    spread = 0.05 if key.startswith(architecture.EMBEDDING) else 0.2
    return (key.endswith("scale") + spread * noise).astype(np.float32).reshape(shape)


def digest(folder: Path) -> str:
    """Of every file of a folder, names too."""
    hasher = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        data = file.read_bytes()
        hasher.update(f"{file.name} {len(data)} ".encode() + data)
    return hasher.hexdigest()
