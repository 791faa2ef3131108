"""A ViT in plain NumPy over tensors under timm's names: an independent judge of what an export holds.

It shares nothing with munet's layers and follows the file's own `config.json`; slow, for some images.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

Tensors = Mapping[str, np.ndarray]
_EPSILON = 1e-6


def logits(
    tensors: Tensors, arguments: Mapping[str, Any], images: Float[np.ndarray, "n size size 3"]
) -> Float[np.ndarray, "n classes"]:
    """What the network says of images in [-1, 1].

    Args:
      tensors: by timm's names.
      arguments: the config's `model_args`.
      images: channels last.
    """
    x = _embedded(tensors, images.astype(np.float64), arguments["patch_size"])
    for index in range(arguments["depth"]):
        name = f"blocks.{index}"
        if f"{name}.adapter.norm.weight" in tensors:
            x = x + _mlp(tensors, f"{name}.adapter", _norm(tensors, f"{name}.adapter.norm", x))
        x = x + _attention(tensors, f"{name}.attn", _norm(tensors, f"{name}.norm1", x), arguments["num_heads"])
        x = x + _mlp(tensors, f"{name}.mlp", _norm(tensors, f"{name}.norm2", x))
    return _dense(tensors, "head", _norm(tensors, "norm", x[:, 0]))


def _embedded(tensors: Tensors, images: np.ndarray, patch: int) -> np.ndarray:
    count, size = len(images), images.shape[1]
    grid = size // patch
    kernel = tensors["patch_embed.proj.weight"]  # [width, 3, patch, patch]
    patches = images.reshape(count, grid, patch, grid, patch, 3).transpose(0, 1, 3, 5, 2, 4)
    tokens = patches.reshape(count, grid * grid, -1) @ kernel.reshape(len(kernel), -1).T
    tokens = tokens + tensors["patch_embed.proj.bias"]
    first = np.broadcast_to(tensors["cls_token"], (count, 1, len(kernel)))
    return np.concatenate([first, tokens], axis=1) + tensors["pos_embed"]


def _attention(tensors: Tensors, name: str, x: np.ndarray, heads: int) -> np.ndarray:
    count, tokens, width = x.shape
    mixed = _dense(tensors, f"{name}.qkv", x).reshape(count, tokens, 3, heads, width // heads)
    query, key, value = mixed.transpose(2, 0, 3, 1, 4)
    scores = query @ key.swapaxes(-1, -2) / np.sqrt(width // heads)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return _dense(tensors, f"{name}.proj", (weights @ value).swapaxes(1, 2).reshape(count, tokens, width))


def _mlp(tensors: Tensors, name: str, x: np.ndarray) -> np.ndarray:
    hidden = _dense(tensors, f"{name}.fc1", x)
    gelu = 0.5 * hidden * (1 + np.tanh(np.sqrt(2 / np.pi) * (hidden + 0.044715 * hidden**3)))
    return _dense(tensors, f"{name}.fc2", gelu)


def _dense(tensors: Tensors, name: str, x: np.ndarray) -> np.ndarray:
    return x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]


def _norm(tensors: Tensors, name: str, x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + _EPSILON)
    return scaled * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]
