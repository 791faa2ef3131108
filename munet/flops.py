"""Arithmetic of a forward pass as a function of the architecture; plain Python, no JAX."""

from __future__ import annotations

from collections.abc import Collection

from munet import architecture
from munet.architecture import Variant
from munet.types import ComponentName, Hyperparameters


def forward(
    variant: Variant, names: Collection[ComponentName], hyperparameters: Hyperparameters, num_classes: int
) -> int:
    """Floating-point operations of one image's way through a network: its matrix products, a multiply-add as two.

    With T tokens (patches and the class token), Q of them wanted (all; in the last block the class token alone, which
    is how munet computes it), width w, MLP width m, patches of p x p pixels:

        embedding   2 (T - 1) 3 p^2 w
        block       4 w^2 (Q + T)  +  4 Q T w  +  4 Q w m       projections, attention, MLP
        adapter     4 T w d                                      of width d
        LoRA        4 w r (Q + T)                                of rank r, on queries and values
        head        2 w classes

    Norms, activations, softmax and additions are left out: some per cent of a small network, less of a large one.

    Args:
      variant: the ViT family member.
      names: the network's components.
      hyperparameters: the model's (image size, adapter width, rank).
      num_classes: head outputs.
    """
    width, mlp = variant.width, variant.mlp_dim
    tokens = variant.num_tokens(int(hyperparameters["image_size"]))
    num_blocks = sum(map(architecture.is_block, names))
    total = 2 * (tokens - 1) * architecture.CHANNELS * variant.patch_size**2 * width + 2 * width * num_classes
    for name in names:
        queries = 1 if architecture.layer_index(name) == num_blocks - 1 else tokens
        if architecture.is_block(name):
            total += 4 * width * width * (queries + tokens) + 4 * queries * tokens * width + 4 * queries * width * mlp
        elif architecture.is_adapter(name):
            total += 4 * tokens * width * int(hyperparameters["adapter_dim"])
        elif architecture.is_lora(name):
            total += 4 * width * architecture.lora_rank(hyperparameters) * (queries + tokens)
    return total
