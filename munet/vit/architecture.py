"""ViT variants as component names, shapes and parameter counts; plain Python, no JAX.

The names are those of the public augreg checkpoints, so a component is one top-level entry of such a parameter tree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from munet.errors import UserError, nearest
from munet.types import ComponentName, Hyperparameters, Leaf

EMBEDDING, CLS, POSITION, NORM, HEAD = "embedding", "cls", "posembed_input", "encoder_norm", "head"
CHANNELS = 3
LORA_PROJECTIONS = (
    "query",
    "value",
)  # of a block's attention, that low-rank updates adapt (Hu et al. 2021, section 7.1)


@dataclass(frozen=True)
class Variant:
    """A ViT family member.

    Attributes:
      name: e.g. `Ti/16`.
      width, mlp_dim, num_heads: of every block.
      max_blocks: blocks in the published architecture; a root may use any number of the first ones.
      patch_size: pixels on a side.
    """

    name: str
    width: int
    mlp_dim: int
    num_heads: int
    max_blocks: int
    patch_size: int

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.width // self.num_heads

    def num_tokens(self, image_size: int) -> int:
        """Patches of a square image plus the class token."""
        return (image_size // self.patch_size) ** 2 + 1


_SIZES = {
    "demo": (64, 256, 2, 3),
    "Ti": (192, 768, 3, 12),
    "S": (384, 1536, 6, 12),
    "B": (768, 3072, 12, 12),
    "L": (1024, 4096, 16, 24),
}
VARIANTS: dict[str, Variant] = {
    f"{size}/{patch}": Variant(f"{size}/{patch}", *dims, patch_size=patch)
    for size, dims in _SIZES.items()
    for patch in ((16,) if size == "demo" else (16, 32))
}


def get_variant(name: str) -> Variant:
    """The variant called `name`, e.g. `Ti/16`.

    Raises:
      UserError: no such variant; the message names the nearest.
    """
    if name not in VARIANTS:
        raise UserError(f"There is no ViT variant {name!r}. {nearest(name, VARIANTS)}")
    return VARIANTS[name]


def block_name(index: int) -> ComponentName:
    """Name of transformer block `index` (from 0)."""
    return f"encoderblock_{index}"


def adapter_name(index: int) -> ComponentName:
    """Name of the residual adapter directly before block `index`."""
    return f"residual_adapter_{index}"


def lora_name(index: int) -> ComponentName:
    """Name of the low-rank update of block `index`."""
    return f"lora_{index}"


def layer_index(name: ComponentName) -> int | None:
    """The block index of a block's, adapter's or low-rank update's name; None for every other component."""
    for prefix in ("encoderblock_", "residual_adapter_", "lora_"):
        if name.startswith(prefix):
            return int(name.removeprefix(prefix))
    return None


def is_block(name: ComponentName) -> bool:
    """Whether `name` is a transformer block."""
    return name.startswith("encoderblock_")


def is_adapter(name: ComponentName) -> bool:
    """Whether `name` is a residual adapter."""
    return name.startswith("residual_adapter_")


def is_lora(name: ComponentName) -> bool:
    """Whether `name` is a low-rank update of a block."""
    return name.startswith("lora_")


def is_inserted(name: ComponentName) -> bool:
    """Whether `name` is of a kind that the root does not have and mutations insert."""
    return is_adapter(name) or is_lora(name)


def path_names(num_blocks: int, adapters: Iterable[int] = (), loras: Iterable[int] = ()) -> tuple[ComponentName, ...]:
    """Component names from input to output.

    Args:
      num_blocks: the depth.
      adapters: indices of the blocks with a residual adapter before them.
      loras: indices of the blocks with a low-rank update.
    """
    has_adapter, has_lora = set(adapters), set(loras)
    names: list[ComponentName] = [EMBEDDING, CLS, POSITION]
    for index in range(num_blocks):
        if index in has_adapter:
            names.append(adapter_name(index))
        if index in has_lora:
            names.append(lora_name(index))
        names.append(block_name(index))
    return (*names, NORM, HEAD)


