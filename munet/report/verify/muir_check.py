"""`munet verify` of a MUiR training: its files against each other and against what result.json says of them.

The two files of a replica hold the same models, once as modules, contexts and blocks, once as plain weights: so they
can be compared without data, number by number, because result.json says where each weight's blocks lie. Results of
older versions do not: of these only the sorted numbers are compared. Nothing is measured again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.numpy import load

from munet.config.muir import MuirExperiment
from munet.errors import CorruptionError
from munet.joint.workdir import Workdir
from munet.methods.muir import folding
from munet.methods.muir.adapters import num_private
from munet.methods.muir.blocks import Matrices
from munet.methods.muir.result import MUIR, GeneratedLeaf, MuirReplica, MuirResult
from munet.report.verify.problems import VerifyReport
from munet.store import codec
from munet.store.folders import open_folder

_OWN = "own/"
_TOLERANCE = 1e-6  # plain weights were made in float32 in another order
_ONLY_SORTED = "result.json does not say where weights lie: only their sorted numbers were compared."


def check(workdir: str, report: VerifyReport, measure: object = None) -> None:
    """Reads everything that is there; problems go into the report.

    Args:
      workdir: of the training.
      report: takes what is found.
      measure: of no use: nothing is measured again.
    """
    del measure
    place = Workdir(workdir, MUIR)
    experiment, result = MuirExperiment(), None
    if (beginning := _read(place, MUIR.start, place.beginning, report)) is not None:
        where = f"The settings in {place.location(MUIR.start)}"
        read = _read(place, MUIR.start, lambda: codec.from_json(MuirExperiment, beginning.experiment, where), report)
        experiment = read or experiment
    points = _read(place, "curve.jsonl", place.curve, report)
    _read(place, "decisions.jsonl", place.decisions, report)
    result = _read(place, "result.json", place.result, report)
    if not isinstance(result, MuirResult):
        if report.is_sound:
            done = points[-1].step if points else 0
            report.notes.append(f"The training is not complete; measured last after {done:,} rounds.")
        return
    for replica in result.replicas:
        _check_replica(place, experiment, result, replica, report)


def _read(place: Workdir, name: str, read: Callable[[], Any], report: VerifyReport) -> Any:
    try:
        return read()
    except CorruptionError as error:
        report.add_error(place.location(name), error)
        return None


def _check_replica(
    place: Workdir, experiment: MuirExperiment, result: MuirResult, replica: MuirReplica, report: VerifyReport
) -> None:
    folded = _arrays(place, replica.file, report)
    plain = _arrays(place, replica.weights, report) if replica.weights else None  # older versions write none
    block = (experiment.block_rows, experiment.block_columns)
    if folded is not None:  # older versions fold nothing
        folded.setdefault("blocks", np.zeros((0, *block), np.float32))
    private = num_private(experiment)
    sizes = folding.sizes(replica.mapping, experiment.context, block, private=private)
    if replica.sizes is not None and replica.sizes != sizes:
        report.add(place.location("result.json"), f"The sizes of seed {replica.seed} are not those of its mapping.")
    if folded is None:
        return
    where = place.location(replica.file)
    if problem := _problem(folded, replica, block):
        report.add(where, problem)
        return
    report.num_components += len(folded["modules"]) + len(folded["blocks"])
    report.num_models += len(replica.tasks)
    report.total_params += sum(array.size for name, array in folded.items() if name != "alignment")
    if plain is None:
        return
    own = {name.removeprefix(_OWN): array for name, array in folded.items() if name.startswith(_OWN)}
    if any(name not in plain or not np.array_equal(plain[name], array) for name, array in own.items()):
        report.add(where, f"What is each task's own is not what {replica.weights} has.")
    given = {name: array for name, array in plain.items() if name not in own}
    made = folding.unfolded_blocks(folded)
    if result.leaves:
        problem = _difference(made, given, result.leaves, block)
    else:
        problem = _sorted_difference(made, given)
        if _ONLY_SORTED not in report.notes:
            report.notes.append(_ONLY_SORTED)
    if problem:
        report.add(where, f"Its modules and blocks do not make the weights in {replica.weights}: {problem}.")


def _difference(
    made: Float[np.ndarray, "locations m n"],
    given: Mapping[str, np.ndarray],
    leaves: Sequence[GeneratedLeaf],
    block: tuple[int, int],
) -> str:
    """The first weight that blocks do not make, in words; "" if they make all."""
    names = [f"{leaf.task}/{leaf.path}" for leaf in leaves]
    if set(names) != set(given):
        return f"result.json has other weights, such as {sorted(set(names) ^ set(given))[0]}"
    at = 0
    for name, leaf in zip(names, leaves, strict=True):
        array = given[name]
        cut = Matrices(leaf.path, array.shape, leaf.count, leaf.rows, leaf.columns, 0.0)
        end = at + cut.num_blocks(block)
        if leaf.count * leaf.rows * leaf.columns != array.size or end > len(made):
            return f"{name} is {array.shape}, which are other blocks"
        if not _is_near(np.asarray(cut.unpack(made[at:end], block)), array):  # type: ignore[arg-type]  # NumPy does, too
            return f"{name} differs"
        at = end
    return "" if at == len(made) else f"there are {len(made):,} blocks for {at:,} places"


def _sorted_difference(made: Float[np.ndarray, "locations m n"], given: Mapping[str, np.ndarray]) -> str:
    """What can be said where nobody knows which blocks make which weight; "" if the same numbers are in both."""
    ordered, wanted = (np.sort(array, axis=None) for array in (made, np.concatenate([*map(np.ravel, given.values())])))
    if len(ordered) < len(wanted):
        return f"they have {len(ordered):,} numbers for {len(wanted):,}"
    if len(ordered) > len(wanted):  # blocks hang over edges: each number is somewhere
        ordered = ordered[_nearest(ordered, wanted)]
    return "" if _is_near(ordered, wanted) else "the numbers differ"


def _nearest(ordered: Float[np.ndarray, " made"], wanted: Float[np.ndarray, " given"]) -> Int[np.ndarray, " given"]:
    """The places of the nearest of some numbers, which are in order."""
    above = np.clip(np.searchsorted(ordered, wanted), 1, len(ordered) - 1)
    return np.where(abs(ordered[above] - wanted) < abs(wanted - ordered[above - 1]), above, above - 1)


def _is_near(made: Float[np.ndarray, "..."], given: Float[np.ndarray, "..."]) -> bool:
    return bool((abs(made - given) <= _TOLERANCE * np.maximum(abs(given), 1)).all())


def _arrays(place: Workdir, name: str, report: VerifyReport) -> dict[str, np.ndarray] | None:
    files, where = open_folder(place.path), place.location(name)
    if not files.exists(name):
        report.add(where, "It is missing.")
        return None
    try:
        found: dict[str, np.ndarray] = load(files.read(name))
    except (SafetensorError, ValueError) as error:
        report.add(where, f"It cannot be read: {error}")
        return None
    if bad := [key for key, array in found.items() if not np.isfinite(array).all()]:
        report.add(where, f"{bad[0]} has values that are not finite.")
        return None
    return found


def _problem(folded: Mapping[str, np.ndarray], replica: MuirReplica, block: tuple[int, int]) -> str:
    """What is wrong with the shapes of the folded form; "" if nothing is."""
    if missing := {"modules", "blocks", "alignment"} - folded.keys():
        return f"It has no {', '.join(sorted(missing))}."
    modules, blocks, alignment = folded["modules"], folded["blocks"], folded["alignment"]
    if modules.shape[2:] != block or blocks.shape[1:] != block:
        return f"Its blocks are {modules.shape[2:]} and {blocks.shape[1:]}; expected {block}."
    if len(alignment) != len(replica.mapping) or (
        len(alignment) and int(alignment.max()) >= len(modules) + len(blocks)
    ):
        return "Its alignment is not that of the mapping in result.json."
    kept = alignment < len(modules)
    pairs = set(zip(alignment[kept].tolist(), np.array(replica.mapping)[kept].tolist(), strict=True))
    if len(pairs) != len(modules) or len({module for _, module in pairs}) != len(modules):
        return "Its alignment shares other modules than the mapping in result.json."
    return ""
