"""A root that has learnt nothing: the control that says what pretraining is worth (`experiment.root=random`).

`random:Ti/16?seed=1&image_size=64` is the whole name; `random` alone is one of the run's variant, seed and image size.
"""

from __future__ import annotations

import hashlib
import json
from urllib.parse import parse_qsl

from munet.config import Experiment
from munet.errors import CheckpointError, UserError, nearest
from munet.roots.checkpoint import Checkpoint
from munet.vit import architecture
from munet.vit.augreg import Components
from munet.vit.headers import Facts
from munet.vit.init import init_root, resize_position_embedding

NAME, SCHEME = "random", "random:"
_OPTIONS = {"seed": 0, "image_size": 32}
_INITIALISATION = 1  # changes whenever `init_root` gives other values


def named(experiment: Experiment) -> str:
    """`experiment.root` with what `random` alone leaves to the other settings."""
    if experiment.root != NAME:
        return experiment.root
    return f"{SCHEME}{experiment.variant}?seed={experiment.seed}&image_size={experiment.defaults.image_size}"


def open_random(reference: str) -> Checkpoint:
    """The root that `random:VARIANT?seed=N&image_size=PIXELS` names.

    Raises:
      CheckpointError: no such variant or option, or a value that is no number of the kind.
    """
    name, _, query = reference.removeprefix(SCHEME).partition("?")
    try:
        variant = architecture.get_variant(name)
    except UserError as error:
        raise CheckpointError(f"{reference}: {error}") from error
    options = dict(_OPTIONS)
    for option, value in parse_qsl(query, keep_blank_values=True):
        if option not in _OPTIONS:
            raise CheckpointError(f"{reference}: there is no option {option!r}. {nearest(option, _OPTIONS)}")
        if not (value.isdecimal() and value.isascii()):
            raise CheckpointError(f"{reference}: {option} = {value!r}: expected a whole number, e.g. {option}=1.")
        options[option] = int(value)
    size, patch = options["image_size"], variant.patch_size
    if size < patch or size % patch or size > 1 << 12:
        raise CheckpointError(f"{reference}: image_size = {size}: expected a multiple of {patch} up to 4096.")

    def load(num_blocks: int, image_size: int | None) -> Components:
        components = init_root(variant, num_blocks, size, options["seed"])
        if image_size:
            position = components[architecture.POSITION]
            for path, array in position.items():
                position[path] = resize_position_embedding(array, size, image_size, patch)
        return components

    identity = json.dumps(["random", _INITIALISATION, variant.name, options], sort_keys=True)
    facts = Facts("munet", variant, variant.max_blocks, size, notes=("It has learnt nothing: a control, not a start.",))
    digest = hashlib.sha256(identity.encode()).hexdigest()
    return Checkpoint(reference, reference, digest, facts, "made when it is needed", load)
