"""Writes the corpus anew: small sound files of every kind that the targets read (`python -m tests.fuzz.make_corpus`).

Files that were found by fuzzing are put beside them by hand.
"""

from __future__ import annotations

import shutil
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from munet.config import Config, Experiment, Runtime
from tests.fuzz.targets import CORPUS
from tests.report.stored_run import write_run
from tests.store.samples import put_published

LABELS = {
    "plain": "path,label\n0.png,a\n1.png,b\n2.png,a\n3.png,b\n",
    "splits": "path,label,split\n0.png,a,train\n1.png,b,train\n2.png,a,val\n3.png,b,test\n4.png,a,train\n5.png,b,val\n",
    "semicolons": "label;path\r\nä;./0.png\r\nb;1.png\r\n",
    "quotes": '"path","label"\n"0.png","a ""b"", c"\n"1.png","d\n"\n',
}
_SUFFIXES = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tif"}


def write_run_alone() -> None:
    """A run of six entries with a snapshot, and components that are no run's: of one layer, of low rank."""
    from munet.store import ComponentStore

    run = CORPUS / "run"
    shutil.rmtree(run, ignore_errors=True)
    write_run(run, num_blocks=1, num_generations=1, children_per_generation=2, seed_choice="fit", max_seed_parents=1)
    shutil.rmtree(run / "components")
    (run / "lock").unlink(missing_ok=True)
    for index in range(2):
        put_published(ComponentStore(run / "components"), index)


def write_arrays() -> None:
    """`npz:` data sets: grey, in colour and compressed, with names, Fortran order."""
    place = CORPUS / "npz"
    place.mkdir(parents=True, exist_ok=True)
    random, labels = np.random.default_rng(0), np.arange(20) % 2
    grey = random.integers(0, 256, (20, 4, 4), np.uint8)
    np.savez(place / "grey.npz", images=grey, labels=labels)
    np.savez_compressed(place / "named.npz", images=grey, labels=labels.astype("i1"), class_names=np.array(["a", "b"]))
    colours = np.asfortranarray(random.integers(0, 256, (20, 3, 3, 3), np.uint8))
    np.savez(place / "colours.npz", images=colours, labels=labels.astype(">u2"))


def write_dna() -> None:
    """`dna:` data sets: of a sequence, and of whole windows with splits of their own, compressed."""
    place = CORPUS / "dna"
    place.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    sequence, targets = random.integers(0, 5, 60).astype(np.uint8), random.normal(size=40).astype(np.float32)
    np.savez(place / "sequence.npz", sequence=sequence, positions=np.arange(40, dtype="i4"), targets=targets)
    windows = random.integers(0, 5, (40, 9)).astype(np.uint8)
    np.savez_compressed(
        place / "windows.npz", windows=np.asfortranarray(windows), targets=targets.astype(">f8"),
        validation_windows=windows[:5], validation_targets=targets[:5], test_windows=windows[5:9],
        test_targets=targets[5:9],
    )  # fmt: skip


def write_images() -> None:
    """Small images, one of each format and mode that is written differently."""
    from io import BytesIO

    from PIL import Image

    place = CORPUS / "images"
    place.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 4), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    for format, modes in {
        "PNG": ("1", "P", "LA", "RGB", "I;16"), "JPEG": ("L", "RGB", "CMYK"), "WEBP": ("RGBA",), "GIF": ("P",),
        "BMP": ("1", "RGB"), "TIFF": ("L", "RGB", "CMYK"),
    }.items():  # fmt: skip
        for mode in modes:
            sixteen = Image.fromarray(pixels.view(np.uint16)[..., 0].copy())
            image = sixteen if mode == "I;16" else Image.fromarray(pixels).convert(mode)
            file = BytesIO()
            options: dict[str, Any] = {"exif": exif} if format in ("PNG", "JPEG", "WEBP") else {}
            image.save(file, format=format, **options, **({"compression": "tiff_lzw"} if mode == "CMYK" else {}))
            (place / f"{mode.replace(';', '_')}.{_SUFFIXES[format]}").write_bytes(file.getvalue())


def write_texts() -> None:
    """Tables of labels, and a value of every setting."""
    for name, text in LABELS.items():
        file = CORPUS / "labels" / f"{name}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
    lines = list(_settings(Config(Experiment(tasks=("builtin:digits", "tfds:mnist?train=train[:90%]")), Runtime())))
    file = CORPUS / "config" / "values.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n")


def _settings(group: Any, prefix: str = "") -> list[str]:
    lines: list[str] = []
    for field in fields(group):
        value, path = getattr(group, field.name), f"{prefix}{field.name}"
        if is_dataclass(value):
            lines += _settings(value, f"{path}.")
        else:
            lines.append(f"{path}={','.join(map(str, value)) if isinstance(value, tuple) else value}")
    return lines


def main() -> None:
    """See the module's docstring."""
    for part in (write_run_alone, write_arrays, write_dna, write_images, write_texts):
        part()
    print(f"{sum(path.stat().st_size for path in Path(CORPUS).rglob('*') if path.is_file()):,} bytes")


if __name__ == "__main__":
    main()
