"""Makes `golden/foreign_features.npz`: what timm and transformers compute with the weights of `foreign_weights.py`.

Needs torch, timm and transformers, which munet does not; run in an environment that has them:

    python -m tests.vit.make_foreign_golden tests/vit/golden/foreign_features.npz
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from tests.vit import foreign_weights as weights
from tests.vit.make_timm_golden import images


def timm_features(activation: str, inputs: Any) -> Any:
    """Class token after the final norm, by timm's ViT."""
    import torch
    from timm.models.vision_transformer import VisionTransformer

    model = VisionTransformer(
        img_size=32, patch_size=weights.PATCH, embed_dim=weights.WIDTH, depth=weights.BLOCKS, num_heads=weights.HEADS,
        num_classes=weights.CLASSES, act_layer=activation,
    )  # fmt: skip
    model.load_state_dict({key: torch.from_numpy(array) for key, array in weights.timm_state().items()}, strict=True)
    model.eval()
    with torch.no_grad():
        return model.forward_features(_channels_first(inputs))[:, 0].numpy()


def transformers_features(activation: str, inputs: Any) -> Any:
    """Class token after the final norm, by transformers' ViT, read from a folder as it writes one."""
    import json
    import tempfile
    from pathlib import Path

    import safetensors.numpy
    import torch
    from transformers import ViTForImageClassification

    with tempfile.TemporaryDirectory() as folder:
        config = weights.transformers_config(activation) | {"num_labels": weights.CLASSES}
        Path(folder, "config.json").write_text(json.dumps(config))
        safetensors.numpy.save_file(
            weights.transformers_state(), str(Path(folder, "model.safetensors")), metadata={"format": "pt"}
        )
        model, report = ViTForImageClassification.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"], report
    assert not report["unexpected_keys"], report
    model.eval()
    with torch.no_grad():
        return model.vit(_channels_first(inputs)).last_hidden_state[:, 0].numpy()


def as_imagenet(inputs: Any) -> Any:
    """Images in [-1, 1] as a model wants them that was trained on ImageNet's mean and deviation."""
    return ((inputs / 2 + 0.5 - np.array(weights.IMAGENET_MEAN)) / np.array(weights.IMAGENET_STD)).astype(np.float32)


def _channels_first(inputs: Any) -> Any:
    import torch

    return torch.from_numpy(inputs.transpose(0, 3, 1, 2).copy())


if __name__ == "__main__":
    np.savez_compressed(
        sys.argv[1],
        timm_tanh=timm_features("gelu_tanh", images()),
        timm_exact=timm_features("gelu", images()),
        timm_imagenet=timm_features("gelu_tanh", as_imagenet(images())),
        transformers_tanh=transformers_features("gelu_pytorch_tanh", images()),
        transformers_exact=transformers_features("gelu", images()),
    )
