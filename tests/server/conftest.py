from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.server.running import Running

_NEEDED = ("fastapi", "uvicorn", "python_multipart", "prometheus_client", "httpx")
# Of the extra `serve`; without it these tests cannot even be imported.
collect_ignore_glob = ["test_*.py"] if any(find_spec(package) is None for package in _NEEDED) else []


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work directory of a run; for reading."""
    from tests.server import running  # which imports JAX: after the flags of the outer conftest

    folder = tmp_path_factory.mktemp("served") / "run"
    folder.mkdir()
    return running.write(folder)


@pytest.fixture(scope="session")
def server(stored: Path) -> Iterator[Running]:
    """A server that is ready; what it is asked must leave it as it was, and write nothing into its log."""
    from tests.server import running

    with running.serving(
        stored, "--max_body_mb=1", "--max_images=5", "--max_megapixels=1", "--body_seconds=2", cache=stored.parent
    ) as process:
        process.wait_until_ready()
        yield process
        assert process.stop()[0] == 0
        others = [line for line in process.said[-1].splitlines() if not line.startswith("munet: ")]
        assert not others, others[:10]
