"""Makes `golden/timm.npz`: what timm, with `modeling_munet.py` where there are adapters, says of exported folders.

Needs torch and timm, which munet does not; run in an environment that has them beside munet's own packages:

    python -m tests.export.make_golden
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from munet.export import safetensors_timm
from munet.export.check import by_timm
from tests.export.judged import ADAPTERS, GOLDEN, digest, model
from tests.vit.make_timm_golden import images

if __name__ == "__main__":
    found: dict[str, Any] = {}
    for name in ADAPTERS:
        with tempfile.TemporaryDirectory() as folder:
            safetensors_timm.write(model(name), Path(folder))
            found[f"{name}_files"] = np.array(digest(Path(folder)))
            found[f"{name}_logits"] = by_timm(Path(folder), images())
    GOLDEN.parent.mkdir(exist_ok=True)
    np.savez_compressed(GOLDEN, **found)
