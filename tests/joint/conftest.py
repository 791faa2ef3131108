"""The data of two small tasks, made once for all tests of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.joint import tiny


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    tiny.write_data(folder)
    return folder
