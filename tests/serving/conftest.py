from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def folder_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work directory of a finished run on `photos` beside it; for reading."""
    from tests.serving import folder_run  # which imports JAX: after the flags of the outer conftest

    return folder_run.evolve(tmp_path_factory.mktemp("folder_run"))
