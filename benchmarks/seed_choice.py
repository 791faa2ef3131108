"""How often the seed parents chosen by fit contain the truly best one: 50 tasks, a fine-tuned model of each.

    python -m benchmarks.seed_choice --root=ROOT.npz --data_dir=TFDS_FOLDER [--cache=FOLDER] [--others]

Prints one JSON line. The tasks: 20 scripts of `builtin:glyphs/`, seven sets of numerals and clothes, 23 omniglot
alphabets (35 x 35 pixels, means of 3 x 3), each cut to some 800 training and 500 validation images (omniglot: 12 and 8
drawings a character). From the root (Ti/16, 3 blocks, 32 pixels) the engine fine-tunes one model a task, all layers, 64
steps of 64 images: the candidates. Then every task in turn is the new one, and the candidates are the other 49 models
and the root.

The truth is the validation accuracy that a seed child of each candidate reaches: a head from zeros on the frozen class
tokens, the engine's optimiser and default settings (5 cycles of 10 batches, best cycle), its batches, without
augmentation, on 400 training and the first 320 validation images. The estimates look at the same training images or
fewer of them, drawn as a run does. `hit`: how often the 8 chosen contain a best candidate; of several that are equally
good any counts, also for `random`, its expectation when 8 of the 50 are drawn. `lost`: how much accuracy the best of
the chosen is below the best of all, on average. With `--others` 27 other alphabets are the new tasks, and candidates
all 50 models and the root: what estimates were compared on.

What takes long is kept in `--cache` and not made again; without it everything is removed at the end.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tensorflow_datasets as tfds

import munet
from munet.config import Baseline, Config, Defaults, Experiment, Runtime
from munet.config.checks import validate
from munet.data import loader
from munet.data.array_task import ArrayTask
from munet.data.splits import Split, content_order, rank_in_class
from munet.data.tasks import load_task
from munet.evolution.search_space import default_hyperparameters
from munet.run import runs
from munet.training.batches.stream import Resize, evaluation_batches
from munet.training.measure import trunk_fit
from munet.training.program import optimizer
from munet.training.work import TaskWork
from munet.vit.architecture import HEAD

SCRIPTS = (
    "arabic", "armenian", "armenian_capitals", "braille", "cyrillic", "cyrillic_capitals", "digits", "georgian",
    "georgian_capitals", "greek", "greek_capitals", "hebrew", "lao", "latin", "latin_capitals", "lisu", "nko", "ogham",
    "old_italic", "tifinagh",
)  # fmt: skip
SETS = (
    "builtin:digits", "tfds:mnist", "tfds:kmnist_t10k", "tfds:fashion_mnist", "tfds:cmaterdb/bangla",
    "tfds:cmaterdb/devanagari", "tfds:cmaterdb/telugu",
)  # fmt: skip
ALPHABETS, ALL_ALPHABETS = 23, 50
TRAIN, VALIDATION = 800, 500  # images of a task, about
HEAD_TRAIN, HEAD_VALIDATION = 400, 320  # of them, those that the truth looks at
SEEDS = 8
CYCLES = 5


def tasks(data_dir: str, cache: Path, others: bool) -> Iterator[ArrayTask]:
    """The 50 tasks, or 27 others."""
    for uri in () if others else (*(f"builtin:glyphs/{script}" for script in SCRIPTS), *SETS):
        task = load_task(uri, cache_dir=str(cache / "data"), data_dir=data_dir)
        splits = task.source.load()
        images, labels = (
            np.concatenate([getattr(splits["train"], part), getattr(splits["validation"], part)])[:12000]
            for part in ("images", "labels")
        )
        yield cut(uri.partition(":")[2], images, labels.astype(np.int64))
    drawings: dict[int, list[tuple[np.ndarray, int]]] = {}
    for split in ("train", "test"):
        source = tfds.data_source("omniglot", split=split, data_dir=data_dir)
        for start in range(0, len(source), 1000):
            for example in source.__getitems__(list(range(start, min(start + 1000, len(source))))):
                small = example["image"][:, :, 0].reshape(35, 3, 35, 3).mean((1, 3)).round().astype(np.uint8)
                drawings.setdefault(int(example["alphabet"]), []).append((small, int(example["alphabet_char_id"])))
    for alphabet in range(ALPHABETS, ALL_ALPHABETS) if others else range(ALPHABETS):
        images = np.stack([image for image, _ in drawings[alphabet]])[..., None]
        yield cut(f"omniglot/{alphabet}", images, np.array([label for _, label in drawings[alphabet]]))


def cut(name: str, images: np.ndarray, labels: np.ndarray) -> ArrayTask:
    """A task of about `TRAIN` and `VALIDATION` images, all classes alike, in the order of their hashes."""
    labels = np.unique(labels, return_inverse=True)[1]
    order = content_order(images, 0)
    rank, counts = rank_in_class(labels[order]), np.bincount(labels)
    order = order[rank < np.ceil(counts * min(1.0, (TRAIN + VALIDATION) / len(labels)))[labels[order]]]
    rank, counts = rank_in_class(labels[order]), np.bincount(labels[order])
    is_train = rank < np.round(counts * TRAIN / (TRAIN + VALIDATION))[labels[order]]
    train, validation = order[is_train], order[~is_train]
    held_out = images[validation], labels[validation]
    names = [str(label) for label in range(len(counts))]
    unused = tuple(part[:8] for part in held_out)  # a run wants a test split; nobody looks at what it says
    return ArrayTask(name, images[train], labels[train], names, validation=held_out, test=(unused[0], unused[1]))


def fine_tune(root: str, given: list[ArrayTask], cache: Path) -> munet.System:
    """One model a task, by the engine's baseline of full fine-tuning."""
    experiment = Experiment(
        tasks=tuple(task.uri for task in given), root=root, variant="Ti/16", num_blocks=3, baseline=Baseline("full"),
        num_task_iterations=1, num_generations=1, children_per_generation=1, cycles_per_child=2, batch_size=64,
        max_batches_per_cycle=32, min_batches_per_cycle=32,
        defaults=Defaults(learning_rate=0.05, crop_area_min=0.5, flip=False),
    )  # fmt: skip
    config = validate(Config(experiment, Runtime(cache_dir=str(cache / "data"), checkpoint_minutes=-1)))
    runs.evolve(config, str(cache / "run"), lambda _: None, arrays={task.name: task for task in given})
    return munet.open(str(cache / "run"))


