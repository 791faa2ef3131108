"""Components, written once, and the journal of generations: all that a run leaves on disk.

Knows nothing of ViTs and needs no JAX.
"""

from __future__ import annotations

from munet.store.components import ComponentStore, component_id
from munet.store.journal import FORMAT_VERSION, Journal
from munet.store.snapshots import Snapshots
from munet.store.store import Store

__all__ = ["FORMAT_VERSION", "ComponentStore", "Journal", "Snapshots", "Store", "component_id"]
