"""How long a folder of photos takes to become a task: hashed, decoded and cached, and opened again from the cache.

    python -m benchmarks.folder [--count=2000] [--distinct=200] [--max_image_size=64] [--place=/tmp]

Prints one JSON line. The photos, of 1 to 12 megapixels, are random crops of the two photographs of scikit-learn
(which must be installed), enlarged, with a sensor's noise, as JPEG of quality 85. `--distinct` of them are made; the
others are copies whose bytes differ in a comment, so that each file has to be hashed and decoded. Making them is not
counted. Each measurement is a process of its own; `cpu_s` is what its threads took, `wall_s` what the clock says.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

_CLASSES = 10
_QUALITY, _NOISE = 85, 5.0  # of the JPEGs; standard deviation of 256 levels


def main() -> None:
    """Makes the photos, measures, and prints one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--distinct", type=int, default=200)
    parser.add_argument("--max_image_size", type=int, default=64)
    parser.add_argument("--place", default=None, help="where the temporary folder is made")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        _measure(Path(options.measure), options.max_image_size)
        return
    with tempfile.TemporaryDirectory(dir=options.place) as place:
        megapixels, size = _make(Path(place) / "photos", options.count, min(options.distinct, options.count))
        runs = [
            subprocess.run(
                [sys.executable, __file__, f"--measure={place}", f"--max_image_size={options.max_image_size}"],
                check=True, capture_output=True, text=True,
            )
            for _ in range(2)
        ]  # fmt: skip
        first, second = (json.loads(run.stdout) for run in runs)
    print(
        json.dumps(
            {
                "count": options.count,
                "mean_megapixels": round(megapixels, 2),
                "gigabytes": round(size / 1e9, 2),
                "cores": len(os.sched_getaffinity(0)),
                "first": first,
                "second": second,
                "first_images_per_s": round(options.count / first["wall_s"], 1),
                "first_images_per_cpu_s": round(options.count / first["cpu_s"], 1),
            }
        )
    )


def _make(folder: Path, count: int, distinct: int) -> tuple[float, int]:
    """Writes the photos into classes; their mean number of megapixels, and the bytes of all."""
    rng = np.random.default_rng(0)
    photographs = [Image.fromarray(image) for image in load_sample_images().images]
    for label in range(_CLASSES):
        (folder / f"class {label}").mkdir(parents=True)
    total_pixels = total_bytes = 0
    for number in range(distinct):
        target = rng.uniform(1e6, 12e6)
        width, height = round((target * 4 / 3) ** 0.5), round((target * 3 / 4) ** 0.5)
        source = photographs[number % len(photographs)]
        crop_width = int(rng.integers(source.width // 2, source.width + 1))
        crop_height = int(rng.integers(source.height // 2, source.height + 1))
        left = int(rng.integers(0, source.width - crop_width + 1))
        top = int(rng.integers(0, source.height - crop_height + 1))
        large = source.resize(
            (width, height), Image.Resampling.BICUBIC, box=(left, top, left + crop_width, top + crop_height)
        )
        noisy = np.asarray(large) + rng.normal(0, _NOISE, (height, width, 1)).astype(np.float32)
        image = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
        for copy in range(number, count, distinct):
            path = folder / f"class {copy % _CLASSES}" / f"{copy:05}.jpg"
            if copy == number:
                image.save(path, quality=_QUALITY)
                encoded = path.read_bytes()
            else:
                comment = f"copy {copy}".encode()
                path.write_bytes(
                    encoded[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + encoded[2:]
                )
            total_pixels += width * height
            total_bytes += len(encoded)
    return total_pixels / count / 1e6, total_bytes


def _measure(place: Path, max_image_size: int) -> None:
    """Opens the folder as a task, takes a split, and prints what it took."""
    from munet.data.tasks import load_task

    wall, cpu = time.perf_counter(), time.process_time()
    task = load_task(f"folder:{place / 'photos'}", cache_dir=str(place / "cache"), max_image_size=max_image_size)
    shape = task.split("train").images.shape
    seconds = {"wall_s": round(time.perf_counter() - wall, 2), "cpu_s": round(time.process_time() - cpu, 2)}
    peak = _peak_mib()
    print(json.dumps({**seconds, "peak_mib": peak, "train_shape": shape}))


def _peak_mib() -> int:
    """The most memory that this process had, mapped files included; `getrusage` would count its parent's too."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) // 1024 if found else 0


if __name__ == "__main__":
    main()
