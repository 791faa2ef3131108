"""`munet export --check`: whether an exported folder answers as the system does, on images made for it.

What is compared is read from the folder's files by readers that share nothing with munet's layers: a forward pass in
plain NumPy, the deserialised program, and timm itself where it is installed.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from munet.errors import CheckpointError, UserError
from munet.export import npz, numpy_vit, portable, safetensors_timm, stablehlo
from munet.export.export import FORMATS, MANIFEST
from munet.export.portable import PortableModel
from munet.system.view import RunView
from munet.types import TaskName
from munet.vit.architecture import HEAD
from munet.vit.augreg import load_augreg
from munet.vit.foreign import timm_tensors
from munet.vit.npz_file import open_npz
from munet.vit.safetensors_file import open_tensors

NUM_IMAGES = 32
TOLERANCE = 1e-4
_MAX_MANIFEST = 1 << 24  # bytes

Logits = Float[np.ndarray, "n classes"]
Images = UInt8[np.ndarray, "n h w 3"]


def check_folder(system: RunView, folder: str, task: TaskName, say: Callable[[str], None]) -> bool:
    """Compares an exported folder, or every one inside it, with the system.

    Args:
      system: the run that it was exported from.
      folder: as `export` or `export_all` wrote it.
      task: the only one to compare; "": whatever is there.
      say: told of each result.

    Returns:
      Whether all agree.

    Raises:
      UserError: it is no such folder, or holds another model than the system has now.
    """
    place = Path(folder)
    places = [place] if (place / MANIFEST).is_file() else sorted(path.parent for path in place.glob(f"*/{MANIFEST}"))
    if not places:
        raise UserError(f"--check={folder}: there is no exported model; one has a {MANIFEST}.")
    manifests = {path: _manifest(path) for path in places}
    chosen = [path for path, manifest in manifests.items() if task in ("", manifest["task"])]
    if not chosen:
        found = ", ".join(sorted(repr(manifest["task"]) for manifest in manifests.values()))
        raise UserError(f"--check={folder} holds no model of {task!r}; it holds those of {found}.")
    results = [_check(system, path, manifests[path], say) for path in chosen]  # every one is looked at
    return all(results)


def _check(system: RunView, place: Path, manifest: Mapping[str, Any], say: Callable[[str], None]) -> bool:
    task = manifest["task"]
    record = system.model(task)
    if manifest["components"] != dict(record.components):
        raise UserError(
            f"{place} holds model {manifest['model']} of {task!r}; the one retained in {system.workdir} is "
            f"{record.id}, with other layers: export it again, or give as --workdir the run that it was exported from."
        )
    for name, digest in manifest["files"].items():
        if not (place / name).is_file() or hashlib.sha256((place / name).read_bytes()).hexdigest() != digest:
            say(f"{task} ({place}): {name} is missing or not the file that was exported")
            return False
    model = portable.of_task(system, task)
    images = made_images(model.image_size)
    ours, is_sound = own_logits(model, images), True
    for judge, answer in judges(place, manifest["kind"]).items():
        theirs = answer(images, model)
        difference = float(np.abs(theirs - ours).max()) if theirs.shape == ours.shape else np.inf
        same = int((theirs.argmax(1) == ours.argmax(1)).sum()) if theirs.shape == ours.shape else 0
        agrees = difference <= TOLERANCE and same == len(images)
        is_sound &= agrees
        say(
            f"{task} ({manifest['kind']}): {'agrees' if agrees else 'DIFFERS'}; logits by {judge} differ by at most "
            f"{difference:.1e}, {same} of {len(images)} classes equal"
        )
    return is_sound


def judges(place: Path, kind: str) -> dict[str, Callable[[Images, PortableModel], Logits]]:
    """Who can say what an export answers: functions from images to logits, by name."""
    if kind == "stablehlo":
        return {"its program": lambda images, _: _program(place, images)}
    if kind == "npz":
        return {"NumPy": lambda images, model: _by_numpy(_npz_tensors(place, model), model, images)}
    found: dict[str, Callable[[Images, PortableModel], Logits]] = {
        "NumPy": lambda images, model: _by_numpy(_tensors(place), model, images)
    }
    if importlib.util.find_spec("timm") is not None and importlib.util.find_spec("torch") is not None:
        found["timm"] = lambda images, model: by_timm(place, _prepared(model, images))
    return found


def made_images(size: int) -> Images:
    """Random shapes of random colours, half again as large as the model's images: the same on every machine."""
    side = size + size // 2
    words = np.random.Philox(key=7).random_raw(NUM_IMAGES * (6 * 6 * 3 + side * side * 3))
    values = (words >> np.uint64(56)).astype(np.float64)
    coarse, fine = np.split(values, [NUM_IMAGES * 6 * 6 * 3])
    blocks = coarse.reshape(NUM_IMAGES, 6, 6, 3)[:, np.arange(side) * 6 // side][:, :, np.arange(side) * 6 // side]
    noise = fine.reshape(NUM_IMAGES, side, side, 3)
    result: Images = (0.8 * blocks + 0.2 * noise).astype(np.uint8)
    return result


def own_logits(model: PortableModel, images: Images) -> Logits:
    """What munet's own layers say."""
    from flax.traverse_util import unflatten_dict

    params = {name: unflatten_dict(arrays, sep="/") for name, arrays in model.components.items()}
    return np.asarray(_forward()(model.variant, params, _prepared(model, images), num_blocks=model.num_blocks))


@functools.cache
def _forward() -> Callable[..., Any]:
    """The forward pass, compiled once for all models of one shape."""
    import jax

    from munet.training.program import jax_settings
    from munet.vit import forward

    jax_settings.pin()
    return jax.jit(forward.logits, static_argnums=0, static_argnames="num_blocks")


def by_timm(place: Path, ready: Float[np.ndarray, "n size size 3"]) -> Logits:
    """What timm says, opening the folder itself; needs torch and timm."""
    timm, torch = (importlib.import_module(name) for name in ("timm", "torch"))  # no dependencies of munet
    module = place / safetensors_timm.MODULE
    is_ours = module.is_file() and module.read_bytes() == safetensors_timm.module_source()  # so it may be run
    if is_ours and "modeling_munet" not in sys.modules:
        spec = importlib.util.spec_from_file_location("modeling_munet", module)
        if spec is not None and spec.loader is not None:
            loaded = sys.modules["modeling_munet"] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(loaded)
    model = timm.create_model(f"local-dir:{place}", pretrained=True).eval()
    with torch.no_grad():
        result: Logits = model(torch.from_numpy(ready.transpose(0, 3, 1, 2).copy())).numpy()
    return result


def _prepared(model: PortableModel, images: Images) -> Float[np.ndarray, "n size size 3"]:
    from munet.data import augment

    return np.asarray(augment.prepare(images, model.image_size, model.antialias))  # type: ignore[arg-type]


def _by_numpy(tensors: numpy_vit.Tensors, model: PortableModel, images: Images) -> Logits:
    arguments = safetensors_timm.config(model)["model_args"]
    return numpy_vit.logits(tensors, arguments, _prepared(model, images))


def _tensors(place: Path) -> dict[str, np.ndarray]:
    with open_tensors(place / safetensors_timm.WEIGHTS) as file:
        return {key: file.read(key) for key in file.tensors}


def _npz_tensors(place: Path, model: PortableModel) -> dict[str, np.ndarray]:
    path = place / npz.WEIGHTS
    components = load_augreg(path, model.variant, model.num_blocks)
    with open_npz(path) as file:
        head = {leaf: file.read(f"{HEAD}/{leaf}") for leaf in ("kernel", "bias")}
    return timm_tensors({**components, HEAD: head})


def _program(place: Path, images: Images) -> Logits:
    stablehlo.check_installed()
    from jax import export

    program = export.deserialize(bytearray((place / stablehlo.WEIGHTS).read_bytes()))
    return np.asarray(program.call(images)["logits"])


def _manifest(place: Path) -> dict[str, Any]:
    path = place / MANIFEST
    try:
        if path.stat().st_size > _MAX_MANIFEST:
            raise ValueError(f"{path.stat().st_size:,} bytes")
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged ({error}): export the model again.") from error
    match found:
        case {"format": "munet-export", "version": 1, "kind": str(kind), "task": str(), "files": dict(files),
              "components": dict(), "model": int()} if kind in FORMATS and all(map(_is_plain, files)):  # fmt: skip
            return found
    raise CheckpointError(f"{path} is not what this version of munet writes: export the model again.")


def _is_plain(name: object) -> bool:
    """Whether it is a file's name and no path out of the folder."""
    return isinstance(name, str) and Path(name).name == name
