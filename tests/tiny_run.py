"""The smallest real run: two tasks of coloured noise, a random root of one block; seconds on two cores.

As a script (`python -m tests.tiny_run WORKDIR DATA [WHERE:COUNT:WHEN [SEED_CHOICE]]`) it is `munet evolve` of this run,
which kills itself with SIGKILL before or after the COUNT-th rename or link into a folder of the work directory
(`journal:2:before`); nothing of it is packaged.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from munet import rng
from munet.config import Config, Experiment, Runtime, SearchSpace
from munet.config.checks import validate
from munet.vit import architecture
from munet.vit.augreg import save_augreg
from munet.vit.init import init_component

VARIANT = architecture.get_variant("demo/16")


def write_data(folder: Path, *, has_bars: bool = False) -> None:
    """Two npz tasks and a root checkpoint.

    Args:
      folder: where to.
      has_bars: classes are where a bright bar is, which children learn by and by: qualities run from 3 of 9 to 9 of 9
        and follow the weights. Else they are shades in noise, and nearly every quality is 6 of 9.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(("left", "right")):
        random = np.random.default_rng(index)
        labels = np.arange(90) % 3
        if has_bars:
            is_bar = np.arange(16)[None, :, None] // 5 == labels[:, None, None]
            images = random.integers(0, 60, (90, 16, 16)) + 120 * is_bar
        else:
            images = random.integers(0, 120, (90, 16, 16)) + 40 * labels[:, None, None]
        np.savez(folder / f"{name}.npz", images=images.astype(np.uint8), labels=labels)
    write_root(folder / "root.npz")


def write_root(path: Path, image_size: int = 32, seed: int = 0) -> None:
    """A random root of one block."""
    components = {}
    for name in architecture.path_names(1):
        if name != architecture.HEAD:
            leaves = architecture.component_leaves(VARIANT, name, image_size=image_size, adapter_dim=0, num_classes=0)
            components[name] = init_component(
                rng.key_data(("root", *([seed] if seed else []), name)), VARIANT, name, leaves
            )
    save_augreg(path, components)


def config(data: Path, checkpoint_minutes: float = 60) -> Config:
    """Two tasks, two iterations, two generations of two children of two cycles; image sizes may change.

    Args:
      data: what `write_data` has written.
      checkpoint_minutes: 0: what is in training is saved after every cycle, which takes longer than all the rest of
        such a run; for tests that interrupt it there.
    """
    experiment = Experiment(
        tasks=(f"npz:{data}/left.npz", f"npz:{data}/right.npz"),
        root=str(data / "root.npz"),
        num_blocks=1,
        num_task_iterations=2,
        num_generations=2,
        children_per_generation=2,
        cycles_per_child=2,
        batch_size=16,
        max_batches_per_cycle=2,
        min_batches_per_cycle=0,
        max_seed_parents=1,
        mutation_probability=0.3,
        search_space=SearchSpace(image_size=(16, 32)),
    )
    runtime = Runtime(cache_dir=str(data / "cache"), checkpoint_minutes=checkpoint_minutes, block_megabytes=1)
    return validate(Config(experiment, runtime))


def results(workdir: Path) -> dict[str, object]:
    """What must be the same however often a run was killed: decisions, qualities, component files. Not times."""
    import munet

    system = munet.open(str(workdir))
    files = {path.name: path.read_bytes() for path in sorted((workdir / "components").iterdir())}
    return {
        "models": dict(system.models),
        "components": {name: hash(data) for name, data in files.items()},
        "entries": _decisions(workdir),
    }


def qualities(workdir: Path) -> set[tuple[int, int]]:
    """All that children of a run have reached on the validation split: images right, of how many."""
    from munet.store import Store
    from munet.types import GenerationEntry

    entries = [entry for entry in Store.open(workdir).journal.entries() if isinstance(entry, GenerationEntry)]
    children = [child for entry in entries for child in entry.children]
    return {(one.correct, one.counted) for child in children for one in child.training.qualities}


def _decisions(workdir: Path) -> list[object]:
    from munet.store import Store
    from munet.types import GenerationEntry

    return [
        (
            [(item.plan, item.training, item.verdict, item.components, item.cost.program) for item in entry.children],
            entry.published,
            entry.data_mutations,
        )
        if isinstance(entry, GenerationEntry)
        else entry
        for entry in Store.open(workdir).journal.entries()
    ]


def start(workdir: Path, data: Path, moment: str = "", seed_choice: str = "newest") -> subprocess.Popen[bytes]:
    """A process of this module."""
    command = [sys.executable, "-m", "tests.tiny_run", str(workdir), str(data), moment, seed_choice]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(workdir: Path, data: Path, seed_choice: str = "newest") -> None:
    """Lets such a process come to its end."""
    process = start(workdir, data, seed_choice=seed_choice)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors.decode()


def kill_at(where: str, count: int, when: str) -> None:
    """Makes this process kill itself around a rename."""
    seen = 0

    def wrapped(rename: Callable[[str, str], None]) -> Any:
        def call(source: str, target: str) -> None:
            nonlocal seen
            is_meant = Path(target).parent.name == where
            seen += is_meant
            if is_meant and seen == count and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            rename(source, target)
            if is_meant and seen == count and when == "after":
                os.kill(os.getpid(), signal.SIGKILL)

        return call

    os.replace, os.link, os.rename = wrapped(os.replace), wrapped(os.link), wrapped(os.rename)


CONFIG = """\
from pathlib import Path

from tests import tiny_run


def get_config(seed_choice):
    config = tiny_run.config(Path(__file__).parent, checkpoint_minutes=0)
    config.experiment.seed_choice = seed_choice
    return config
"""


def main(workdir: str, data: str, moment: str = "", seed_choice: str = "newest") -> int:
    if moment:
        where, count, when = moment.split(":")
        kill_at(where, int(count), when)
    from munet.cli.main import main as munet_main

    config_file = Path(data) / "tiny.py"
    config_file.write_text(CONFIG)
    return munet_main(["evolve", f"--config={config_file}:{seed_choice}", f"--workdir={workdir}"])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
