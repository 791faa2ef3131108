"""munet: evolves one pretrained ViT into a single system that solves many image-classification tasks."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from munet.api import evolve, verify
    from munet.data.array_task import ArrayTask as Task
    from munet.growing import extend, forget
    from munet.roots.features import load_root
    from munet.system.system import System, open

__version__ = "0.3.0"

__all__ = ["System", "Task", "__version__", "evolve", "extend", "forget", "load_root", "open", "verify"]

# Public names by the module that holds them: imported when first used, so that `munet --help` need not wait for JAX.
_LAZY = {
    "System": "munet.system.system:System",
    "Task": "munet.data.array_task:ArrayTask",
    "evolve": "munet.api:evolve",
    "extend": "munet.growing:extend",
    "forget": "munet.growing:forget",
    "load_root": "munet.roots.features:load_root",
    "open": "munet.system.system:open",
    "verify": "munet.api:verify",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _LAZY[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return [*globals(), *_LAZY]
