"""Where timm and Hugging Face `transformers` keep the arrays of a ViT, and which of their ViTs are not ours.

Both name tensors as PyTorch modules do and store a dense layer as [out, in]; a layout is a table from our components to
their keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from munet.types import ComponentName
from munet.vit.architecture import CLS, EMBEDDING, HEAD, NORM, POSITION, is_adapter, is_block, layer_index

_ATTENTION = "MultiHeadDotProductAttention_1"
_PARTS = ("query", "key", "value")


@dataclass(frozen=True)
class Place:
    """Where an array of ours is in a foreign file.

    Attributes:
      key: the tensor.
      kind: `same` (a reshape at most), `dense` ([out, in], ours is [in, out]) or `patches` ([width, channels, height,
        width], ours has the width last).
      part: which of three equal parts along the first axis; None: the whole tensor.
    """

    key: str
    kind: Literal["same", "dense", "patches"] = "same"
    part: int | None = None


@dataclass(frozen=True)
class NameScheme:
    """A program's way of storing a ViT.

    Attributes:
      name: the program.
      patches: the key of the patch embedding's kernel; its shape gives width and patch size.
      hidden: the key of the first block's first MLP kernel; its shape gives the MLP's width.
      position: the key of the position embedding.
      block: finds the index of a block in a key.
      places: the keys of a component by path.
      left_out: keys that a root has no use for.
      refused: keys (as patterns) of what our ViT does not have, with what to call it.
    """

    name: str
    patches: str
    hidden: str
    position: str
    block: re.Pattern[str]
    places: Callable[[ComponentName], Mapping[str, Place]]
    left_out: re.Pattern[str]
    refused: tuple[tuple[str, str], ...]


def _pair(key: str, path: str, kind: Literal["dense", "patches"] = "dense") -> dict[str, Place]:
    return {
        f"{path}/kernel".lstrip("/"): Place(f"{key}.weight", kind),
        f"{path}/bias".lstrip("/"): Place(f"{key}.bias"),
    }


def _norm(key: str, path: str) -> dict[str, Place]:
    return {f"{path}/scale".lstrip("/"): Place(f"{key}.weight"), f"{path}/bias".lstrip("/"): Place(f"{key}.bias")}


def _timm(name: ComponentName) -> Mapping[str, Place]:
    if name == EMBEDDING:
        return _pair("patch_embed.proj", "", "patches")
    if name == CLS:
        return {"cls": Place("cls_token")}
    if name == POSITION:
        return {"pos_embedding": Place("pos_embed")}
    if name == NORM:
        return _norm("norm", "")
    if name == HEAD:
        return _pair("head", "")
    block = f"blocks.{layer_index(name)}"
    if is_adapter(name):  # no layer of timm's own, but of the module that exports come with
        adapter = f"{block}.adapter"
        dense = _pair(f"{adapter}.fc1", "Dense_0") | _pair(f"{adapter}.fc2", "Dense_1")
        return _norm(f"{adapter}.norm", "LayerNorm_0") | dense
    if not is_block(name):
        raise ValueError(f"{name!r} has no place in a checkpoint of timm")
    places = _norm(f"{block}.norm1", "LayerNorm_0") | _norm(f"{block}.norm2", "LayerNorm_2")
    for part, projection in enumerate(_PARTS):
        places[f"{_ATTENTION}/{projection}/kernel"] = Place(f"{block}.attn.qkv.weight", "dense", part)
        places[f"{_ATTENTION}/{projection}/bias"] = Place(f"{block}.attn.qkv.bias", "same", part)
    places |= _pair(f"{block}.attn.proj", f"{_ATTENTION}/out")
    return places | _pair(f"{block}.mlp.fc1", "MlpBlock_3/Dense_0") | _pair(f"{block}.mlp.fc2", "MlpBlock_3/Dense_1")


def _transformers(name: ComponentName) -> Mapping[str, Place]:
    if name == EMBEDDING:
        return _pair("embeddings.patch_embeddings.projection", "", "patches")
    if name == CLS:
        return {"cls": Place("embeddings.cls_token")}
    if name == POSITION:
        return {"pos_embedding": Place("embeddings.position_embeddings")}
    if name == NORM:
        return _norm("layernorm", "")
    if not is_block(name):
        raise ValueError(f"{name!r} has no place in a checkpoint of transformers")
    block = f"encoder.layer.{layer_index(name)}"
    places = _norm(f"{block}.layernorm_before", "LayerNorm_0") | _norm(f"{block}.layernorm_after", "LayerNorm_2")
    for projection in _PARTS:
        places |= _pair(f"{block}.attention.attention.{projection}", f"{_ATTENTION}/{projection}")
    places |= _pair(f"{block}.attention.output.dense", f"{_ATTENTION}/out")
    places |= _pair(f"{block}.intermediate.dense", "MlpBlock_3/Dense_0")
    return places | _pair(f"{block}.output.dense", "MlpBlock_3/Dense_1")


def _transformers_5(name: ComponentName) -> Mapping[str, Place]:
    if not is_block(name):
        return _transformers(name)
    block = f"layers.{layer_index(name)}"
    places = _norm(f"{block}.layernorm_before", "LayerNorm_0") | _norm(f"{block}.layernorm_after", "LayerNorm_2")
    for projection in _PARTS:
        places |= _pair(f"{block}.attention.{projection[0]}_proj", f"{_ATTENTION}/{projection}")
    places |= _pair(f"{block}.attention.o_proj", f"{_ATTENTION}/out")
    return places | _pair(f"{block}.mlp.fc1", "MlpBlock_3/Dense_0") | _pair(f"{block}.mlp.fc2", "MlpBlock_3/Dense_1")


# Of heads, one or several, however they are built: a root has no use for them.
_HEADS = r"(?:\w+_)?(?:heads?|classifiers?|fc|logits)(?:\.\w+)+"

# What compilers and wrappers put into names, at the beginning or between any two parts.
WRAPPERS = re.compile(
    r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module|_flax_module)\."
)

NAME_SCHEMES = (
    NameScheme(
        name="timm",
        patches="patch_embed.proj.weight",
        hidden="blocks.0.mlp.fc1.weight",
        position="pos_embed",
        block=re.compile(r"blocks\.(\d{1,4})\."),
        places=_timm,
        left_out=re.compile(rf"{_HEADS}|pre_logits\..*|head_drop\..*"),
        refused=(
            (r"dist_token|head_dist\..*", "a distillation token (DeiT, distilled)"),
            (r"reg_token|register_tokens", "register tokens"),
            (r"blocks\.\d+\.ls\d\.gamma|blocks\.\d+\.gamma_\d", "LayerScale"),
            (r"blocks\.\d+\.attn\.[qk]_norm\..*", "normalised queries and keys (qk-norm)"),
            (r"fc_norm\..*", "average pooling instead of the class token"),
            (r"attn_pool\..*", "attention pooling instead of the class token"),
            (r"norm_pre\..*", "a norm before the first block"),
            (r"patch_embed\.backbone\..*", "a convolutional stem (hybrid)"),
            (r"blocks\.\d+\.adapter\..*", "residual adapters"),
            (r"blocks\.\d+\.mlp\.(w\d+|fc1_g|fc1_x)\..*", "a gated MLP (SwiGLU)"),
        ),
    ),
    NameScheme(
        name="transformers",
        patches="embeddings.patch_embeddings.projection.weight",
        hidden="encoder.layer.0.intermediate.dense.weight",
        position="embeddings.position_embeddings",
        block=re.compile(r"encoder\.layer\.(\d{1,4})\."),
        places=_transformers,
        left_out=re.compile(rf"{_HEADS}|pooler\..*|embeddings\.(mask_token|position_ids)"),
        refused=(
            (r"embeddings\.distillation_token|(cls|distillation)_classifier\..*", "a distillation token (DeiT)"),
            (r"embeddings\.register_tokens", "register tokens"),
            (r"encoder\.layer\.\d+\.layer_scale\d\.lambda1|encoder\.layer\.\d+\.lambda_\d", "LayerScale"),
            (r"encoder\.layer\.\d+\.mlp\.weights_in\..*", "a gated MLP (SwiGLU)"),
            (r"decoder\..*", "a decoder (masked auto-encoder)"),
        ),
    ),
    NameScheme(  # the modules of its version 5, as `model.state_dict()` names them; what it writes has the names above
        name="transformers",
        patches="embeddings.patch_embeddings.projection.weight",
        hidden="layers.0.mlp.fc1.weight",
        position="embeddings.position_embeddings",
        block=re.compile(r"layers\.(\d{1,4})\."),
        places=_transformers_5,
        left_out=re.compile(rf"{_HEADS}|pooler\..*|embeddings\.(mask_token|position_ids)"),
        refused=(
            (r"embeddings\.distillation_token|(cls|distillation)_classifier\..*", "a distillation token (DeiT)"),
            (r"embeddings\.register_tokens", "register tokens"),
            (r"layers\.\d+\.layer_scale\d\.lambda1|layers\.\d+\.lambda_\d", "LayerScale"),
            (r"layers\.\d+\.attention\.[qk]_norm\..*", "normalised queries and keys (qk-norm)"),
            (r"layers\.\d+\.mlp\.(weights_in|gate_proj|up_proj)\..*", "a gated MLP (SwiGLU)"),
            (r"decoder\..*", "a decoder (masked auto-encoder)"),
        ),
    ),
)