def features(system: munet.System, task: ArrayTask, file: Path) -> Mapping[str, np.ndarray]:
    """Class tokens of a task's images in every model, the root first, and their labels."""
    if not file.exists():
        found: dict[str, Any] = {}
        models = [system.root, *system.models.values()]
        for name in ("train", "validation"):
            images, labels = task.parts[name]  # type: ignore[index]  # names of splits
            labels = labels.astype(np.int32)
            kept = np.arange(len(labels))[:HEAD_VALIDATION]
            if name == "train":
                kept = trunk_fit.draw(labels, (0, "seed_choice", task.name), HEAD_TRAIN, 1)
            pieces = list(evaluation_batches(Split(images[kept], labels[kept]), Resize(32, antialias=False)))
            found[name] = np.stack([_tokens(system, model, pieces) for model in models])
            found[f"{name}_labels"] = labels[kept]
        found["tasks"] = np.array([model.task or "" for model in models])
        file.parent.mkdir(exist_ok=True)
        np.savez(file, **found)
    with np.load(file) as arrays:
        return dict(arrays)


def _tokens(system: munet.System, model: Any, pieces: Any) -> np.ndarray:
    components = {name: system.store.components.load(id) for name, id in model.components.items() if name != HEAD}
    return trunk_fit.class_tokens(
        TaskWork.of(system.experiment, system.tasks[0]), components, model.hyperparameters, pieces
    )


