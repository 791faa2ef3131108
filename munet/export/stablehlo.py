"""The whole way from uint8 pixels to probabilities as one StableHLO program: a server needs JAX for it, and no munet.

Batch size, height and width are symbolic: one file serves all. It holds the weights and runs on CPU, CUDA and TPU.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from munet.errors import UserError
from munet.export.portable import PortableModel, Usage

WEIGHTS = "model.stablehlo"
PLATFORMS = ("cpu", "cuda", "tpu")


def check_installed() -> None:
    """Refuses to begin without what serialising needs.

    Raises:
      UserError: flatbuffers is missing.
    """
    if importlib.util.find_spec("flatbuffers") is None:
        raise UserError(
            "--format=stablehlo needs the package flatbuffers, the extra `export`: pip install -e '.[export]' in the "
            "clone, or pip install flatbuffers."
        )


def write(model: PortableModel, folder: Path) -> None:
    """Writes the program.

    Raises:
      UserError: flatbuffers is missing.
    """
    check_installed()
    (folder / WEIGHTS).write_bytes(serialised(model))


def serialised(model: PortableModel) -> bytes:
    """The program: uint8 `[batch, height, width, 3]` to a dictionary of `logits` and `probabilities`."""
    import jax
    import jax.numpy as jnp
    from flax.traverse_util import unflatten_dict
    from jax import export

    from munet.data import augment
    from munet.training.program import jax_settings
    from munet.vit import forward

    jax_settings.pin()
    params = {name: unflatten_dict(arrays, sep="/") for name, arrays in model.components.items()}

    def classify(images: Any) -> dict[str, Any]:
        ready = augment.prepare(images, model.image_size, model.antialias)
        logits = forward.logits(model.variant, params, ready, num_blocks=model.num_blocks)
        return {"logits": logits, "probabilities": jax.nn.softmax(logits)}

    batch, height, width = export.symbolic_shape("batch, height, width")
    images = jax.ShapeDtypeStruct((batch, height, width, 3), jnp.uint8)
    # Products in full float32 also where devices would round them: the answers are the same everywhere.
    with jax.default_matmul_precision("highest"):
        exported = export.export(jax.jit(classify), platforms=PLATFORMS)(images)
    return bytes(exported.serialize())


def usage(model: PortableModel) -> Usage:
    """What the card says."""
    return Usage(
        "jax",
        f"One StableHLO program (`jax.export`): uint8 RGB images `[n, height, width, 3]` of any one size in, resizing "
        f"and softmax included, `logits` and `probabilities` `[n, {len(model.class_names)}]` out. It runs on "
        f"{', '.join(PLATFORMS)} and needs JAX, NumPy and flatbuffers, no munet.",
        f"""\
import json, numpy
from jax import export
from PIL import Image, ImageOps

model = export.deserialize(bytearray(open("model.stablehlo", "rb").read()))
{model.reading}
probabilities = model.call(numpy.asarray(image)[None])["probabilities"][0]
print(json.load(open("munet.json"))["class_names"][int(probabilities.argmax())], float(probabilities.max()))
""",
    )
