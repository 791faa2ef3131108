"""The parts of a phase: how many children, for how long, from which parents, and what of them mutates.

A phase is a list of stages, one generation each. The paper's has one kind, `evolve`, again and again; a small budget is
better spent on a race: many settings for a short time, the best of them for longer, the best of those to the end. What
a stage names no cycles for, it shares with the stages after it (`evolution/stages.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from munet.errors import ConfigError, nearest

StageKind = Literal["evolve", "explore", "narrow", "train", "compress", "replicas"]

NAMED: Mapping[str, tuple[str, ...]] = {"race": ("explore:8", "narrow:4", "train:1"), "compress": ("compress:1",)}
_FORM = re.compile(r"(\w+):(\d{1,6})(?:x(\d{1,6}))?")


@dataclass(frozen=True)
class Stage:
    """One stage of a phase, which is one generation.

    Attributes:
      kind: who may be a parent and what may mutate.
        `evolve`: seed parents first, then Eq. 1; every mutation by chance (the paper).
        `explore`: the seed parents and the task's best model in turn; settings spread over the search space, layers
          cloned with `clone_probability`. It uses up no seed parents: an `evolve` stage after it begins with the same.
        `narrow`: the best models of the phase, one child each, which goes on training what its parent trained.
        `train`: the same of the best one; more children differ in their batches alone, and so do those of other
          stages where there are too few parents or settings for all (`tells_copies_apart`).
        `compress`: the best one, with what layers it can spare stored in low rank; nothing is trained.
      `replicas`: of a baseline.
      children: trained side by side.
      cycles: that each trains; 0: what its share of the budget pays, which of `compress` is nothing.
    """

    kind: StageKind
    children: int
    cycles: int = 0

    @property
    def is_race(self) -> bool:
        """Whether its children differ in their settings and trained equally long, so that they say which are good."""
        return self.kind in ("explore", "narrow")

    @property
    def trains(self) -> bool:
        """Whether its children are trained."""
        return self.kind != "compress"

    @property
    def tells_copies_apart(self) -> bool:
        """Whether children that are equal in all see batches of their own; those of the paper's generations do not."""
        return self.kind in ("explore", "narrow", "train")

    def __str__(self) -> str:
        """As it is written in a config."""
        if not self.trains:
            return self.kind
        return f"{self.kind}:{self.children}" + (f"x{self.cycles}" if self.cycles else "")


def parse(stages: Sequence[str]) -> tuple[Stage, ...]:
    """The stages that `experiment.stages` names; a name of `NAMED` stands for several.

    Raises:
      ConfigError: all that is wrong with them.
    """
    found: list[Stage] = []
    problems: list[str] = []
    for text in (part for name in stages for part in NAMED.get(name, (name,))):
        try:
            found.append(_parsed(text))
        except ValueError as error:
            problems.append(f"experiment.stages names {text!r}: {error}")
    if problems:
        raise ConfigError(problems)
    return tuple(found)


def _parsed(text: str) -> Stage:
    kinds = [kind for kind in get_args(StageKind) if kind != "replicas"]
    form = _FORM.fullmatch(text)
    if form is None:
        raise ValueError(
            "expected KIND:CHILDREN or KIND:CHILDRENxCYCLES, such as explore:8 or train:1x20, or a name. "
            + nearest(text, NAMED, "Names")
        )
    kind, children, cycles = form[1], int(form[2]), form[3]
    if kind not in kinds:
        raise ValueError(f"there is no kind {kind!r} of stage. {nearest(kind, kinds)}")
    if children < 1 or cycles == "0":
        raise ValueError("expected one child or more, and one cycle or more where cycles are given.")
    if kind == "compress" and (children > 1 or cycles):
        raise ValueError("it makes one child and trains nothing: write compress.")
    return Stage(kind, children, int(cycles or 0))  # type: ignore[arg-type]  # one of them, as was just asked


def problems(stages: Sequence[str], images_per_task: int) -> Iterator[str]:
    """What is wrong with `experiment.stages` and the budget beside it."""
    try:
        parsed = parse(stages)
    except ConfigError as error:
        yield from error.problems
        return
    if not parsed and images_per_task:
        yield (
            f"experiment.images_per_task = {images_per_task} is what stages share, but experiment.stages names none: "
            "give --config.stages=race, or leave images_per_task at 0 and set generations, children and cycles."
        )
    open_ended = [str(stage) for stage in parsed if stage.trains and not stage.cycles]
    if open_ended and not images_per_task:
        yield (
            f"experiment.stages = {', '.join(stages)}: {', '.join(open_ended)} names no cycles, and "
            "experiment.images_per_task says no budget: write e.g. "
            f"{replace(parsed[0], cycles=2)}, or give --config.images_per_task=20480."
        )
    if any(not stage.trains for stage in parsed[:-1]):
        yield f"experiment.stages = {', '.join(stages)}: compress is the last stage of a phase, and there once."
    if parsed and parsed[0].kind in ("narrow", "train", "compress"):
        yield (
            f"experiment.stages begins with {parsed[0]}, which goes on from models of the phase: put explore:8 "
            "or evolve:8 before it."
        )
