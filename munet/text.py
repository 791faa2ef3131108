"""Bytes in words."""

from __future__ import annotations


def byte_size(number: float) -> str:
    """`1.5 GiB`, `300 MiB`, `12 KiB`."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20)):
        if number >= size:
            value = number / size
            return f"{value:.1f} {unit}" if value < 10 else f"{value:,.0f} {unit}"
    return f"{number / 1024:.0f} KiB"