def truth(name: str, found: Mapping[str, np.ndarray]) -> np.ndarray:
    """The validation accuracy of a seed child of each model."""
    experiment = Experiment()
    labels, of_validation = found["train_labels"], found["validation_labels"]
    size, steps = loader.effective_batch_size(len(labels), experiment), loader.steps_per_cycle(len(labels), experiment)
    batches = loader.batch_indices((0, "truth", name), len(labels), size, 0, CYCLES * steps)
    settings = optimizer.OptimizerSettings.from_hyperparameters(
        default_hyperparameters(experiment), steps_per_cycle=steps, num_cycles=CYCLES
    )
    correct = _train_heads(
        found["train"], labels, found["validation"], of_validation, batches.reshape(CYCLES, steps, size), settings,
        num_classes=int(max(labels.max(), of_validation.max())) + 1,
    )  # fmt: skip
    return np.asarray(correct).max(axis=1) / len(of_validation)


@partial(jax.jit, static_argnames="num_classes")
def _train_heads(
    train: Any, labels: Any, validation: Any, of_validation: Any, batches: Any, settings: Any, *, num_classes: int
) -> Any:
    """Correct validation images of every model after every cycle."""

    def loss(head: Any, tokens: Any, wanted: Any) -> Any:
        logits = tokens @ head["kernel"] + head["bias"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, wanted).mean()

    def of_model(tokens: Any) -> Any:
        seen, held_out = tokens
        head = {"kernel": jnp.zeros((seen.shape[1], num_classes)), "bias": jnp.zeros(num_classes)}
        momentum = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), head)

        def step(state: Any, batch: Any) -> Any:
            head, momentum, count = state
            grads = jax.grad(loss)(head, seen[batch], labels[batch])
            head, momentum = optimizer.update(head, momentum, grads, settings, count, optimizer.UpdateRule())
            return (head, momentum, count + 1), None

        def cycle(state: Any, batches: Any) -> Any:
            state, _ = jax.lax.scan(step, state, batches)
            predicted = (held_out @ state[0]["kernel"] + state[0]["bias"]).argmax(-1)
            return state, (predicted == of_validation).sum()

        return jax.lax.scan(cycle, (head, momentum, jnp.int32(0)), batches)[1]

    return jax.lax.map(of_model, (train, validation))


def nearest(tokens: np.ndarray, labels: np.ndarray, neighbours: int) -> float:
    """Leave-one-out accuracy of the vote of the nearest neighbours; of equal votes the nearer one's."""
    _, own = np.unique(labels, return_inverse=True)
    squares = (tokens**2).sum(axis=1)
    distances = squares[:, None] - 2 * tokens @ tokens.T + squares
    np.fill_diagonal(distances, np.inf)
    order = np.argsort(distances, axis=1, kind="stable")[:, :neighbours]
    votes = np.zeros((len(own), own.max() + 1))
    for place in range(neighbours):
        votes[np.arange(len(own)), own[order[:, place]]] += 1 + 1e-3 * (neighbours - place)
    return float((votes.argmax(axis=1) == own).mean())


def ridge(tokens: np.ndarray, labels: np.ndarray) -> float:
    """Leave-one-out accuracy of a linear head fitted in closed form, its penalty the mean eigenvalue."""
    _, own = np.unique(labels, return_inverse=True)
    wanted = np.eye(own.max() + 1)[own]
    centred, wanted = tokens - tokens.mean(axis=0), wanted - wanted.mean(axis=0)
    gram = centred.T @ centred
    solved = np.linalg.solve(gram + np.trace(gram) / len(gram) * np.eye(len(gram)), centred.T)
    leverage = np.einsum("nd,dn->n", centred, solved) + 1 / len(own)
    residual = (wanted - centred @ (solved @ wanted)) / (1 - leverage)[:, None]
    return float(((wanted - residual).argmax(axis=1) == own).mean())


