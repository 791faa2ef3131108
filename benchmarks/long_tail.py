"""What the settings for imbalanced classes are worth: a built-in task cut to a long tail, tested on all classes alike.

    python -m benchmarks.long_tail [--task=builtin:glyphs/cyrillic] [--seeds=0,1,2] [--ratio=36]

Prints one JSON line a run and one for the means. The training and validation images of the first class stay, the last
class keeps one in `--ratio` of them, those between follow geometrically; the test split stays whole, so that its plain
accuracy weighs every class (nearly) alike. The four runs of a seed differ only in `quality_metric` and
`class_balanced`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np

import munet
from munet.config.files import load_config
from munet.data.splits import Split, SplitName, Splits, rank_in_class
from munet.data.tasks import SPLITS, Task, load_task
from munet.quality import Metric, quality_of
from munet.run import runs
from munet.run.setup import RunSetup
from munet.run.start import RootComponents
from munet.training.placement.devices import DeviceLayout


def long_tail(task: Task, ratio: float) -> Task:
    """The task with fewer and fewer training and validation images from class to class."""
    whole, num_classes = task.source.load(), task.info.num_classes
    keep = ratio ** (-np.arange(num_classes) / (num_classes - 1))
    splits: dict[SplitName, Split] = {}
    for name in SPLITS:
        split = whole[name]
        if name != "test":
            most = np.maximum(np.round(keep * np.bincount(split.labels, minlength=num_classes)), 1)
            chosen = rank_in_class(split.labels) < most[split.labels]
            split = Split(split.images[chosen], split.labels[chosen])
        splits[name] = split
    sizes = {name: len(split) for name, split in splits.items()}
    info = replace(task.info, fingerprint=f"{task.info.fingerprint}/{ratio:g}", num_train=sizes["train"])

    def load() -> Splits:
        return splits

    source = replace(task.source, num_examples=sizes, load=load)
    return Task(replace(info, num_validation=sizes["validation"], num_test=sizes["test"]), source)


def main() -> None:
    """Runs every combination for every seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="builtin:glyphs/cyrillic")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--ratio", type=float, default=36.0)
    options = parser.parse_args()
    means: dict[str, list[float]] = {}
    for seed in map(int, options.seeds.split(",")):
        task = long_tail(load_task(options.task, cache_dir="off", seed=seed), options.ratio)
        for metric, is_balanced in itertools.product(get_args(Metric), (False, True)):
            config = load_config("demo")
            experiment = replace(
                config.experiment, seed=seed, tasks=(options.task,), num_task_iterations=1, num_generations=6,
                quality_metric=metric, class_balanced=is_balanced,
            )  # fmt: skip
            config = replace(config, experiment=experiment, runtime=replace(config.runtime, compare=()))
            setup = RunSetup(config, (task,), RootComponents(experiment), DeviceLayout.detect(config.runtime))
            with tempfile.TemporaryDirectory() as folder:
                runs.run(setup, folder, lambda _: None)
                (model,) = munet.open(folder).models.values()
                entry = json.loads(max((Path(folder) / "journal").iterdir()).read_text())["entry"]
            counts = entry["test_correct_per_class"], entry["test_counted_per_class"]
            balanced = quality_of("balanced_accuracy", *counts).value
            rare = quality_of("balanced_accuracy", *(column[len(column) // 2 :] for column in counts)).value
            plain = model.test_quality.accuracy if model.test_quality else 0.0
            name = f"{metric}{', class_balanced' if is_balanced else ''}"
            means.setdefault(name, []).append(balanced)
            result = {"seed": seed, "setting": name, "num_train": task.info.num_train}
            result |= {"balanced_test": round(balanced, 4), "rarer_half": round(rare, 4), "test": round(plain, 4)}
            print(json.dumps(result), flush=True)
    print(json.dumps({name: round(float(np.mean(values)), 4) for name, values in means.items()}))


if __name__ == "__main__":
    main()
