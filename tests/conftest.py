"""What every test shares: where the prepared data and the pretrained root are, if they are there at all."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from munet.progress.events import Event

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Tests compile many small programs and run each for a moment: compiling is what they would wait for.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
# Tests spend their time compiling small programs, which XLA does about five times faster this way (2 cores: a gradient
# of a two-block ViT in 0.8 instead of 5.2 s). Read when the first array is made, so it must be here. A program in one
# piece, not in 32 for as many threads, and fewer passes over it take a third less of the processor's time. JAX 0.12 no
# longer knows the last flag, and aborts on flags that it does not know.
_FLAGS = [
    "--xla_backend_optimization_level=0",
    "--xla_cpu_parallel_codegen_split_count=1",
    "--xla_cpu_opt_preset=CPU_OPT_PRESET_FAST_COMPILE",
]
if tuple(int(part) for part in version("jaxlib").split(".")[:2]) < (0, 11):
    _FLAGS.append("--xla_cpu_use_fusion_emitters=false")
os.environ.setdefault("XLA_FLAGS", " ".join(_FLAGS))

# Of the millions of objects that JAX and its programs are made of hardly any is garbage: the collector is to look less
# often, and at those that are new (`collect_garbage`).
gc.set_threshold(50_000, 20, 20)

# A folder beside the checkout; the project works without it.
SHARED = Path(os.environ.get("MUNET_SHARED", Path(__file__).parents[2] / "shared"))


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()  # all modules, which stay


@pytest.fixture(scope="module", autouse=True)
def collect_garbage() -> Iterator[None]:
    """Garbage of a module's tests is collected behind them: a file that they left open is an error of that module."""
    yield
    gc.collect()
    gc.freeze()  # programs, which are kept for the modules behind it


@pytest.fixture
def shared_tfds() -> Path:
    """The folder of prepared TFDS sets; the test is skipped, by name, where it is missing."""
    path = SHARED / "tfds"
    if not path.is_dir():
        pytest.skip(reason=f"needs prepared TFDS data in {path}")
    return path


@pytest.fixture
def shared_root() -> Path:
    """The pretrained Ti/16 root; the test is skipped, by name, where it is missing."""
    path = SHARED / "roots" / "ti16_3blocks_32px_cifar100.npz"
    if not path.is_file():
        pytest.skip(reason=f"needs the pretrained root {path}")
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiny tasks and a root (tiny_run.py), for the tests of one module."""
    from tests import tiny_run  # which imports JAX: after the flags above

    folder = tmp_path_factory.mktemp("data")
    tiny_run.write_data(folder)
    return folder


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    """A complete run and what it told."""
    from munet.run import runs
    from tests import tiny_run

    workdir = tmp_path_factory.mktemp("finished") / "run"
    told: list[Event] = []
    runs.evolve(tiny_run.config(data), str(workdir), told.append)
    return workdir, told
