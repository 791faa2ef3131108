"""Removes the files of components that no model uses any more, at the end of a phase."""

from __future__ import annotations

from collections.abc import Container, Iterable

from munet.store.components import ComponentStore
from munet.types import ComponentId


class Collector:
    """Removes unused files. The first time it looks at every file, for a killed run may have left some behind.

    Args:
      store: whose files.
    """

    def __init__(self, store: ComponentStore):
        self._store = store
        self._has_listed = False

    def collect(self, used: Container[ComponentId], candidates: Iterable[ComponentId]) -> None:
        """Removes what is not used.

        Args:
          used: components that are.
          candidates: those that may no longer be, since the last time.
        """
        found = candidates if self._has_listed else self._store.ids()
        self._has_listed = True
        self._store.delete([identity for identity in sorted(set(found)) if identity not in used])
