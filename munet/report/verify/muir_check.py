"""`munet verify` of a MUiR training: its files against each other and against what result.json says of them.

The two files of a replica hold the same models, once as modules, contexts and blocks, once as plain weights: so they
can be compared without data. Nothing is measured again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from munet.config.muir import MuirExperiment
from munet.errors import CorruptionError
from munet.joint.workdir import Workdir
from munet.methods.muir import folding
from munet.methods.muir.result import MUIR, MuirReplica, MuirResult
from munet.report.verify.problems import VerifyReport
from munet.store import codec
from munet.store.folders import open_folder

_OWN = "own/"
_TOLERANCE = 1e-6  # plain weights were made in float32 in another order


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
        _check_replica(place, experiment, replica, report)


def _read(place: Workdir, name: str, read: Callable[[], Any], report: VerifyReport) -> Any:
    try:
        return read()
    except CorruptionError as error:
        report.add_error(place.location(name), error)
        return None


def _check_replica(place: Workdir, experiment: MuirExperiment, replica: MuirReplica, report: VerifyReport) -> None:
    folded, plain = (_arrays(place, name, report) for name in (replica.file, replica.weights))
    block = (experiment.block_rows, experiment.block_columns)
    if folded is not None:  # older versions fold nothing
        folded.setdefault("blocks", np.zeros((0, *block), np.float32))
    if replica.sizes is not None and replica.sizes != folding.sizes(replica.mapping, experiment.context, block):
        report.add(place.location("result.json"), f"The sizes of seed {replica.seed} are not those of its mapping.")
    if folded is None or plain is None:
        return
    where = place.location(replica.file)
    if problem := _problem(folded, replica, block):
        report.add(where, problem)
        return
    report.num_components += len(folded["modules"]) + len(folded["blocks"])
    report.num_models += len(replica.tasks)
    report.total_params += sum(array.size for name, array in folded.items() if name != "alignment")
    own = {name.removeprefix(_OWN): array for name, array in folded.items() if name.startswith(_OWN)}
    if any(name not in plain or not np.array_equal(plain[name], array) for name, array in own.items()):
        report.add(where, f"What is each task's own is not what {replica.weights} has.")
    made = folding.unfolded_blocks(folded).reshape(-1)
    given = np.concatenate([array.reshape(-1) for name, array in plain.items() if name not in own])
    # Where blocks hang over their leaves' edges, more is made than given; what is given is made in any case.
    nearest = np.clip(np.searchsorted(ordered := np.sort(made), given), 1, len(made) - 1)
    error = np.minimum(abs(ordered[nearest] - given), abs(given - ordered[nearest - 1]))
    if len(given) > len(made) or (error > _TOLERANCE * np.maximum(abs(given), 1)).any():
        report.add(where, f"Its modules and blocks do not make the weights in {replica.weights}.")


def _arrays(place: Workdir, name: str, report: VerifyReport) -> dict[str, np.ndarray] | None:
    files, where = open_folder(place.path), place.location(name)
    if not name or not files.exists(name):
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
