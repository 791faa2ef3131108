"""The components of a system on the device: each read, checked and sent once, however many tasks use it."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import jax
from flax.traverse_util import unflatten_dict

from munet import accelerators
from munet.store.components import ComponentStore
from munet.training.program import jax_settings
from munet.types import ComponentId


class DeviceComponents:
    """Components of one store as nested dictionaries of arrays on the first device; for any number of threads.

    A component is immutable, so what was checked once stays right for as long as the process lives.

    Args:
      store: where their files are.
    """

    def __init__(self, store: ComponentStore):
        jax_settings.pin()
        self._store = store
        self._held: dict[ComponentId, Any] = {}
        self._lock = threading.Lock()

    def get(self, identity: ComponentId) -> Any:
        """The arrays of a component, every byte checked when it is first asked for.

        Raises:
          CorruptionError: its file is damaged or missing.
        """
        with self._lock:
            if identity not in self._held:
                leaves = unflatten_dict(self._store.load(identity), sep="/")
                self._held[identity] = jax.device_put(leaves, accelerators.local_devices()[0])
            return self._held[identity]

    def keep(self, identities: Iterable[ComponentId]) -> None:
        """Lets go of all other components."""
        with self._lock:
            kept = set(identities)
            self._held = {identity: arrays for identity, arrays in self._held.items() if identity in kept}