def component_leaves(
    variant: Variant, name: ComponentName, *, image_size: int, adapter_dim: int, num_classes: int, lora_rank: int = 0
) -> dict[str, Leaf]:
    """The arrays of a component by path, sorted by path, with their shapes.

    Args:
      variant: the ViT family member.
      name: the component.
      image_size: pixels on a side (matters for `posembed_input`).
      adapter_dim: inner width of adapters (matters for `residual_adapter_*`).
      num_classes: head outputs (matters for `head`).
      lora_rank: of low-rank updates (matters for `lora_*`).

    Raises:
      ValueError: `name` is no component of a ViT.
    """
    width, mlp, heads, head_dim = variant.width, variant.mlp_dim, variant.num_heads, variant.head_dim
    patch = variant.patch_size
    shapes: dict[str, tuple[int, ...]]
    if name == EMBEDDING:
        shapes = {"kernel": (patch, patch, CHANNELS, width), "bias": (width,)}
    elif name == CLS:
        shapes = {"cls": (1, 1, width)}
    elif name == POSITION:
        shapes = {"pos_embedding": (1, variant.num_tokens(image_size), width)}
    elif name == NORM:
        shapes = {"scale": (width,), "bias": (width,)}
    elif name == HEAD:
        shapes = {"kernel": (width, num_classes), "bias": (num_classes,)}
    elif is_adapter(name):
        shapes = {
            "LayerNorm_0/scale": (width,),
            "LayerNorm_0/bias": (width,),
            "Dense_0/kernel": (width, adapter_dim),
            "Dense_0/bias": (adapter_dim,),
            "Dense_1/kernel": (adapter_dim, width),
            "Dense_1/bias": (width,),
        }
    elif is_lora(name):
        shapes = {}
        for projection in LORA_PROJECTIONS:
            shapes[f"{projection}/A"] = (width, lora_rank)
            shapes[f"{projection}/B"] = (lora_rank, heads, head_dim)
    elif is_block(name):
        attention = "MultiHeadDotProductAttention_1"
        shapes = {
            "LayerNorm_0/scale": (width,),
            "LayerNorm_0/bias": (width,),
            f"{attention}/out/kernel": (heads, head_dim, width),
            f"{attention}/out/bias": (width,),
            "LayerNorm_2/scale": (width,),
            "LayerNorm_2/bias": (width,),
            "MlpBlock_3/Dense_0/kernel": (width, mlp),
            "MlpBlock_3/Dense_0/bias": (mlp,),
            "MlpBlock_3/Dense_1/kernel": (mlp, width),
            "MlpBlock_3/Dense_1/bias": (width,),
        }
        for projection in ("query", "key", "value"):
            shapes[f"{attention}/{projection}/kernel"] = (width, heads, head_dim)
            shapes[f"{attention}/{projection}/bias"] = (heads, head_dim)
    else:
        raise ValueError(f"{name!r} is no component of a ViT")
    return {path: Leaf(shapes[path]) for path in sorted(shapes)}


def model_leaves(
    variant: Variant, name: ComponentName, hyperparameters: Hyperparameters, num_classes: int
) -> dict[str, Leaf]:
    """The arrays of a component of a model with these hyper-parameters: `component_leaves` with its sizes."""
    return component_leaves(
        variant,
        name,
        image_size=int(hyperparameters["image_size"]),
        adapter_dim=int(hyperparameters["adapter_dim"]),
        num_classes=num_classes,
        lora_rank=lora_rank(hyperparameters),
    )


def lora_rank(hyperparameters: Hyperparameters) -> int:
    """The rank of a model's low-rank updates; 0 where the run has none, whose models do not name it."""
    return int(hyperparameters.get("lora_rank", 0))


def num_params(
    variant: Variant,
    name: ComponentName,
    *,
    image_size: int = 32,
    adapter_dim: int = 32,
    num_classes: int = 2,
    lora_rank: int = 8,
) -> int:
    """Number of parameters of a component."""
    leaves = component_leaves(
        variant, name, image_size=image_size, adapter_dim=adapter_dim, num_classes=num_classes, lora_rank=lora_rank
    )
    return sum(leaf.size for leaf in leaves.values())


def root_params(variant: Variant, *, num_blocks: int, image_size: int) -> int:
    """#root-model-params, the normaliser of Eq. 2: the root's trunk at the default image size plus a 2-class head."""
    names = path_names(num_blocks)
    return sum(num_params(variant, name, image_size=image_size, num_classes=2) for name in names)
