"""The root that ships with munet: a small ViT trained from scratch on ten scripts drawn from fonts, offline.

    munet pretrain --config=pretrain_demo --workdir=runs/pretrain_demo

Cost: 17 minutes on two CPU cores that ten other processes shared.
Expected result: `runs/pretrain_demo/demo16_3blocks_32px.npz`, byte for byte the file in munet/assets where hardware and
software are those of its card; 64 to 99 % of the test characters right among the 568 classes of all scripts, by script.
"""

from __future__ import annotations

from munet.config.pretrain import PretrainConfig, PretrainRuntime, Recipe

# Scripts with many kinds of strokes, and none that the demo's tasks are made of.
SCRIPTS = (
    "canadian_syllabics", "lao", "latin", "latin_capitals", "lisu", "math_operators", "nko", "old_italic", "symbols",
    "tifinagh",
)  # fmt: skip

CARD_TEXT = (
    "It has seen no other script, and no handwriting. The demo's tasks (digits, Cyrillic, Armenian, Arabic) are none "
    "of these; letters that look alike across scripts (Latin and Cyrillic o) do occur in both. The characters are "
    "drawn from fonts that matplotlib ships (DejaVu: Bitstream Vera licence; STIX: SIL OFL)."
)


def get_config() -> PretrainConfig:
    """The recipe; whatever is not named here has its default in munet/config/pretrain.py."""
    recipe = Recipe(
        tasks=tuple(f"builtin:glyphs/{script}" for script in SCRIPTS),
        variant="demo/16",
        num_steps=6000,
        batch_size=256,
        learning_rate=3e-3,
        warmup_ratio=0.05,
        crop_area_min=0.6,
        flip=False,  # mirrored characters are other characters
        brightness_delta=0.2,
        contrast_delta=0.2,
    )
    return PretrainConfig(recipe, PretrainRuntime(keep_head=False, card_text=CARD_TEXT))
