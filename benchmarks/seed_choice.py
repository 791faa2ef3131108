"""How often the seed parents chosen by fit contain the truly best one: 50 tasks, a fine-tuned model of each.

    python benchmarks/seed_choice.py --root=ROOT.npz --tfds=FOLDER [--tasks=others]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import munet
from munet import run, rng
from munet.config import Baseline, Config, Defaults, Experiment, Runtime, SearchSpace, validate
from munet.data import loader
from munet.data.memory import ArrayTask
from munet.data.opening import OpenSettings
from munet.data.splits import Split, content_order, rank_in_class
from munet.data.tasks import load_task, open_task
from munet.preparation import use_compilation_cache
from munet.training import fit, optimizer
from munet.training.stream import evaluation_batches
from munet.store import Store

SCRIPTS = ("arabic armenian armenian_capitals braille cyrillic cyrillic_capitals digits georgian georgian_capitals greek "
           "greek_capitals hebrew lao latin latin_capitals lisu nko ogham old_italic tifinagh").split()
OTHER_SCRIPTS = ("box_drawing geometric_shapes ipa arrows").split()
NUMERALS = ("builtin:digits tfds:mnist tfds:kmnist_t10k tfds:fashion_mnist tfds:cmaterdb/bangla tfds:cmaterdb/devanagari "
            "tfds:cmaterdb/telugu").split()
ALPHABETS = 23
TRAIN, VALIDATION = 800, 500


def cut(name, images, labels, classes, train=TRAIN, validation=VALIDATION):
    """A task of at most so many images, every class alike."""
    order = content_order(images, 0)
    labels_o = labels[order]
    rank = rank_in_class(labels_o)
    counts = np.bincount(labels_o, minlength=classes)
    share = min(1.0, (train + validation) / len(labels))
    keep = rank < np.ceil(counts * share)[labels_o]
    order, labels_o, rank = order[keep], labels_o[keep], rank[keep]
    counts = np.bincount(labels_o, minlength=classes)
    ntrain = np.maximum(np.round(counts * train / (train + validation)), 1).astype(int)
    is_train = rank < ntrain[labels_o]
    is_val = ~is_train
    t, v = order[is_train], order[is_val]
    return ArrayTask(name, images[t], labels[t], [str(c) for c in range(classes)], validation=(images[v], labels[v]), test=(images[v][:8], labels[v][:8]))


def tasks(options, others):
    cache = str(options.work / "cache")
    for script in OTHER_SCRIPTS if others else SCRIPTS:
        task = load_task(f"builtin:glyphs/{script}", cache_dir=cache)
        yield from one(f"glyphs/{script}", task)
    if not others:
        for uri in NUMERALS:
            yield from one(uri.split(":")[1], load_task(uri, cache_dir=cache, data_dir=options.tfds))
    import tensorflow_datasets as tfds
    pool = {}
    for split in ("train", "test"):
        source = tfds.data_source("omniglot", split=split, data_dir=options.tfds)
        for start in range(0, len(source), 1000):
            for e in source.__getitems__(list(range(start, min(start + 1000, len(source))))):
                im = e["image"][:, :, 0].reshape(35, 3, 35, 3).mean((1, 3)).round().astype(np.uint8)
                pool.setdefault(int(e["alphabet"]), []).append((im, int(e["alphabet_char_id"])))
    wanted = range(ALPHABETS, 50) if others else range(ALPHABETS)
    for alphabet in wanted:
        images = np.stack([i for i, _ in pool[alphabet]])[..., None]
        labels = np.array([l for _, l in pool[alphabet]])
        labels = np.unique(labels, return_inverse=True)[1]
        yield cut(f"omniglot/{alphabet}", images, labels, labels.max() + 1)


def one(name, task):
    splits = task.source.load()
    images = np.concatenate([splits[s].images for s in ("train", "validation")])[:12000]
    labels = np.concatenate([splits[s].labels for s in ("train", "validation")])[:12000]
    yield cut(name, images, labels.astype(np.int64), task.info.num_classes)


def configuration(options, names):
    experiment = Experiment(
        tasks=tuple(f"memory:{n}" for n in names), root=options.root, variant="Ti/16", num_blocks=3,
        num_task_iterations=1, num_generations=1, children_per_generation=1, cycles_per_child=2, batch_size=64,
        max_batches_per_cycle=options.steps // 2, min_batches_per_cycle=options.steps // 2,
        baseline=Baseline(kind="full"),
        defaults=Defaults(learning_rate=0.05, crop_area_min=0.5, flip=False),
    )
    return validate(Config(experiment, Runtime(cache_dir=str(options.work / "cache"), checkpoint_minutes=-1)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", required=True)
    parser.add_argument("--tfds", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--stage", default="all")
    options = parser.parse_args()
    options.work.mkdir(exist_ok=True, parents=True)
    t = time.process_time()
    given = list(tasks(options, False))
    for task in given: print(task.name, len(task.class_names), {k: len(v[1]) for k, v in task.parts.items()}, file=sys.stderr)
    print("tasks", time.process_time() - t, file=sys.stderr); t = time.process_time()
    if options.stage == "tasks": return
    config = configuration(options, [t.name for t in given])
    arrays = {t.name: t for t in given}
    run.evolve(config, str(options.work / "run"), lambda e: print(e.entry.retained, e.model.task, e.model.quality, file=sys.stderr) if type(e).__name__ == "PhaseEnded" else None, arrays=arrays)
    print("fine", time.process_time() - t, file=sys.stderr); t = time.process_time()
    if options.stage == "fine": return
    system = munet.open(str(options.work / "run"))
    models = [system.root, *system.models.values()]
    store = system.store
    roles = [("eval", given)]
    if options.stage == "others": roles = [("dev", list(tasks(options, True)))]
    experiment = config.experiment
    comps = [{n: store.components.get(i)[1] for n, i in m.components.items() if n != "head"} for m in models]
    (options.work / "features").mkdir(exist_ok=True)
    for role, ts in roles:
        for task in ts:
            path = options.work / "features" / f"{role}_{task.name.replace('/', '_')}.npz"
            if path.exists(): continue
            out = {}
            for split in ("train", "validation"):
                images, labels = task.parts[split]
                s = Split(images, labels.astype(np.int32))
                pieces = list(evaluation_batches(s, image_size=32, antialias=False))
                out[split] = np.stack([fit.class_tokens(experiment, c, m.hyperparameters, pieces) for c, m in zip(comps, models)])
                out[split + "_labels"] = s.labels
            out["tasks"] = np.array([m.task or "" for m in models])
            np.savez(path, **out)
            print(role, task.name, time.process_time() - t, file=sys.stderr)

main()
