"""munet: evolves one pretrained ViT into a single system that solves many image-classification tasks."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from munet.models.root import load_root
    from munet.system import open

__version__ = "0.1.0"

__all__ = ["__version__", "load_root", "open"]

# Public names by the module that holds them: imported when first used, so that `munet --help` need not wait for JAX.
_LAZY = {
    "load_root": "munet.models.root",
    "open": "munet.system",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
