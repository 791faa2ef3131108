"""MUiR's Table 2: thirty linear tasks of three groups, without and with noise; ten seeds of a method side by side.

    munet benchmark --suite=muir:table_2 --repeats=10 --reference=paper

Variants: `table_2` (single task from MUiR's and from PyTorch's initial values, Random, Oracle, Optimization with eight
and with four challengers), `stays` (what keeps the mapping that the search has found) and `tiny`, for tests.

The data are those of `../shared/muir_synthetic`. Cost: docs/results/muir_table_2.md says what it took.
Expected result: Optimization near 0 (noisy: near 0.37), as Oracle; single tasks and Random far from it.
"""

from __future__ import annotations

from typing import Any

from munet.errors import UserError, nearest
from munet.suites.suite import Method, Suite

_ROWS = {
    "single": ("single", "STL"),
    "framework": ("single,framework", "STL, PyTorch's initial values"),
    "random": ("random", "MUiR + Random"),
    "oracle": ("oracle", "MUiR + Oracle"),
    "optimization_8": ("", "MUiR + Optimization, lambda = 8"),
    "optimization_4": ("lambda_4", "MUiR + Optimization, lambda = 4"),
}
_STAYS: dict[str, tuple[dict[str, Any], str]] = {
    "as_published": ({}, "as published"),
    "alpha_half": ({"challenger_share": 0.5}, "alpha = 0.5 instead of 8/9"),
    "longer": ({"generation_rounds": 400, "generations": 250, "final_generations": 50}, "generations of 400 rounds"),
    "fewer": ({"share": 0.1}, "p = 0.1 instead of 0.5"),
}
_TINY = {"generations": 3, "final_generations": 1, "generation_rounds": 5}


def get_suite(variant: str = "table_2") -> Suite:
    """The methods of a variant.

    Raises:
      UserError: no such variant.
    """
    if variant not in ("table_2", "stays", "tiny"):
        raise UserError(f"there is no variant {variant!r}. {nearest(variant, ('table_2', 'stays', 'tiny'))}")
    if variant == "stays":
        return Suite(
            tuple(
                Method(name, "muir:synthetic", dict(changes), label=label) for name, (changes, label) in _STAYS.items()
            )
        )
    rows = {name: _ROWS[name] for name in (("single", "optimization_8") if variant == "tiny" else _ROWS)}
    methods = tuple(
        Method(
            f"{name}_{data}",
            "muir:" + ",".join(part for part in ("synthetic", change, "noisy" if data == "noisy" else "") if part),
            label=f"{title}, {data}",
        )
        for data in ("clean", "noisy")
        for name, (change, title) in rows.items()
    )
    return Suite(methods, settings=_TINY if variant == "tiny" else {}, benchmark="muir_table_2")
