"""Smaller systems: layers stored as low-rank updates of those that they were cloned from."""
