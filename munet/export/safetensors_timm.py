"""A folder that `timm.create_model("local-dir:FOLDER", pretrained=True)` opens.

A plain ViT needs nothing but timm. Residual adapters are no layers of timm's: a model with some has another
architecture in its `config.json`, which timm does not know before `modeling_munet.py`, written beside it, is imported.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import safetensors.numpy

from munet.export.portable import PortableModel, Usage
from munet.vit.foreign import timm_tensors

WEIGHTS, CONFIG, MODULE = "model.safetensors", "config.json", "modeling_munet.py"
ARCHITECTURE = "munet_vit"  # of models with adapters, as the module registers it
_SIZES = {"demo": "tiny", "Ti": "tiny", "S": "small", "B": "base", "L": "large"}  # timm's words; sizes are given anyway


def write(model: PortableModel, folder: Path) -> None:
    """Writes weights, config and, for a model with adapters, the module. The same model gives the same bytes."""
    tensors = timm_tensors(model.components)
    (folder / WEIGHTS).write_bytes(safetensors.numpy.save(tensors, metadata={"format": "pt"}))
    (folder / CONFIG).write_text(json.dumps(config(model), indent=2) + "\n", encoding="utf-8")
    if model.adapters:
        (folder / MODULE).write_bytes(module_source())


def config(model: PortableModel) -> dict[str, Any]:
    """What timm reads beside the weights."""
    variant = model.variant
    arguments: dict[str, Any] = {
        "img_size": model.image_size,
        "patch_size": variant.patch_size,
        "embed_dim": variant.width,
        "depth": model.num_blocks,
        "num_heads": variant.num_heads,
        "mlp_ratio": variant.mlp_dim / variant.width,
        "act_layer": "gelu_tanh",
    }
    if model.adapters:
        arguments["adapters"] = {str(index): width for index, width in model.adapters.items()}
    size = _SIZES[variant.name.partition("/")[0]]
    return {
        "architecture": ARCHITECTURE if model.adapters else f"vit_{size}_patch16_224",
        "num_classes": len(model.class_names),
        "num_features": variant.width,
        "global_pool": "token",
        "label_names": list(model.class_names),
        "model_args": arguments,
        "pretrained_cfg": {
            "num_classes": len(model.class_names),
            "input_size": [3, model.image_size, model.image_size],
            "fixed_input_size": True,
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "crop_mode": "squash",
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            "first_conv": "patch_embed.proj",
            "classifier": "head",
        },
    }


def module_source() -> bytes:
    """The module that adds adapters to timm's class."""
    return (resources.files("munet") / "assets" / MODULE).read_bytes()


def usage(model: PortableModel) -> Usage:
    """What the card says."""
    lead = (
        'A plain ViT: `timm.create_model("local-dir:FOLDER", pretrained=True)` opens this folder; it needs no munet. '
        "Written for timm 1.0."
    )
    if model.adapters:
        blocks = ", ".join(str(index) for index in model.adapters)
        lead = (
            f"**This model has residual adapters (before block {blocks}, counted from 0), which timm's own class does "
            f"not have.** `{MODULE}` in this folder, some 60 lines of PyTorch, adds them: import it before timm opens "
            "the folder (without it timm says `Unknown model`). It needs no munet. Written for timm 1.0."
        )
    size, smooth = model.image_size, model.antialias
    example = f"""\
import {"modeling_munet, " if model.adapters else ""}numpy, timm, torch
from PIL import Image, ImageOps

model = timm.create_model("local-dir:.", pretrained=True).eval()
{model.reading}
pixels = torch.from_numpy(numpy.array(image)).permute(2, 0, 1)[None] / 255
images = torch.nn.functional.interpolate(pixels, ({size}, {size}), mode="bilinear", antialias={smooth}) * 2 - 1
probabilities = model(images).softmax(-1)[0].tolist()
print(model.pretrained_cfg["label_names"][probabilities.index(max(probabilities))], max(probabilities))
"""
    return Usage("timm", lead, example)
