"""Evolves each of the demo's tasks from the root and from a trunk that was trained on the three others together.

    python docs/results/joint_trunk/compare.py FOLDER [--seeds=3]

Runs go to FOLDER and are gone on with; results.csv beside this file is written anew from those that are complete.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from pathlib import Path

import munet

TASKS = ("builtin:digits", "builtin:glyphs/cyrillic", "builtin:glyphs/armenian", "builtin:glyphs/arabic")
ROUNDS, BATCH, IMAGES = 60, 128, 20_480
JOINT = 3 * ROUNDS * BATCH  # images of the joint training


def call(*arguments: str) -> None:
    """Runs a command of munet, which does nothing where its run is complete."""
    subprocess.run([sys.executable, "-m", "munet", *arguments], check=True)


def methods(folder: Path, task: str, seed: int) -> dict[str, list[str]]:
    """What each method's `munet evolve` is given."""
    trunk = folder / f"joint_{task.rpartition('/')[2].removeprefix('builtin:')}_{seed}"
    others = ",".join(other for other in TASKS if other != task)
    call(
        "train", "--config=joint:shared", f"--workdir={trunk}", f"--config.tasks={others}", f"--config.seed={seed}",
        f"--config.num_rounds={ROUNDS}", f"--config.batch_size={BATCH}",
    )  # fmt: skip
    return {
        "root": [f"--config.images_per_task={IMAGES}"],
        "root, as many images": [f"--config.images_per_task={IMAGES + JOINT}"],
        "trunk": [f"--config.images_per_task={IMAGES}", f"--config.root=munet:{trunk}?trunk"],
    }


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    rows = []
    for seed in range(given.seeds):
        for task in TASKS:
            name = task.removeprefix("builtin:")
            for method, settings in methods(given.folder, task, seed).items():
                workdir = str(
                    given.folder / f"{method.replace(', ', '_').replace(' ', '_')}_{name.replace('/', '_')}_{seed}"
                )
                call(
                    "evolve", "--config=base:quick", f"--workdir={workdir}", f"--config.tasks={task},",
                    f"--config.seed={seed}", *settings,
                )  # fmt: skip
                quality = munet.open(workdir).model(name).test_quality
                assert quality is not None
                rows.append((method, seed, name, quality.correct, quality.counted))
                with (Path(__file__).parent / "results.csv").open("w", newline="") as file:
                    csv.writer(file, lineterminator="\n").writerows(
                        [("method", "seed", "task", "correct", "counted"), *rows]
                    )


if __name__ == "__main__":
    main()
