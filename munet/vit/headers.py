"""What the headers of a checkpoint say, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass

from munet.vit import architecture
from munet.vit.architecture import HEAD, Variant


@dataclass(frozen=True)
class Facts:
    """A root before its arrays are read.

    Attributes:
      layout: whose names the arrays have: `augreg`, `timm`, `transformers` or `munet`.
      variant: the architecture.
      num_blocks: transformer blocks that are there.
      image_size: pixels on a side that its position embedding is for.
      num_classes: outputs of its head, which a root leaves out; 0: it has none.
      notes: what a person should know.
    """

    layout: str
    variant: Variant
    num_blocks: int
    image_size: int
    num_classes: int = 0
    notes: tuple[str, ...] = ()

    @property
    def num_params(self) -> int:
        """Parameters without the head."""
        names = [name for name in architecture.path_names(self.num_blocks) if name != HEAD]
        return sum(architecture.num_params(self.variant, name, image_size=self.image_size) for name in names)


def variant_of(width: int, mlp_dim: int, patch_size: int) -> Variant | None:
    """The variant of these sizes, if we know one."""
    return next(
        (
            variant
            for variant in architecture.VARIANTS.values()
            if (variant.width, variant.mlp_dim, variant.patch_size) == (width, mlp_dim, patch_size)
        ),
        None,
    )
