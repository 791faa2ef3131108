"""How long training waits for the images of a streamed set: B/16 at 80 pixels, batches of 256 (the decathlon's shape).

    python -m benchmarks.input_wait [--images=1000] [--segments=3] [--threads=1,2] [--data_dir=DIR]

Prints one JSON line. Sets: folders of JPEG files of 80 x 80 and PNG files of 72 x 72 pixels (random crops of the two
photographs of scikit-learn, which must be installed), and, where `--data_dir` (`$TFDS_DATA_DIR`) has them, prepared
sets in array_record form.
For each, and each number of decoding threads: `images_per_s` when nothing else is done, of which `cpu_us` is the
processor time of one image, and the wait for input of a step, in milliseconds, when the device takes so long for one
that `steps_ms` says (the host sleeps meanwhile, as it does beside an accelerator; the first segment is not counted).

No step is trained. What an accelerator would take is arithmetic: forward FLOPs (`munet/vit/flops.py`) x 3 x 256 at 45%
of 989 TFLOP/s (an H100's dense bfloat16 peak); `h100` is one child's step. Children of a generation train on the same
batches, so eight of them give the input eight times as long: `h100_8_children`.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from munet.data import loader
from munet.data.open_settings import OpenSettings
from munet.data.streamed import StreamedImages
from munet.data.tasks import open_task
from munet.training.batches.decode_ahead import StepFeed
from munet.training.batches.stream import batches_within
from munet.vit import architecture, flops

_BATCH, _IMAGE_SIZE = 256, 80
_PEAK, _SHARE = 989e12, 0.45
_PREPARED = ("tfds:cifar10_subset", "tfds:omniglot?split=clean")


def main() -> None:
    """Makes the files, measures, and prints one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000, help="files in each folder")
    parser.add_argument("--segments", type=int, default=3)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--data_dir", default=os.environ.get("TFDS_DATA_DIR", ""))
    options = parser.parse_args()
    h100 = _step_flops() / (_PEAK * _SHARE) * 1000
    steps = {"h100": h100, "20": 20.0, "h100_8_children": 8 * h100, "100": 100.0, "200": 200.0}
    threads = [int(number) for number in options.threads.split(",")]
    found = {}
    with tempfile.TemporaryDirectory() as place:
        uris = {}
        for kind, size in (("jpeg", 80), ("png", 72)):
            _make(Path(place) / kind, kind, size, options.images)
            uris[f"{kind} files, {size} px"] = f"folder:{place}/{kind}"
        for uri in _PREPARED:
            if (Path(options.data_dir) / uri.removeprefix("tfds:").partition("?")[0]).is_dir():
                uris[uri] = uri
        for name, uri in uris.items():
            settings = OpenSettings(options.data_dir, f"{place}/cache", max_image_size=_IMAGE_SIZE, max_resident=0)
            images = open_task(uri, settings).split("train").images
            assert isinstance(images, StreamedImages)
            found[name] = {number: _measure(images, number, options.segments, steps) for number in threads}
    line = {
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "step_tflop": round(_step_flops() / 1e12, 2),
        "steps_ms": {name: round(value, 1) for name, value in steps.items()},
        "sets": found,
    }
    print(json.dumps(line))


def _step_flops() -> float:
    """Of one train step of one child that trains every layer."""
    names = architecture.path_names(12)
    forward = flops.forward(architecture.get_variant("B/16"), names, {"image_size": _IMAGE_SIZE, "adapter_dim": 0}, 100)
    return 3.0 * _BATCH * forward


def _make(folder: Path, kind: str, size: int, count: int) -> None:
    """Writes random crops of photographs into two classes."""
    rng = np.random.default_rng(0)
    photographs = [Image.fromarray(image) for image in load_sample_images().images]
    for label in range(2):
        (folder / str(label)).mkdir(parents=True)
    for number in range(count):
        source = photographs[number % 2]
        side = int(rng.integers(size, source.height + 1))
        left, top = int(rng.integers(0, source.width - side + 1)), int(rng.integers(0, source.height - side + 1))
        crop = source.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
        crop.save(folder / str(number % 2) / f"{number}.{kind}", quality=85)


def _measure(images: StreamedImages, threads: int, segments: int, steps: dict[str, float]) -> dict[str, object]:
    """What the input does alone, and the wait for a step at each time that a step may take."""
    size = batches_within(64_000_000, _BATCH, _IMAGE_SIZE, images.image_bytes, at_most=100)

    def run(step_ms: float) -> tuple[float, float, float]:
        """Milliseconds a step: the wait, the wall and the processor time, without the first segment's."""
        feed = StepFeed(
            images,
            partial(loader.batch_indices, ("input_wait",), len(images), _BATCH),
            (size, _BATCH),
            range((2 * segments + 1) * size),  # there is always more to decode
            num_threads=threads,
        )
        feed.segment(size)
        waited, wall, cpu = feed.waited, time.perf_counter(), time.process_time()
        for _ in range(segments):
            time.sleep(size * step_ms / 1000)
            feed.segment(size)
        passed = feed.waited - waited, time.perf_counter() - wall, time.process_time() - cpu
        feed.close()
        wait, wall, cpu = (1000 * seconds / (segments * size) for seconds in passed)
        return wait, wall, cpu

    _, wall, cpu = run(0.0)
    return {
        "images_per_s": round(1000 * _BATCH / wall),
        "cpu_us": round(1000 * cpu / _BATCH),
        "wait_ms": {name: round(run(value)[0], 1) for name, value in steps.items()},
    }


if __name__ == "__main__":
    main()
