"""Makes `golden/timm_ti16_features.npz`: what timm, an independent reader of the layout, says about the shared root.

Needs torch and timm, which munet does not; run in an environment that has them:

    python tests/vit/make_timm_golden.py CHECKPOINT.npz tests/vit/golden/timm_ti16_features.npz
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

SEED, NUM_IMAGES, IMAGE_SIZE, DEPTH = 20260, 8, 32, 3


def images(size: int = IMAGE_SIZE) -> Any:
    """The judge's inputs, `[8, size, size, 3]`: float32 noise in [-1, 1], the same with every version of NumPy."""
    count = NUM_IMAGES * size * size * 3
    words = np.random.Philox(key=SEED).random_raw(count)
    return ((words >> np.uint64(40)).astype(np.float32) / (1 << 23) - 1).reshape(NUM_IMAGES, size, size, 3)


def timm_features(checkpoint: Path, inputs: Any) -> Any:
    """Class token after the final norm, `[8, width]`, as timm computes it from its own reading of the file."""
    import timm
    import torch

    size = inputs.shape[1]
    model = timm.create_model(
        "vit_tiny_patch16_224", img_size=size, depth=DEPTH, act_layer="gelu_tanh", num_classes=0, pretrained=False
    )
    model.load_pretrained(str(checkpoint))
    model.eval()
    with torch.no_grad():
        return model.forward_features(torch.from_numpy(inputs.transpose(0, 3, 1, 2).copy()))[:, 0].numpy()


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    np.savez_compressed(target, features=timm_features(source, images()))
