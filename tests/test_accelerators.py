"""What is said of devices that cannot be used, of several hosts, and of an accelerator that JAX leaves alone."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

from munet import accelerators
from munet.errors import UserError
from tests.installed import without

ROOT = Path(__file__).parents[1]
TWO = """
import sys, jax
jax.distributed.initialize("127.0.0.1:{port}", num_processes=2, process_id={index})
from munet.cli.main import main
code = main(["evolve", "--config=demo", "--workdir={workdir}"])
jax.distributed.shutdown()
sys.exit(code)
"""


@pytest.fixture(autouse=True)
def ask_anew() -> Iterator[None]:
    """The devices are asked for once a process; here once a test."""
    accelerators.local_devices.cache_clear()
    yield
    accelerators.local_devices.cache_clear()


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TPU_", "JAX_"))}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        env={**environment, "PYTHONPATH": str(ROOT), **variables},
    )


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        pytest.param("cuda", "MUNET_EXTRAS=cuda ./launch/local.sh", marks=without("NVIDIA GPU")),
        pytest.param("tpu", "MUNET_EXTRAS=tpu ./launch/local.sh", marks=without("TPU")),
    ],
)
def test_an_accelerator_that_cannot_start_is_exit_2_in_words(platform: str, expected: str, tmp_path: Path) -> None:
    done = run("-m", "munet", "evolve", f"--workdir={tmp_path / 'run'}", JAX_PLATFORMS=platform)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert f"No accelerator can be used (JAX_PLATFORMS={platform})" in done.stderr
    assert expected in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        ("UNKNOWN: TPU initialization failed: open(/dev/vfio/0): Device or resource busy", "Another process has it"),
        ("ABORTED: The TPU is already in use by process with pid 42. Not attempting to load libtpu.so", "one process"),
        ("ABORTED: Internal error when accessing libtpu multi-process lockfile.", "remove /tmp/libtpu_lockfile"),
        ("open(/dev/accel0): Operation not permitted", "--privileged"),
        ("INTERNAL: no supported devices found for platform CUDA", "driver is missing"),
        ("CUDA_ERROR_OUT_OF_MEMORY: out of memory", "Its memory is taken"),
        ("Backend 'foo' is not in the list of known backends", "give cuda, tpu or cpu"),
        ("", "JAX_PLATFORMS=cpu runs on the processor."),
    ],
)
def test_every_cause_has_its_advice(cause: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerators, "_platforms", lambda: "")
    assert expected in accelerators.cannot_start(cause)
    assert cause in accelerators.cannot_start(cause)


def test_what_jax_raises_is_turned_into_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("Unable to initialize backend 'tpu': open(/dev/vfio/0): Device or resource busy")

    monkeypatch.setattr(jax, "local_devices", fail)
    with pytest.raises(UserError, match="Another process has it"):
        accelerators.local_devices()


def test_two_processes_are_refused_at_the_start(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", TWO.format(port=port, index=index, workdir=tmp_path / "run")],
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for index in range(2)
    ]
    for index, process in enumerate(started):
        _, said = process.communicate(timeout=120)
        assert process.returncode == 2, said
        assert f"This is process {index} of 2 that jax.distributed has joined" in said
        assert "Traceback" not in said
    assert not (tmp_path / "run").exists()


def test_one_worker_of_a_slice_is_told_what_it_would_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerators, "_platforms", lambda: "")
    monkeypatch.delenv("TPU_PROCESS_BOUNDS", raising=False)
    monkeypatch.setenv("TPU_WORKER_HOSTNAMES", "a,b,c,d")
    with pytest.raises(UserError, match="one of 4 workers of a TPU slice"):
        accelerators.local_devices()
    monkeypatch.setenv("TPU_PROCESS_BOUNDS", "1,1,1")  # its own chips alone
    accelerators.refuse_one_of_several()
    monkeypatch.delenv("TPU_PROCESS_BOUNDS")
    monkeypatch.setenv("TPU_WORKER_HOSTNAMES", "localhost")
    accelerators.refuse_one_of_several()


def test_an_idle_accelerator_gets_one_warning_that_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accelerators, "_platforms", lambda: "")
    monkeypatch.setattr(accelerators, "machine_has", lambda: "NVIDIA GPU")
    monkeypatch.setattr(accelerators, "missing_extra", lambda _: "cuda")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            accelerators.local_devices()
    (record,) = caplog.records
    assert "has an NVIDIA GPU, but JAX runs on its processor: the extra `cuda` is not installed" in record.getMessage()
    assert "MUNET_EXTRAS=cuda" in record.getMessage()


def test_who_asks_for_the_processor_is_not_warned(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accelerators, "machine_has", lambda: "TPU")
    with caplog.at_level(logging.WARNING):
        accelerators.local_devices()
    assert not caplog.records


def test_jax_itself_says_nothing_where_the_extra_is_named() -> None:
    remark = logging.LogRecord("jax", logging.WARNING, "", 1, "An NVIDIA GPU may be present on this machine", (), None)
    other = logging.LogRecord("jax", logging.WARNING, "", 1, "CUDA backend failed to initialize", (), None)
    told = accelerators._JaxSaysLess("TPU" if accelerators.missing_extra("TPU") else "NVIDIA GPU")
    assert (told.filter(remark), told.filter(other)) == (False, True)
    assert accelerators._JaxSaysLess("").filter(remark)
