"""What a backward pass through a ViT keeps, as a function of the architecture; plain Python, no JAX."""

from __future__ import annotations

from munet.vit.architecture import Variant


def kept_by_block(variant: Variant, tokens: int) -> int:
    """Numbers of one image that a block keeps, roughly: about ten widths and two of its MLP's a token, scores twice.

    Args:
      variant: the ViT family member.
      tokens: patches and the class token.
    """
    return tokens * (10 * variant.width + 2 * variant.mlp_dim + 2 * variant.num_heads * tokens)


def kept_bytes(variant: Variant, image_size: int, num_blocks: int, num_images: int) -> int:
    """Bytes that blocks keep of some images in float32.

    Args:
      variant: the ViT family member.
      image_size: pixels on a side.
      num_blocks, num_images: how many.
    """
    return 4 * num_images * num_blocks * kept_by_block(variant, variant.num_tokens(image_size))
