"""State dicts as timm and transformers would save them, with made-up values that are the same everywhere.

The names and shapes are written out by hand here, apart from the tables in munet; `make_foreign_golden.py` loads them
into the programs themselves, which refuse what is missing or not theirs.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

WIDTH, MLP, HEADS, PATCH, TOKENS, BLOCKS, CLASSES = 64, 256, 2, 16, 5, 2, 4  # demo/16 at 32 pixels
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def timm_state() -> dict[str, Any]:
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, WIDTH),
        "pos_embed": (1, TOKENS, WIDTH),
        "patch_embed.proj.weight": (WIDTH, 3, PATCH, PATCH),
        "patch_embed.proj.bias": (WIDTH,),
        "norm.weight": (WIDTH,),
        "norm.bias": (WIDTH,),
        "head.weight": (CLASSES, WIDTH),
        "head.bias": (CLASSES,),
    }
    for index in range(BLOCKS):
        block = f"blocks.{index}."
        shapes |= {block + f"norm{norm}.{leaf}": (WIDTH,) for norm in (1, 2) for leaf in ("weight", "bias")}
        shapes |= {block + "attn.qkv.weight": (3 * WIDTH, WIDTH), block + "attn.qkv.bias": (3 * WIDTH,)}
        shapes |= {block + "attn.proj.weight": (WIDTH, WIDTH), block + "attn.proj.bias": (WIDTH,)}
        shapes |= {block + "mlp.fc1.weight": (MLP, WIDTH), block + "mlp.fc1.bias": (MLP,)}
        shapes |= {block + "mlp.fc2.weight": (WIDTH, MLP), block + "mlp.fc2.bias": (WIDTH,)}
    return {key: _values(key, shape) for key, shape in shapes.items()}


def transformers_state(prefix: str = "vit.") -> dict[str, Any]:
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.cls_token": (1, 1, WIDTH),
        "embeddings.position_embeddings": (1, TOKENS, WIDTH),
        "embeddings.patch_embeddings.projection.weight": (WIDTH, 3, PATCH, PATCH),
        "embeddings.patch_embeddings.projection.bias": (WIDTH,),
        "layernorm.weight": (WIDTH,),
        "layernorm.bias": (WIDTH,),
    }
    for index in range(BLOCKS):
        block = f"encoder.layer.{index}."
        for norm in ("layernorm_before", "layernorm_after"):
            shapes |= {block + f"{norm}.{leaf}": (WIDTH,) for leaf in ("weight", "bias")}
        for dense in ("attention.attention.query", "attention.attention.key", "attention.attention.value"):
            shapes |= {block + f"{dense}.weight": (WIDTH, WIDTH), block + f"{dense}.bias": (WIDTH,)}
        shapes |= {block + "attention.output.dense.weight": (WIDTH, WIDTH)}
        shapes |= {block + "attention.output.dense.bias": (WIDTH,)}
        shapes |= {block + "intermediate.dense.weight": (MLP, WIDTH), block + "intermediate.dense.bias": (MLP,)}
        shapes |= {block + "output.dense.weight": (WIDTH, MLP), block + "output.dense.bias": (WIDTH,)}
    shapes = {prefix + key: shape for key, shape in shapes.items()}
    if prefix:
        shapes |= {"classifier.weight": (CLASSES, WIDTH), "classifier.bias": (CLASSES,)}
    return {key: _values(key.removeprefix(prefix), shape) for key, shape in shapes.items()}


def transformers_config(activation: str = "gelu") -> dict[str, Any]:
    """What its `config.json` says."""
    return {
        "model_type": "vit", "hidden_size": WIDTH, "num_hidden_layers": BLOCKS, "num_attention_heads": HEADS,
        "intermediate_size": MLP, "image_size": 32, "patch_size": PATCH, "hidden_act": activation,
        "layer_norm_eps": 1e-12, "qkv_bias": True,
    }  # fmt: skip


def _values(key: str, shape: tuple[int, ...]) -> Any:
    """Around 1 for a norm's scale, around 0 elsewhere, with a spread that keeps activations of the order of 1."""
    words = np.random.Philox(key=int(hashlib.sha256(key.encode()).hexdigest()[:16], 16)).random_raw(int(np.prod(shape)))
    noise = (words >> np.uint64(40)).astype(np.float64) / (1 << 23) - 1  # uniform in [-1, 1)
    is_scale = "norm" in key and key.endswith("weight")
    spread = 0.05 if "patch" in key else 0.2
    return (is_scale + spread * noise).astype(np.float32).reshape(shape)
