"""Files of components that no model uses any more."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import numpy as np

from munet.store import ComponentStore
from munet.store.collector import Collector
from munet.types import ComponentRecord, Leaf


def test_everything_is_looked_at_once_and_then_what_may_have_gone(tmp_path: Path) -> None:
    store = ComponentStore(tmp_path / "components")  # nobody else's: needs no lock
    record = ComponentRecord("head", {"w": Leaf((1,))}, "init")
    first, second, third, lost = (store.put(record, {"w": np.array([i], np.float32)}) for i in range(4))
    collector = Collector(store)
    collector.collect({first, second, third}, [])
    assert store.ids() == {first, second, third}  # what a killed run left is gone
    with mock.patch.object(type(store), "ids", side_effect=AssertionError("as many files as there are tasks")):
        collector.collect({first, third}, [second, third, lost])
    assert store.ids() == {first, third}
