"""How generations of MUiR's search begin and end: on the host, between blocks of rounds."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from munet import rng
from munet.config.muir import MuirExperiment
from munet.methods.muir import alignment
from munet.methods.muir import state as states
from munet.methods.muir.alignment import Search
from munet.methods.muir.blocks import Plan
from munet.methods.muir.state import MuirState, Trained


class Generations:
    """Begins and ends generations of the search.

    Args:
      experiment: what to do.
      plan: where blocks lie.
      adam: the scores' optimiser, whose moments every generation resets.

    Attributes:
      is_searched: whether any location ever has challengers.
      search: how they are drawn.
    """

    def __init__(self, experiment: MuirExperiment, plan: Plan, adam: Any):
        self._experiment, self._plan, self._adam = experiment, plan, adam
        self.is_searched = bool(
            experiment.sharing in ("search", "random") and experiment.challengers and experiment.share
        )
        self.search = Search(
            states.num_modules(experiment, plan),
            experiment.challengers,
            experiment.share,
            experiment.new_module,
            experiment.sharing == "random",
        )
        self._scores = alignment.first_scores(experiment.challengers, experiment.challenger_share)

    def begun(self, state: MuirState, incumbent: alignment.Mapping, seed: int, number: int) -> MuirState:
        """The state in which a generation begins; modules that are tried anew are initialised anew.

        Args:
          state: before it.
          incumbent: the module that each location uses.
          seed: of the replica.
          number: of the generation.
        """
        pools = None if self._experiment.between_tasks else self._plan.task_of
        generation = alignment.ask(np.asarray(incumbent), self.search, ("muir", seed, "search", number), pools)
        state = states.with_generation(state, generation, self._scores, self._adam)
        if not generation.fresh:
            return state
        fresh = list(generation.fresh)
        modules = np.array(state.trained.modules)
        path = ("muir", seed, "search", number, "modules")
        values = rng.normal_array(path, (len(fresh), *modules.shape[1:]))
        modules[fresh] = values * np.float32(states.module_deviation(self._experiment.context))
        state = state._replace(trained=state.trained._replace(modules=modules))
        if not self._experiment.reset_new_moments:
            return state
        moments, born = state.moments, np.array(state.born)
        born[fresh] = np.asarray(moments.count)
        emptied = {name: _without(getattr(moments, name), fresh) for name in ("mu", "nu")}
        return state._replace(moments=moments._replace(**emptied), born=born)

    def ended(self, state: MuirState, seed: int, number: int, rounds: int) -> tuple[MuirState, dict[str, object]]:
        """The state after a generation, in which the next one has begun, and what is recorded of it.

        After the last one the winners stay alone; where the best version was gone back to before that, the record is of
        the generation that this ended with, and says its round.

        Args:
          state: at its end.
          seed: of the replica.
          number: of the generation; 0: the burn-in, in which nothing competed.
          rounds: of the training so far.
        """
        mapping, mass = winners(state)
        record: dict[str, object] = {"generation": number, **self._described(state, mapping, mass)}
        if number == self._experiment.generations:
            if (own := int(np.asarray(state.moments.count))) != rounds:
                record["best_round"] = own
            rest = alignment.resting(mapping, self._experiment.challengers)
            return states.with_generation(state, rest, self._scores, self._adam), record
        return self.begun(state, mapping, seed, number), record

    def _described(
        self, state: MuirState, mapping: alignment.Mapping, mass: Float[np.ndarray, " locations"]
    ) -> dict[str, object]:
        """A generation's end as JSON values: which locations changed, how clear it was, how modules are shared."""
        before, drawn = np.asarray(state.candidates)[0], np.asarray(state.drawn)
        counts: dict[str, int] = {}
        for tasks in alignment.users(mapping, self._plan.task_of).values():
            name = "+".join(map(str, tasks))
            counts[name] = counts.get(name, 0) + 1
        record: dict[str, object] = {
            "changes": [[int(at), int(before[at]), int(mapping[at])] for at in np.flatnonzero(before != mapping)],
            "mass": round(float(mass[drawn].mean()), 6) if drawn.any() else 1.0,
            "modules": counts,
        }
        groups = self._experiment.groups
        if groups and self._plan.num_locations == len(groups):
            record["score"] = alignment.score(mapping, groups)
        return record


def winners(state: MuirState) -> tuple[alignment.Mapping, Float[np.ndarray, " locations"]]:
    """The modules that would win now, and their weights (`alignment.tell`). On the host."""
    return alignment.tell(np.asarray(state.candidates), np.asarray(state.scores), np.asarray(state.picks))


def _without(moments: Trained, modules: list[int]) -> Trained:
    """Moments of Adam with zeros for some modules."""
    own: Any = np.array(moments.modules)
    own[modules] = 0
    return moments._replace(modules=own)
