"""What is published of a kept child is what it was planned with, or nothing is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from munet.run import runs
from munet.run.publishing import Publisher
from munet.store import Store
from munet.training.trainer import TrainedChild
from tests import tiny_run


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda array: array.astype(np.float64), id="precision"),
        pytest.param(lambda array: np.concatenate([array, array], axis=-1), id="shape"),
    ],
)
def test_arrays_that_a_child_was_not_planned_with_are_refused(
    spoil: Any, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trainer of another kind, on another machine, could give such ones."""
    publish = Publisher.publish

    def spoilt(self: Publisher, state: Any, plan: Any, results: dict[int, TrainedChild], verdicts: Any) -> Any:
        for result in results.values():
            head = dict(result.best["head"])
            head["kernel"] = spoil(head["kernel"])
            result.best["head"] = head  # type: ignore[index]  # a dict
        return publish(self, state, plan, results, verdicts)

    monkeypatch.setattr(Publisher, "publish", spoilt)
    with pytest.raises(ValueError, match="kernel"):
        runs.evolve(tiny_run.config(data), str(tmp_path / "run"), lambda _: None)
    assert len(Store.open(tmp_path / "run").journal) == 1
