"""Devices that nothing is put on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FakeDevice:
    """As much of a device as a mesh needs that nothing is put on."""

    id: int
    platform: str = "cpu"
    device_kind: str = "fake"
