"""The public augreg layout, with head: what timm's `load_pretrained`, big_vision and munet itself read."""

from __future__ import annotations

from pathlib import Path

from munet.errors import UserError
from munet.export.portable import PortableModel, Usage
from munet.vit.augreg import save_augreg

WEIGHTS = "model.npz"


def write(model: PortableModel, folder: Path) -> None:
    """Writes the weights.

    Raises:
      UserError: the model has residual adapters, for which the layout has no place.
    """
    if model.adapters:
        blocks = ", ".join(map(str, model.adapters))
        raise UserError(
            f"The model of {model.task!r} has residual adapters (before block {blocks}), for which the npz layout has "
            "no place. Formats that hold them: --format=safetensors, --format=stablehlo."
        )
    save_augreg(folder / WEIGHTS, model.components)


def usage(model: PortableModel) -> Usage:
    """What the card says."""
    size = model.image_size
    return Usage(
        "munet",
        "A plain ViT in the public augreg layout (flat keys with `/`), with its head. munet begins runs with it "
        "(`--config.root=model.npz`), timm loads it into a ViT of its sizes (`model.load_pretrained`).",
        f"""\
import jax, json, munet, numpy
from PIL import Image, ImageOps

root, arrays = munet.load_root("model.npz", image_size={size}), numpy.load("model.npz")
{model.reading}
pixels = numpy.asarray(image, numpy.float32)[None] / 127.5 - 1
pixels = jax.image.resize(pixels, (1, {size}, {size}, 3), "bilinear", antialias={model.antialias})
features = root.features(pixels)
logits = features @ arrays["head/kernel"] + arrays["head/bias"]
print(json.load(open("munet.json"))["class_names"][logits[0].argmax()])
""",
    )
