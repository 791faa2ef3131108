"""A small suite on two tasks that ship with munet: what `munet benchmark` does, in minutes and offline.

    munet benchmark --repeats=3
    munet benchmark --suite=builtin:tiny --repeats=2        # for tests: seconds, and of no use for anything else

Cost: about a minute a run on two CPU cores; three methods, so a quarter of an hour for three repeats.
Expected result: a table of multi-head, tuned fine-tuning and muNet; both far ahead of multi-head, muNet first.
"""

from __future__ import annotations

from munet.errors import UserError, nearest
from munet.suites.suite import Method, Suite

_TINY = {
    "tasks": ("builtin:digits", "builtin:glyphs/greek"),
    "num_blocks": 1,
    "num_task_iterations": 1,
    "num_generations": 2,
    "children_per_generation": 2,
    "cycles_per_child": 1,
    "batch_size": 32,
    "max_batches_per_cycle": 2,
    "min_batches_per_cycle": 0,
    "max_validation_batches": 1,
    "max_seed_parents": 1,
}
_TASKS = ("builtin:digits", "builtin:glyphs/cyrillic", "builtin:glyphs/armenian")


def get_suite(variant: str = "demo") -> Suite:
    """Baselines and muNet with the demo's settings; `tiny` with next to no budget.

    Raises:
      UserError: no such variant; the message names the nearest.
    """
    if variant not in ("demo", "tiny"):
        raise UserError(f"there is no variant {variant!r}. {nearest(variant, ('demo', 'tiny'))}")
    if variant == "tiny":
        tiny = (
            Method("full", "demo:paper", {"baseline.kind": "full"}, label="Full fine-tuning"),
            Method("munet", "demo:paper", label="muNet"),
        )
        return Suite(tiny, settings=_TINY, against="full")
    methods = (
        Method("multi_head", "demo", {"baseline.kind": "multi_head"}, label="Multi-head"),
        Method("tuned", "demo", {"baseline.kind": "tuned"}, label="Tuned fine-tuning"),
        Method("munet", "demo", label="muNet"),
    )
    return Suite(methods, tasks=_TASKS, against="tuned")
