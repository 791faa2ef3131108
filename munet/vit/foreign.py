"""ViTs that timm or Hugging Face `transformers` saved as safetensors, as components of ours; and ours as timm's.

What their ViTs can have and ours has not is refused by name. All problems are reported together, before memory is taken
for any array.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from munet.errors import CheckpointError, nearest
from munet.types import ComponentName, Leaf
from munet.vit import architecture
from munet.vit.architecture import EMBEDDING, HEAD, POSITION, Variant, component_leaves
from munet.vit.augreg import Components
from munet.vit.foreign_config import ForeignConfig, fold_scaling, read_config
from munet.vit.headers import Facts, listing, variant_of
from munet.vit.init import FlatArrays, resize_position_embedding
from munet.vit.safetensors_file import DTYPES, Tensor, open_tensors
from munet.vit.timm_names import NAME_SCHEMES, WRAPPERS, NameScheme, Place

_SUPPORTED = (
    "Supported: a plain ViT with a class token, learned position embeddings, and the sizes of one of "
    f"{', '.join(architecture.VARIANTS)}."
)
_GELU = (
    "it was trained with the exact GELU, munet uses the tanh form: features differ by up to about 2e-3, which training "
    "makes up for"
)
_NO_CONFIG = "there is no config.json beside it: pixels are taken to be wanted in [-1, 1], and its images to be square"
_MAX_POSITIONS = 1 << 14


@dataclass(frozen=True)
class _Model:
    """A file's tensors with their layout.

    Attributes:
      layout: whose names they have.
      keys: their keys in the file by those without the prefix, which not all of them need to have.
      tensors: by key without the prefix.
      facts, config: what is known of the model.
    """

    layout: NameScheme
    keys: Mapping[str, str]
    tensors: Mapping[str, Tensor]
    facts: Facts
    config: ForeignConfig


def describe_tensors(path: Path) -> tuple[Facts, ForeignConfig]:
    """What a safetensors file holds, from its header and the JSON files beside it.

    Raises:
      CheckpointError: not such a file, or not a ViT like ours; the message says what is different.
    """
    with open_tensors(path) as file:
        model = _recognise(path, file.tensors)
    return model.facts, model.config


def load_tensors(path: Path, num_blocks: int, image_size: int | None = None) -> Components:
    """Reads a root: every component but the head, float32.

    Args:
      path: the safetensors file.
      num_blocks: how many of its first blocks.
      image_size: pixels on a side that the position embedding is resized to; None: it is as stored.

    Raises:
      CheckpointError: as `describe_tensors`; or shapes that do not fit, too few blocks, values that are not finite.
    """
    components: Components = {}
    with open_tensors(path) as file:
        model = _recognise(path, file.tensors)
        variant = model.facts.variant
        head = f"{path} does not fit {variant.name} with {num_blocks} blocks"
        if num_blocks > model.facts.num_blocks:
            raise CheckpointError(
                f"{head}: only {model.facts.num_blocks} blocks are there: use num_blocks={model.facts.num_blocks} or "
                "fewer."
            )
        wanted = _wanted(model, num_blocks)
        if problems := _problems(model, wanted):
            raise CheckpointError(listing(head, problems))
        for (name, leaf_path), (place, leaf) in wanted.items():
            array = _convert(file.read(model.keys[place.key]), place, leaf)
            if not np.isfinite(array).all():
                problems.append(f"{place.key}: holds NaN or infinite values")
            components.setdefault(name, {})[leaf_path] = array
    if problems:
        raise CheckpointError(listing(head, set(problems)))
    if not model.config.is_scaled_as_ours:
        embedding = components[EMBEDDING]
        embedding["kernel"], embedding["bias"] = fold_scaling(embedding["kernel"], embedding["bias"], model.config)
    if image_size:
        position = components[POSITION]
        position["pos_embedding"] = resize_position_embedding(
            position["pos_embedding"], model.facts.image_size, image_size, variant.patch_size
        )
    return components


def timm_tensors(components: Mapping[ComponentName, FlatArrays]) -> dict[str, np.ndarray]:
    """Components under the names and in the shapes that timm keeps them in: what `load_tensors` reads, the other way.

    The head and residual adapters have their places, too; the latter are no layers of timm's own.

    Args:
      components: arrays by component and path, without low-rank updates (`init.merge_lora`).
    """
    scheme = next(scheme for scheme in NAME_SCHEMES if scheme.name == "timm")
    parts: dict[str, dict[int, np.ndarray]] = {}
    for name, arrays in components.items():
        places = scheme.places(name)
        for path, array in arrays.items():
            place = places[path]
            parts.setdefault(place.key, {})[place.part or 0] = _stored(array, place, path)
    return {
        key: np.ascontiguousarray(np.concatenate([found[part] for part in sorted(found)]))
        for key, found in parts.items()
    }


def _stored(array: np.ndarray, place: Place, path: str) -> np.ndarray:
    """An array of ours as a tensor of the file, or as the part of it that it is: `_convert` the other way."""
    if place.kind == "patches":
        return array.transpose(3, 2, 0, 1)
    shape = _stored_shape(replace(place, part=None), path, Leaf(array.shape))
    return array.reshape(shape[::-1]).T if place.kind == "dense" else array.reshape(shape)


def _recognise(path: Path, tensors: Mapping[str, Tensor]) -> _Model:
    given, tensors = tensors, {WRAPPERS.sub("", key): tensor for key, tensor in tensors.items()}
    if len(tensors) < len(given):
        raise CheckpointError(f"{path} holds tensors of the same name with and without a wrapper's (_orig_mod).")
    unwrapped = {WRAPPERS.sub("", key): key for key in given}
    # Names of one program's two ways of naming begin alike: the one whose blocks are there is meant.
    for layout in sorted(NAME_SCHEMES, key=lambda one: not any(_ends_with(key, one.hidden) for key in tensors)):
        prefixes = sorted(key.removesuffix(layout.patches) for key in tensors if _ends_with(key, layout.patches))
        if len(prefixes) > 1:
            raise CheckpointError(
                f"{path} holds {len(prefixes)} ViTs, under {' and '.join(map(repr, prefixes[:4]))}. Save those of "
                "one of them to a file of its own."
            )
        for prefix in prefixes:
            keys = {key.removeprefix(prefix): unwrapped[key] for key in tensors}
            if len(keys) < len(tensors):
                raise CheckpointError(f"{path} holds tensors of the same name with and without {prefix!r}.")
            return _examine(path, layout, keys, {short: given[key] for short, key in keys.items()})
    for layout in NAME_SCHEMES:  # without a patch embedding of the usual kind: say what it has instead
        if found := _refused(layout, tensors):
            raise CheckpointError(_not_ours(path, found))
    shown = ", ".join(sorted(tensors)[:6]) + (", ..." if len(tensors) > 6 else "")
    raise CheckpointError(
        f"{path} is no ViT of timm or transformers: none of "
        f"{', '.join(layout.patches for layout in NAME_SCHEMES)} is in it. It holds: {shown or 'nothing'}."
    )


def _ends_with(key: str, name: str) -> bool:
    """Whether a key is a name, or one with a prefix: whatever a model is part of."""
    return key == name or key.endswith(f".{name}")


def _examine(path: Path, layout: NameScheme, keys: Mapping[str, str], tensors: Mapping[str, Tensor]) -> _Model:
    found = _refused(layout, tensors)
    kernel, hidden = tensors[layout.patches].shape, tensors.get(layout.hidden)
    config = read_config(path, kernel[-1] if len(kernel) == 4 else 0)
    if len(kernel) != 4 or kernel[1] != architecture.CHANNELS or kernel[2] != kernel[3]:
        found.append(f"a patch embedding of shape {kernel}")
    elif hidden is None or len(hidden.shape) != 2:
        found.append(f"no {layout.hidden} with two axes")
    elif (variant := variant_of(kernel[0], hidden.shape[0], kernel[2])) is None:
        found.append(f"width {kernel[0]}, MLP width {hidden.shape[0]}, patches of {kernel[2]} pixels")
    else:
        found += config.foreign_to(variant.num_heads, variant.patch_size)
        size = _image_size(layout, tensors, variant, found)
        if size and (misfit := config.misfit(size // variant.patch_size)):
            found.append(misfit)
        if not found:
            blocks, classes = _num_blocks(layout, tensors), _num_classes(tensors)
            facts = Facts(layout.name, variant, blocks, size, classes, notes=_notes(config))
            return _Model(layout, keys, tensors, facts, config)
    raise CheckpointError(_not_ours(path, found))


def _not_ours(path: Path, found: list[str]) -> str:
    return f"{listing(f'{path} is a ViT that munet cannot use. It has', found)}\n{_SUPPORTED}"


def _refused(layout: NameScheme, tensors: Mapping[str, Tensor]) -> list[str]:
    return sorted({what for key in tensors for pattern, what in layout.refused if re.fullmatch(pattern, key)})


def _image_size(layout: NameScheme, tensors: Mapping[str, Tensor], variant: Variant, found: list[str]) -> int:
    """Pixels on a side that the position embedding was made for; what is foreign about it is added to `found`."""
    class_token = layout.places(architecture.CLS)["cls"].key
    if class_token not in tensors:
        found.append("no class token")
    shape = tensors[layout.position].shape if layout.position in tensors else ()
    if len(shape) != 3 or not 1 <= shape[1] <= _MAX_POSITIONS:
        found.append(f"no learned position embedding {layout.position} of three axes")
        return 0
    grid = math.isqrt(shape[1] - 1)
    if grid and grid * grid == shape[1] - 1:
        return grid * variant.patch_size
    if math.isqrt(shape[1]) ** 2 == shape[1] and class_token in tensors:
        found.append("a position embedding without a place for the class token")
    elif not found:
        found.append(f"a position embedding for {shape[1] - 1} patches, which are no square")
    return 0


def _num_blocks(layout: NameScheme, tensors: Mapping[str, Tensor]) -> int:
    """How many blocks there are, counted from the first."""
    indices = {int(match[1]) for key in tensors if (match := layout.block.match(key))}
    return next(index for index in range(len(indices) + 1) if index not in indices)


def _num_classes(tensors: Mapping[str, Tensor]) -> int:
    heads = [tensors[key].shape for key in ("head.weight", "classifier.weight") if key in tensors]
    return heads[0][0] if heads and len(heads[0]) == 2 else 0


def _notes(config: ForeignConfig) -> tuple[str, ...]:
    notes = [] if config.has_our_gelu else [_GELU]
    if not config.is_found:
        notes.append(_NO_CONFIG)
    if not config.is_scaled_as_ours:
        mean, std = (", ".join(f"{value:g}" for value in values) for values in (config.mean, config.std))
        notes.append(f"its scaling of pixels (mean {mean}; deviation {std}) is put into the patch embedding")
    return tuple(notes)


_Wanted = dict[tuple[ComponentName, str], tuple[Place, Leaf]]


def _wanted(model: _Model, num_blocks: int) -> _Wanted:
    """Where each array of ours is, and its shape with us."""
    return {
        (name, path): (model.layout.places(name)[path], leaf)
        for name in architecture.path_names(num_blocks)
        if name != HEAD
        for path, leaf in component_leaves(
            model.facts.variant, name, image_size=model.facts.image_size, adapter_dim=0, num_classes=0
        ).items()
    }


def _stored_shape(place: Place, path: str, leaf: Leaf) -> tuple[int, ...]:
    """The shape that a tensor has in the file."""
    shape = leaf.shape
    if place.kind == "patches":
        return shape[3], shape[2], shape[0], shape[1]
    if place.kind == "dense":
        inner = math.prod(shape[:-1]) if path.endswith("out/kernel") else shape[0]
        shape = (leaf.size // inner, inner)
    elif path not in ("cls", "pos_embedding"):
        shape = (leaf.size,)
    return shape if place.part is None else (3 * shape[0], *shape[1:])


def _convert(array: np.ndarray, place: Place, leaf: Leaf) -> np.ndarray:
    """A tensor of the file as our array."""
    if place.part is not None:
        array = np.split(array, 3)[place.part]
    if place.kind == "patches":
        array = array.transpose(2, 3, 1, 0)
    elif place.kind == "dense":
        array = array.T
    return np.ascontiguousarray(array.reshape(leaf.shape))


def _problems(model: _Model, wanted: _Wanted) -> list[str]:
    """What stands between the file and the architecture; a tensor that holds several arrays of ours is named once."""
    shapes = {place.key: _stored_shape(place, path, leaf) for (_, path), (place, leaf) in wanted.items()}
    problems = []
    for key, shape in shapes.items():
        tensor = model.tensors.get(key)
        if tensor is None:
            problems.append(f"{key}: is missing")
            continue
        if tensor.shape != shape:
            problems.append(f"{key}: shape {tensor.shape}, expected {shape}")
        if tensor.dtype not in DTYPES:
            problems.append(f"{key}: type {tensor.dtype}, expected one of {', '.join(DTYPES)}")
    block, known = model.layout.block, {re.sub(r"\d+", "0", key, count=1) for key in shapes}
    for key in model.tensors:
        if key in shapes or model.layout.left_out.fullmatch(key):
            continue
        if block.match(key) and re.sub(r"\d+", "0", key, count=1) in known:  # of a block that is not used
            continue
        problems.append(f"{key}: has no place in {model.facts.variant.name}. {nearest(key, shapes)}")
    return problems
