"""How large generated models are, and which modules are cheaper as the blocks that they make.

A module of c x m x n numbers that u blocks use costs u c + c m n numbers with the contexts of these blocks; where each
block has a parallel adapter of d numbers, u d more. The blocks themselves cost u m n. The paper folds modules that
fewer than c blocks use, and claims that the folded system is then never larger than the plain models; a module that
exactly c blocks use breaks that. Here a module is folded where its blocks are no larger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from munet.methods.muir.adapters import with_adapters
from munet.methods.muir.blocks import Block

Rule = Literal["cheaper", "paper"]


@dataclass(frozen=True)
class Sizes:
    """Numbers in all generated weights together; what is not generated is in none of them.

    Attributes:
      plain: the weights themselves.
      modules: modules in use, contexts and adapters.
      folded: the same, where modules that are no cheaper are replaced by their blocks.
    """

    plain: int
    modules: int
    folded: int


def folds(uses: int, context: int, block: Block, rule: Rule = "cheaper", private: int = 0) -> bool:
    """Whether a module that so many blocks use is replaced by them; `private`: numbers of each block's adapter."""
    if rule == "paper":
        return uses < context
    size = block[0] * block[1]
    return uses * size <= uses * (context + private) + max(context, 1) * size


def sizes(mapping: Sequence[int], context: int, block: Block, rule: Rule = "cheaper", private: int = 0) -> Sizes:
    """What a mapping of blocks to modules costs.

    Args:
      mapping: the module of every block.
      context: numbers in a context; 0: blocks are shared as they are.
      block: rows and columns.
      rule: which modules are folded.
      private: numbers of each block's adapter.
    """
    size = block[0] * block[1]
    modules = folded = 0
    for uses in Counter(mapping).values():
        kept = uses * (context + private) + max(context, 1) * size
        modules += kept
        folded += uses * size if folds(uses, context, block, rule, private) else kept
    return Sizes(len(mapping) * size, modules, folded)


@dataclass(frozen=True)
class TaskSize:
    """Numbers in the generated weights of one task, folded.

    Attributes:
      params: modules that it uses in full, contexts of its blocks, and its blocks that are folded.
      accounted: the same with every module divided by the tasks that use it.
    """

    params: int = 0
    accounted: float = 0.0


def task_sizes(
    mapping: Sequence[int], task_of: Sequence[int], context: int, block: Block, num_tasks: int, private: int = 0
) -> tuple[TaskSize, ...]:
    """What each task's part of a folded system is; what is accounted adds up to `sizes(...).folded`.

    Args:
      mapping: the module of every block.
      task_of: the number of the task of every block.
      context: numbers in a context; 0: blocks are shared as they are.
      block: rows and columns.
      num_tasks: that there are; one without a block has nothing.
      private: numbers of each block's adapter.
    """
    size, uses, by_tasks = block[0] * block[1], Counter(mapping), Counter(zip(mapping, task_of, strict=True))
    users = Counter(module for module, _ in by_tasks)  # tasks, of each module
    params, accounted = [0] * num_tasks, [0.0] * num_tasks
    for (module, task), own in by_tasks.items():
        if folds(uses[module], context, block, private=private):
            params[task], accounted[task] = params[task] + own * size, accounted[task] + own * size
            continue
        shared = max(context, 1) * size
        params[task] += own * (context + private) + shared
        accounted[task] += own * (context + private) + shared / users[module]
    return tuple(map(TaskSize, params, accounted))


def folded_arrays(
    modules: Float[np.ndarray, "modules context m n"],
    contexts: Float[np.ndarray, "locations context"] | None,
    alignment: Int[np.ndarray, " locations"],
    adapters: Float[np.ndarray, "locations diagonal"] | None = None,
) -> dict[str, np.ndarray]:
    """The folded form: modules that stay, with the contexts of their blocks, and all other blocks as they are.

    Adapters stay with the blocks of modules that stay, and are part of the others.

    `alignment` in it counts modules first, then folded blocks.
    """
    context, block = modules.shape[1], (modules.shape[2], modules.shape[3])
    uses = Counter(alignment.tolist())
    free = contexts is None
    private = 0 if adapters is None else adapters.shape[1]
    numbers = 0 if free else context
    kept = [number for number in range(len(modules)) if not folds(uses[number], numbers, block, private=private)]
    place = {number: at for at, number in enumerate(kept)}
    weights = np.ones((len(alignment), 1), modules.dtype) if contexts is None else contexts
    is_kept = np.array([number in place for number in alignment.tolist()])
    plain = np.flatnonzero(~is_kept)
    blocks = np.einsum("la,lamn->lmn", weights[plain], modules[alignment[plain]]).astype(modules.dtype)
    if adapters is not None:
        blocks = with_adapters(blocks, adapters[plain])
    found: dict[str, Any] = {"modules": modules[kept], "blocks": blocks}
    if adapters is not None:
        found["adapters"] = adapters[is_kept]
    found["alignment"] = np.empty(len(alignment), np.int32)
    found["alignment"][is_kept] = [place[number] for number in alignment[is_kept].tolist()]
    found["alignment"][plain] = len(kept) + np.arange(len(plain))
    if contexts is not None:
        found["contexts"] = contexts[is_kept]
    return found


def unfolded_blocks(arrays: dict[str, np.ndarray]) -> Float[np.ndarray, "locations m n"]:
    """All blocks of the folded form, in the order of the locations."""
    modules, alignment = arrays["modules"], arrays["alignment"]
    is_kept = alignment < len(modules)
    contexts = arrays.get("contexts")
    if contexts is None:
        contexts = np.ones((int(is_kept.sum()), 1), modules.dtype)
    found = np.empty((len(alignment), *modules.shape[2:]), modules.dtype)
    found[is_kept] = np.einsum("la,lamn->lmn", contexts, modules[alignment[is_kept]])
    if "adapters" in arrays:
        found[is_kept] = with_adapters(found[is_kept], arrays["adapters"])
    found[~is_kept] = arrays["blocks"][alignment[~is_kept] - len(modules)]
    return found
