"""A root from CIFAR-100: Ti/16 with 3 blocks at 32 pixels, as the paper's root is cut, from scratch.

    munet pretrain --config=pretrain_cifar100 --config.data_dir=DIR            # the whole set (47,500 + 2,500 images)
    munet pretrain --config=pretrain_cifar100:subset --config.data_dir=DIR     # 10,000 images, `tfds:cifar100_subset`

Variants: `subset`, with smaller batches and mixup.

Cost: `subset`: 27 minutes on two CPU cores that ten other processes shared. The whole set: 3,711 steps of 512, five
times as many images.
Expected result: `subset`: 24 % of its 2,000 test images right (docs/results/pretrain_cifar100.md). The whole set: at
least 38.8 % of the test images, which another program reached with this recipe on all 50,000 training images; with this
one it was not measured, because the whole set was not at hand. Neither is the paper's root, which saw imagenet-21k.
"""

from __future__ import annotations

from munet.config.pretrain import PretrainConfig, PretrainRuntime, Recipe
from munet.errors import UserError, nearest

CARD_TEXT = "CIFAR-100: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009; no formal licence."


def get_config(variant: str = "full") -> PretrainConfig:
    """The recipe for the whole set, or for the subset.

    Raises:
      UserError: no such variant; the message names the nearest.
    """
    if variant not in ("full", "subset"):
        raise UserError(f"there is no variant {variant!r}. {nearest(variant, ('full', 'subset'))}")
    recipe = Recipe(
        tasks=("tfds:cifar100",),  # validates on the first 5 % of train
        variant="Ti/16",
        num_blocks=3,
        image_size=32,
        num_epochs=40.0,
        batch_size=512,
        learning_rate=2e-3,
        warmup_ratio=5 / 40,
        weight_decay=0.05,
        label_smoothing=0.1,
        clip_norm=1.0,
        pad_pixels=4,
        flip=True,
    )
    if variant == "subset":
        recipe.tasks = ("tfds:cifar100_subset",)  # validates on the first 5 % of train, as above
        # Smaller batches for as many steps with a fifth of the images; on validation they are better than 256 or more.
        recipe.batch_size = 128
        recipe.learning_rate = 1e-3
        recipe.mixup_alpha = 0.2
    return PretrainConfig(recipe, PretrainRuntime(card_text=CARD_TEXT))
