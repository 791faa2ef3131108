"""Packaging: declared dependencies, pins inside the ranges, scripts that run, and nothing that names a workplace."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import setuptools
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
SCRIPTS = [
    *(f"launch/{name}" for name in ("local.sh", "test.sh", "docs.sh", "on_machine.sh", "tpu_vm.sh", "slurm.sbatch")),
    "benchmarks/gpu.sh",
    "benchmarks/tpu.sh",
    ".ci/run",
]
PINS = {  # files of pins, and the extras whose ranges they serve
    "requirements.txt": (),
    "tests/requirements.txt": ("dev", "hf", "export", "serve", "tensorboard", "video"),
    "docs/requirements.txt": ("docs",),
}


def setup_arguments() -> dict[str, Any]:
    """What setup.py hands to setuptools."""
    source = (ROOT / "setup.py").read_text()
    with mock.patch.object(setuptools, "setup") as setup:
        exec(compile(source, ROOT / "setup.py", "exec"), {"__file__": str(ROOT / "setup.py"), "__name__": "setup"})
    (call,) = setup.call_args_list
    return dict(call.kwargs)


def pins(python: str, *files: str) -> dict[str, Version]:
    """The files of pins (default: requirements.txt) as a Python version sees them."""
    found: dict[str, Version] = {}
    lines = [line for file in files or ("requirements.txt",) for line in (ROOT / file).read_text().splitlines()]
    for line in lines:
        if not line or line.startswith("#"):
            continue
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"python_version": python}):
            continue
        (pin,) = requirement.specifier
        assert pin.operator == "==", line
        name = canonicalize_name(requirement.name)
        assert name not in found, line
        found[name] = Version(pin.version)
    return found


def ranges(*extras: str) -> dict[str, Requirement]:
    arguments = setup_arguments()
    lines = [*arguments["install_requires"], *(line for extra in extras for line in arguments["extras_require"][extra])]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


@pytest.mark.parametrize("file", PINS)
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_every_range_has_a_pin_inside_it(python: str, file: str) -> None:
    pinned, wanted = pins(python, file), ranges(*PINS[file])
    if PINS[file]:
        wanted = {name: requirement for name, requirement in wanted.items() if name not in ranges()}
    for name, requirement in wanted.items():
        assert name in pinned, name
        assert pinned[name] in requirement.specifier, name
    assert set(pinned) - set(wanted) <= {"jaxlib"}  # goes with jax
    pins(python, *PINS)  # nothing is pinned twice


def test_pins_are_those_of_the_issue() -> None:
    assert str(pins("3.11")["jax"]).startswith("0.10.")
    assert str(pins("3.12")["jax"]).startswith("0.12.")
    assert pins("3.12") == pins("3.13")
    assert set(setup_arguments()["extras_require"]) == {
        "tpu",
        "cuda",
        "gcs",
        "tfds-prepare",
        "hf",
        "export",
        "serve",
        "tensorboard",
        "video",
        "dev",
        "docs",
    }
    assert setup_arguments()["python_requires"] == ">=3.11"


def test_installed_versions_are_the_pins() -> None:
    from importlib.metadata import version

    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    wanted = pins(python, "requirements.txt", "tests/requirements.txt")
    assert {name: Version(version(name)) for name in wanted} == wanted


def test_every_import_is_declared() -> None:
    declared = set(ranges("serve", "tensorboard", "video"))
    distributions = packages_distributions()
    imported = set()
    for path in [*(ROOT / "munet").rglob("*.py"), *(ROOT / "configs").rglob("*.py")]:
        if path.parent.name == "assets":  # what munet writes for others and never imports
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                imported.add(node.module.split(".")[0])
    for name in imported - set(sys.stdlib_module_names) - {"munet"}:
        owners = {canonicalize_name(owner) for owner in distributions.get(name, [name])}
        assert owners & declared, f"{name} is imported but not in setup.py"


def test_every_package_and_file_is_installed() -> None:
    arguments = setup_arguments()
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "munet").rglob("*.py")}
    assert {".".join(folder.parts) for folder in folders} <= set(arguments["packages"])
    assert {"munet.configs", "munet.configs.suites"} <= set(arguments["packages"])
    assert arguments["package_dir"] == {"munet.configs": "configs", "munet.configs.suites": "configs/suites"}
    assert arguments["entry_points"] == {"console_scripts": ["munet = munet.cli:main"]}
    covered = {path for pattern in arguments["package_data"]["munet"] for path in (ROOT / "munet").glob(pattern)}
    data = {path for path in (ROOT / "munet").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert data <= covered, "a data file of the package would not be installed"


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_can_be_run(script: str) -> None:
    path = ROOT / script
    assert os.access(path, os.X_OK)
    assert "set -euo pipefail" in path.read_text()
    subprocess.run(["bash", "-n", path], check=True, timeout=60)


def run_environment(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = f'set -euo pipefail; source "{ROOT}/launch/environment.sh"; {script}'
    environment = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, env=environment)


def test_python_is_found_by_running_it(tmp_path: Path) -> None:
    for name, body in {"shim": "exit 127", "old": "exit 1"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    candidates = f"missing {tmp_path}/shim {tmp_path}/old"
    found = run_environment(f"find_python {candidates} {sys.executable}")
    assert (found.returncode, found.stdout.strip()) == (0, sys.executable)
    assert run_environment(f"find_python {candidates}").returncode == 1


def test_without_a_python_the_message_says_what_to_do(tmp_path: Path) -> None:
    result = run_environment(f'prepare_environment "{tmp_path}/env"', PYTHON="/nonexistent/python")
    assert result.returncode == 1
    assert "Python 3.11 or newer" in result.stderr
    assert "/nonexistent/python" in result.stderr
    assert not (tmp_path / "env").exists()


def test_nothing_names_a_workplace() -> None:
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    if files.returncode:
        pytest.skip(reason="needs a git checkout to know which files are the project's")
    pattern = re.compile(r"/(work|root)/|pyenv/versions/\d")
    for name in files.stdout.splitlines():
        path = ROOT / name
        if path.suffix in (".py", ".sh", ".toml", ".txt", ".md", ".json") and path.is_file() and path != Path(__file__):
            match = pattern.search(path.read_text())
            assert match is None, f"{name}: {match}"
