"""Plants faults, one at a time, in a copy of the repository, and says which of them no default test sees.

    python -m tests.mutants                     # all of them: some ten minutes on two quiet cores
    python -m tests.mutants --only=crop,adapter # those whose names hold one of the words

Exit code 1 if one survives. Each names the tests that are meant to see it, so that a run takes minutes and not hours.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
_COPIED = ("munet", "configs", "tests", "benchmarks", "docs", "launch", "pyproject.toml", "README.md", "setup.py")


class Mutant(NamedTuple):
    """A fault: what stands in a file, what takes its place, and the tests that should fail then."""

    name: str
    path: str
    before: str
    after: str
    tests: tuple[str, ...]


_LAYERS, _STREAM = ("tests/vit/test_layers.py",), ("tests/training/batches/test_stream.py",)
_POPULATION = ("tests/training/test_population.py",)
_MEASURE = ("tests/training/measure",)
_AUGMENT, _LOADER = ("tests/data/test_augment.py",), ("tests/data/test_loader.py",)
MUTANTS = (
    # What an audit planted and no test saw.
    Mutant(
        "adapter halved",
        "munet/vit/layers.py",
        "return x + _gated(Dense((self.dim,)",
        "return x + 0.5 * _gated(Dense((self.dim,)",
        _LAYERS,
    ),
    Mutant(
        "adapter with ReLU",
        "munet/vit/layers.py",
        "hidden = gelu(Dense((width,)",
        "hidden = jax.nn.relu(Dense((width,)",
        _LAYERS,
    ),
    Mutant(
        "equal augmentations",
        "munet/training/batches/stream.py",
        "fold_in(key, first_step + index)",
        "fold_in(key, index)",
        _STREAM,
    ),
    Mutant(
        "equal adapters",
        "munet/training/assemble.py",
        '"init", child.id, plan.name',
        '"init", plan.name',
        ("tests/training/test_assemble.py",),
    ),
    # Training.
    Mutant(
        "block removal with half of mu",
        "munet/evolution/mutations.py",
        "only_removes = not fidelity.allow_block_growth and",
        "only_removes = False and",
        ("tests/evolution/test_mutations.py",),
    ),
    Mutant(
        "two forgotten tasks of one name overwrite each other",
        "munet/evolution/plan.py",
        "found[self.called(task, record.model)] += number",
        "found[self.called(task, record.model)] = number",
        ("tests/evolution/test_forgetting.py",),
    ),
    Mutant(
        "no clip",
        "munet/training/program/optimizer.py",
        "grads, _ = clip.update(grads, clip.init(params))",
        "_ = clip",
        ("tests/training/program/test_optimizer.py",),
    ),
    Mutant(
        "buffer not decayed",
        "munet/training/program/optimizer.py",
        "return settings.momentum * buffer.astype(jnp.float32)",
        "return buffer.astype(jnp.float32)",
        ("tests/training/program/test_optimizer.py",),
    ),
    Mutant(
        "warm-up one step long",
        "munet/training/program/optimizer.py",
        "time < warmup",
        "time <= warmup",
        ("tests/training/program/test_optimizer.py",),
    ),
    Mutant(
        "frozen layers move",
        "munet/training/program/programs.py",
        "jnp.where(mask > 0, grad, 0.0)",
        "jnp.where(mask >= 0, grad, 0.0)",
        _POPULATION,
    ),
    Mutant(
        "best is last",
        "munet/training/chunk_training.py",
        "scores.is_best(child.id, self.work.version_choice)",
        "True",
        _MEASURE,
    ),
    Mutant(
        "first validation image twice",
        "munet/training/measure/validation.py",
        "self._labels = split.labels[:most]",
        "self._labels = np.concatenate([split.labels[:1], split.labels[: most - 1]])",
        _MEASURE,
    ),
    Mutant(
        "padding validates",
        "munet/training/batches/stream.py",
        "[..., : self.counted]",
        "[..., -self.counted :]",
        _MEASURE,
    ),
    Mutant(
        "padded classes win",
        "munet/training/assemble.py",
        "np.arange(signature.head_size) < num_classes",
        "np.arange(signature.head_size) >= 0",
        _POPULATION,
    ),
    # Data.
    Mutant(
        "crop clipped",
        "munet/data/crops.py",
        "highest = _fitting(area, height, width, aspect_min)",
        "highest = aspect_min, 1 / aspect_min",
        _AUGMENT,
    ),
    Mutant("crop never at the edge", "munet/data/crops.py", "(full - size + 1)", "(full - size)", _AUGMENT),
    Mutant("everything flips", "munet/data/augment.py", "(flip < 0.5) & ", "", _AUGMENT),
    Mutant("brightness doubled", "munet/data/colours.py", "(2 * draw - 1) * delta", "(4 * draw - 2) * delta", _AUGMENT),
    Mutant("hue the other way", "munet/data/colours.py", "hue + 6 * turns", "hue - 6 * turns", _AUGMENT),
    Mutant(
        "an epoch again and again", "munet/data/loader.py", '(*path, "epoch", epoch)', '(*path, "epoch", 0)', _LOADER
    ),
    Mutant(
        "batches overlap",
        "munet/data/loader.py",
        "return sequence[start - offset : stop - offset]",
        "return sequence[: stop - start]",
        _LOADER,
    ),
    Mutant(
        "one validates less",
        "munet/data/splits.py",
        "(counts + 5) // 10",
        "(counts + 4) // 10",
        ("tests/data/test_splits.py", "tests/data/test_npz.py"),
    ),
    Mutant(
        "train and test overlap",
        "munet/data/splits.py",
        "is_train = ranks < num_train[labels]",
        "is_train = ranks <= num_train[labels]",
        ("tests/data/test_splits.py", "tests/data/test_npz.py"),
    ),
    # Storing.
    Mutant(
        "keys as they come",
        "munet/store/codec.py",
        "return _dump(data, sort_keys=True)",
        "return _dump(data, sort_keys=False)",
        ("tests/store",),
    ),
    Mutant(
        "collector forgets to look",
        "munet/store/collector.py",
        "candidates if self._has_listed",
        "candidates if True",
        ("tests/store",),
    ),
    Mutant(
        "collector takes what is used",
        "munet/store/collector.py",
        "if identity not in used",
        "if identity in used",
        ("tests/store",),
    ),
    # Of runs that are extended, or forget.
    Mutant(
        "extended phases begin another iteration",
        "munet/evolution/plan.py",
        "added.append(Phase(active[index], ",
        "added.append(Phase(active[index] + 1, ",
        ("tests/evolution/test_extending.py",),
    ),
    Mutant(
        "what only a forgotten task used stays",
        "munet/evolution/forgetting.py",
        "return without_unused(after)",
        "return after",
        ("tests/evolution/test_forgetting.py",),
    ),
    Mutant(
        "a forgotten task's training is that of a later one of its name",
        "munet/evolution/records.py",
        "if state.plan is None else",
        "if True else",
        ("tests/evolution/test_forgetting.py",),
    ),
    Mutant(
        "heirs of a forgotten model keep it as parent",
        "munet/evolution/forgetting.py",
        "parent=nearest_kept(state, model, gone)",
        "parent=model.parent",
        ("tests/evolution/test_forgetting.py",),
    ),
)


def planted(mutant: Mutant, folder: Path) -> None:
    """Plants a fault in the copy in `folder`."""
    path = folder / mutant.path
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.before) != 1:
        raise SystemExit(f"{mutant.name}: {mutant.path} holds {mutant.before!r} {text.count(mutant.before)} times")
    path.write_text(text.replace(mutant.before, mutant.after), encoding="utf-8")


def is_caught(mutant: Mutant, folder: Path) -> bool:
    """Whether one of its tests fails with the fault in the copy in `folder`; the file is put back."""
    planted(mutant, folder)
    there = [name for name in mutant.tests if (folder / name).exists()]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *there]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    shutil.copy(ROOT / mutant.path, folder / mutant.path)
    if result.returncode not in (0, 1):
        raise SystemExit(f"{mutant.name}: the tests could not run:\n{result.stdout[-2000:]}{result.stderr[-2000:]}")
    return result.returncode == 1


def main() -> int:
    """Plants the chosen faults and reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="words of names, separated by commas")
    words = parser.parse_args().only.split(",")
    chosen = [mutant for mutant in MUTANTS if any(word in mutant.name for word in words)]
    survivors = 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name in _COPIED:
            source = ROOT / name
            shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder / name)
        for mutant in chosen:
            caught = is_caught(mutant, folder)
            survivors += not caught
            print(f"{'caught' if caught else 'SURVIVES'}: {mutant.name} ({mutant.path})", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} caught")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
