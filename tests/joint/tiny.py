"""The smallest real pre-training: two tasks of two classes, one block, seconds on two cores.

As a script (`python -m tests.joint.tiny WORKDIR DATA`) it trains; nothing of it is packaged.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from munet.config.checks import validate
from munet.config.pretrain import PretrainConfig, PretrainRuntime, Recipe


def write_task(path: Path, size: int = 8, channels: int = 0) -> str:
    """Two classes, told apart by which half is bright; grey without a channel axis, unless `channels` are asked for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    labels = np.arange(60) % 2
    images = generator.integers(0, 60, (60, size, size, *([channels] if channels else [])), dtype=np.uint8)
    images[labels == 1, : size // 2] += 150
    images[labels == 0, size // 2 :] += 150
    np.savez(path, images=images, labels=labels)
    return f"npz:{path}"


def write_data(folder: Path) -> tuple[str, str]:
    """Both tasks; their images have different sizes."""
    return write_task(folder / "first.npz"), write_task(folder / "second.npz", size=12)


def config(folder: Path, **changes: Any) -> PretrainConfig:
    """30 steps on both tasks, with everything that draws random numbers; saved at every opportunity."""
    recipe = {
        "tasks": (f"npz:{folder}/first.npz", f"npz:{folder}/second.npz"),
        "variant": "demo/16",
        "num_blocks": 1,
        "num_steps": 30,
        "batch_size": 16,
        "learning_rate": 0.01,
        "mixup_alpha": 0.2,
        "pad_pixels": 1,
        "crop_area_min": 0.8,
        "brightness_delta": 0.1,
    }
    runtime = PretrainRuntime(cache_dir=str(folder / "cache"), validate_every=12, checkpoint_minutes=0)
    for name, value in changes.items():
        if hasattr(runtime, name):
            setattr(runtime, name, value)
        else:
            recipe[name] = value
    return validate(PretrainConfig(Recipe(**recipe), runtime))  # type: ignore[arg-type]  # checked by `validate`


def results(workdir: Path) -> dict[str, Any]:
    """What must be the same however often training was killed; not times."""
    curve = [json.loads(line) for line in (workdir / "curve.jsonl").read_text().splitlines()]
    result = json.loads((workdir / "result.json").read_text())
    for line in (*curve, result):
        del line["seconds"]
    return {"curve": curve, "result": result, "root": (workdir / result["file"]).read_bytes()}


def pretrain(
    config: PretrainConfig, workdir: str, say: Callable[[str], None], command: str = "", is_dry_run: bool = False
) -> None:
    """Trains, and says what happens, a line each time."""
    from munet.joint.run import train
    from munet.progress.events import Event
    from munet.progress.lines import PlainLines

    lines = io.StringIO()
    plain = PlainLines(lines)

    def notify(event: Event) -> None:
        plain(event)
        for line in lines.getvalue().splitlines():
            say(line)
        lines.seek(0)
        lines.truncate()

    train(config, workdir, notify, command=command, is_dry_run=is_dry_run)


def main(workdir: str, data: str) -> None:
    pretrain(config(Path(data)), workdir, lambda text: print(text, flush=True), "the command")


if __name__ == "__main__":
    main(*sys.argv[1:])