def cosine(tokens: np.ndarray) -> np.ndarray:
    """Tokens of length 1."""
    unit: np.ndarray = tokens / np.linalg.norm(tokens, axis=1, keepdims=True)
    return unit


def standardised(tokens: np.ndarray) -> np.ndarray:
    """Every feature with mean 0 and deviation 1."""
    scaled: np.ndarray = (tokens - tokens.mean(axis=0)) / (tokens.std(axis=0) + 1e-6)
    return scaled


ESTIMATES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "class means": trunk_fit.leave_one_out,
    "class means, cosine": lambda tokens, labels: trunk_fit.leave_one_out(cosine(tokens), labels),
    "class means, standardised": lambda tokens, labels: trunk_fit.leave_one_out(standardised(tokens), labels),
    "1 neighbour": lambda tokens, labels: nearest(tokens, labels, 1),
    "1 neighbour, cosine": lambda tokens, labels: nearest(cosine(tokens), labels, 1),
    "linear head in closed form": ridge,
    "5 neighbours, cosine": lambda tokens, labels: nearest(cosine(tokens), labels, 5),
}


def main() -> None:
    """Measures what the command line asks for and prints the result as one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="a Ti/16 of three blocks or more")
    parser.add_argument("--data_dir", required=True, help="prepared TFDS sets")
    parser.add_argument("--cache", default="", help="where what takes long is kept")
    parser.add_argument("--others", action="store_true", help="27 other tasks are the new ones")
    parser.add_argument("--targets", type=int, default=ALL_ALPHABETS, help="how many are the new ones, the first")
    parser.add_argument("--counts", default="400,200,100", help="training images that an estimate looks at")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(options, Path(options.cache or folder))


def measure(options: argparse.Namespace, cache: Path) -> None:
    """Every new task in turn."""
    begun = time.process_time()
    given = list(tasks(options.data_dir, cache, others=False))
    system = fine_tune(options.root, given, cache)
    targets = list(tasks(options.data_dir, cache, others=True)) if options.others else given
    counts = [int(count) for count in options.counts.split(",")]
    hits: dict[str, list[bool]] = {}
    lost: dict[str, list[float]] = {}
    expected, tied = [], []
    for task in targets[: options.targets]:
        found = features(system, task, cache / "features" / f"{task.name.replace('/', '_')}.npz")
        candidates = found["tasks"] != task.name  # oldest first
        quality = truth(task.name, found)[candidates]
        best = quality == quality.max()
        expected.append(1 - math.comb(int((~best).sum()), SEEDS) / math.comb(len(best), SEEDS))
        tied.append(int(best.sum()))
        estimates = {"newest": np.arange(len(best), dtype=float)}
        for count in counts:
            drawn = trunk_fit.draw(found["train_labels"], (0, "fit", task.name), count)
            labels, tokens = found["train_labels"][drawn], found["train"][candidates][:, drawn]
            estimates |= {
                f"{name}, {count} images": np.array([estimate(each.astype(np.float64), labels) for each in tokens])
                for name, estimate in ESTIMATES.items()
            }
        for name, values in estimates.items():
            chosen = np.lexsort((-np.arange(len(values)), -values))[:SEEDS]  # newest first among equals
            hits.setdefault(name, []).append(bool(best[chosen].any()))
            lost.setdefault(name, []).append(float(quality.max() - quality[chosen].max()))
    result: dict[str, Any] = {"targets": len(tied), "seeds": SEEDS, "random_hit": round(float(np.mean(expected)), 3)}
    result |= {"tied_best_mean": float(np.mean(tied)), "only_one_best": sum(count == 1 for count in tied)}
    result["estimates"] = {
        name: {"hit": round(float(np.mean(hits[name])), 3), "lost": round(float(np.mean(lost[name])), 4)}
        for name in hits
    }
    print(json.dumps(result | {"cpu_s": round(time.process_time() - begun)}))


if __name__ == "__main__":
    main()
