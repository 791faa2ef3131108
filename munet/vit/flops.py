"""Arithmetic of a forward pass as a function of the architecture; plain Python, no JAX."""

from __future__ import annotations

from collections.abc import Collection

from munet.types import ComponentName, Hyperparameters
from munet.vit import architecture
from munet.vit.architecture import Variant


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
    return sum(map(sum, products(variant, names, hyperparameters, num_classes).values()))


def train_step(
    variant: Variant,
    names: Collection[ComponentName],
    hyperparameters: Hyperparameters,
    num_classes: int,
    *,
    tuned: Collection[ComponentName],
    passed: Collection[ComponentName],
) -> tuple[int, int]:
    """Operations of one image in a train step, (forward, backward), by the table of `forward`.

    Backward, a layer's products with its own weights count once if a gradient passes through it (to what trains below
    or inside it), and once more if gradients of the weights are made; attention's products of activations with each
    other count twice where a gradient passes. So full training is three times the forward pass, less the gradient
    of the images.

    Args:
      variant, names, hyperparameters, num_classes: as for `forward`.
      tuned: components whose weights get a gradient.
      passed: components that a gradient passes through.
    """
    of_layers = products(variant, names, hyperparameters, num_classes)
    backward = 0
    for name, (weighted, mixing) in of_layers.items():
        if name in passed:
            backward += 2 * mixing + (0 if name == architecture.EMBEDDING else weighted)
        if name in tuned:
            backward += weighted
    return sum(map(sum, of_layers.values())), backward


def products(
    variant: Variant, names: Collection[ComponentName], hyperparameters: Hyperparameters, num_classes: int
) -> dict[ComponentName, tuple[int, int]]:
    """Operations of every component that has any: products with its own weights, and of activations with each other.

    Args:
      variant, names, hyperparameters, num_classes: as for `forward`.
    """
    width = variant.width
    tokens = variant.num_tokens(int(hyperparameters["image_size"]))
    num_blocks = sum(map(architecture.is_block, names))
    patch_values = architecture.CHANNELS * variant.patch_size**2
    found = {
        architecture.EMBEDDING: (2 * (tokens - 1) * patch_values * width, 0),
        architecture.HEAD: (2 * width * num_classes, 0),
    }
    for name in names:
        queries = 1 if architecture.layer_index(name) == num_blocks - 1 else tokens
        if architecture.is_block(name):
            found[name] = block(variant, tokens, queries)
        elif architecture.is_adapter(name):
            found[name] = (4 * tokens * width * int(hyperparameters["adapter_dim"]), 0)
        elif architecture.is_lora(name):
            found[name] = (4 * width * architecture.lora_rank(hyperparameters) * (queries + tokens), 0)
    return found


def block(variant: Variant, tokens: int, queries: int) -> tuple[int, int]:
    """Operations of a block: products with its own weights, and of activations with each other.

    Args:
      variant: the ViT family member.
      tokens: patches and the class token.
      queries: tokens of which the output is wanted.
    """
    width = variant.width
    weighted = 4 * width * width * (queries + tokens) + 4 * queries * width * variant.mlp_dim
    return weighted, 4 * queries * tokens * width
