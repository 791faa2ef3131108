"""Suites: several methods on the same tasks with the same budget, several times, compared honestly (paper Tables 1, 2).

Reads and starts runs; knows nothing of how they evolve.
"""
