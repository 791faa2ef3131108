"""A finished run on a folder of image files as people have them: many sizes, modes and formats, some turned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from munet.run import runs
from tests import tiny_run

CLASSES = ("dark", "it's <b>light</b>", "striped")
_FORMS = [("jpg", "RGB"), ("png", "P"), ("gif", "P"), ("tif", "CMYK"), ("png", "RGBA"), ("tif", "L"), ("webp", "RGB")]


def write_folder(folder: Path, num_images: int = 84) -> None:
    """`folder/{train,validation,test}/CLASS/NUMBER.SUFFIX`."""
    random = np.random.default_rng(0)
    for number in range(num_images):
        label, form = number % 3, (number // 3) % len(_FORMS)
        suffix, mode = _FORMS[form]
        split = ("train", "train", "validation", "test")[number // 3 % 4]
        height, width = random.integers(20, 150, 2)
        values = random.integers(0, 90, (height, width, 3)) + 30 * label * (1 + (np.arange(width)[:, None] % 5 > 2))
        image = Image.fromarray(values.astype(np.uint8)).convert(mode)
        exif = Image.Exif()
        exif[0x0112] = 1 + number % 8
        place = folder / split / CLASSES[label].replace("/", "|") / f"{number}.{suffix}"
        place.parent.mkdir(parents=True, exist_ok=True)
        image.save(place, exif=exif) if suffix != "gif" else image.save(place)


def evolve(place: Path) -> Path:
    """Writes the folder and a run on it below `place`; gives the work directory."""
    write_folder(place / "photos")
    tiny_run.write_root(place / "root.npz")
    config = tiny_run.config(place)
    experiment = config.experiment
    experiment.tasks = (f"folder:{place / 'photos'}",)
    experiment.num_task_iterations = experiment.num_generations = 1
    experiment.search_space.image_size, experiment.defaults.image_size = (32,), 32
    runs.evolve(config, str(place / "run"), lambda _: None)
    return place / "run"
