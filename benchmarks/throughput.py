"""How fast a generation trains, beside a plain loop over its children, PyTorch, and the peak of the same device.

    python -m benchmarks.throughput                     # Ti/16 with 3 blocks at 32 px, batch 512
    python -m benchmarks.throughput --preset=b16_224    # on a GPU; also b16_80

Prints one JSON line. Contenders are processes that work in turn (benchmarks/contenders), `--repeats` times; figures are
medians, ratios are medians of the ratios within a turn:

    images_per_s         of full train steps of one child, in dispatches of ten steps
    mfu                  operations (`munet.vit.flops.train_step`: matrix products, a multiply-add as two) a second,
                         over those of one large matrix product timed in the same turns: 2048^3 float32 on a CPU, 8192^3
                         bfloat16 elsewhere
    ratio_to_torch       PyTorch's time for a full step over ours; null without PyTorch
    ratio_to_one_child   time of a plain loop (contenders/one_child.py) over the engine's for a whole generation of
                         mutated children, 5 cycles of 10 batches, each in a fresh process: compilation included
    ratio_to_one_child_compiled   the same once more in the same processes, nothing left to compile
    ratio_to_one_child_with_input   as the first, but the loop makes each child's batches while it trains, by the same
                         augmentation; in the other two they were made beforehand, free of charge
    compilations         XLA programs compiled for that generation, `train_programs` of them for training
    generations          images/s of whole generations by kind and number of children (--sweep), compilation excluded
    peak_bytes           memory at most: of the device, on a CPU of the process
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from benchmarks.contenders.cases import KINDS, Case
from benchmarks.contenders.process import Contender, ContenderError

PRESETS = {
    "ti16": Case(),
    "b16_80": Case("B/16", 12, 80, 256),
    "b16_224": Case("B/16", 12, 224, 256),
    "tiny": Case("demo/16", 2, 32, 16, children=4, cycles=2, steps=4),  # for a try, and for the test
}
SWEEP = (1, 2, 4, 8)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=PRESETS, default="ti16")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each measurement")
    parser.add_argument("--children", type=int, default=0, help="of the whole generation; 0: the preset's")
    parser.add_argument("--batch_size", type=int, default=0, help="0: the preset's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sweep", action="store_true", help="also generations of 1, 2, 4, 8 children of each kind")
    parser.add_argument("--steps_only", action="store_true", help="no whole generations")
    options = parser.parse_args(arguments)
    if options.repeats < 1:
        parser.error(f"--repeats={options.repeats}: expected at least 1")
    case = PRESETS[options.preset]
    changes = {name: value for name in ("children", "batch_size", "seed") if (value := getattr(options, name))}
    case = dataclasses.replace(case, **changes)
    result = {"case": dataclasses.asdict(case), **measure_steps(case, options.repeats)}
    if not options.steps_only:
        result |= measure_generation(case, options.repeats)
    if options.sweep:
        result["generations"] = sweep(case)
    print(json.dumps(result))


def measure_steps(case: Case, repeats: int) -> dict[str, Any]:
    """Full train steps of one child: ours, PyTorch's, and the peak."""
    one = dataclasses.asdict(dataclasses.replace(case, kind="full", children=1, steps=10))
    with ExitStack() as stack:
        ours = stack.enter_context(Contender("engine", {"what": "steps", "case": one}))
        ours.ask("steps")
        torch = _torch(stack, one)
        turns: dict[str, list[float]] = {"ours": [], "peak": [], "torch": []}
        for _ in range(max(repeats, 3)):
            turns["ours"].append(ours.ask("steps"))
            turns["peak"].append(ours.ask("peak"))
            if torch:
                turns["torch"].append(torch.ask("steps"))
        rates = [ours.ask("flops") / seconds for seconds in turns["ours"]]
        ratios = [theirs / mine for theirs, mine in zip(turns["torch"], turns["ours"], strict=False)]
        return {
            "device": ours.ask("device"),
            "images_per_s": round(case.batch_size / statistics.median(turns["ours"])),
            "step_ms": round(1000 * statistics.median(turns["ours"]), 2),
            "torch_step_ms": round(1000 * statistics.median(turns["torch"]), 2) if torch else None,
            "torch": torch.ask("form") if torch else "not installed",
            "ratio_to_torch": _median(ratios),
            "peak_gflops": round(statistics.median(turns["peak"]) / 1e9, 1),
            "mfu": _median([rate / peak for rate, peak in zip(rates, turns["peak"], strict=True)]),
        }


def measure_generation(case: Case, repeats: int) -> dict[str, Any]:
    """A whole generation of mutated children, by the engine and child by child, cold and warm."""
    given = dataclasses.asdict(dataclasses.replace(case, kind="mutated"))
    cold: list[float] = []
    with_input: list[float] = []
    warm: list[float] = []
    ours: list[dict[str, Any]] = []
    for _ in range(repeats):
        with Contender("engine", {"what": "generation", "case": given}) as engine:
            with Contender("one_child", {"case": given}) as peer:
                first, theirs = engine.ask("generation"), peer.ask("generation")
                cold.append(theirs["seconds"] / first["seconds"])
                again, theirs = engine.ask("generation"), peer.ask("generation")
                warm.append(theirs["seconds"] / again["seconds"])
            with Contender("one_child", {"case": given, "makes_batches": True}) as peer:
                with_input.append(peer.ask("generation")["seconds"] / first["seconds"])
            ours.append({**first, "warm_seconds": again["seconds"], "peak_bytes": again["peak_bytes"]})
    return {
        "ratio_to_one_child": _median(cold),
        "ratio_to_one_child_compiled": _median(warm),
        "ratio_to_one_child_with_input": _median(with_input),
        "generation_s": round(statistics.median(one["seconds"] for one in ours), 2),
        "generation_compiled_s": round(statistics.median(one["warm_seconds"] for one in ours), 2),
        "compilations": ours[0]["compilations"],
        "train_programs": ours[0]["train_programs"],
        "peak_bytes": max(one["peak_bytes"] for one in ours),
    }


def sweep(case: Case) -> dict[str, dict[str, int]]:
    """Images/s of whole generations after compilation, validation and augmentation included."""
    result: dict[str, dict[str, int]] = {}
    for kind in KINDS:
        for children in SWEEP:
            one = dataclasses.replace(case, kind=kind, children=children, cycles=1)
            with Contender("engine", {"what": "generation", "case": dataclasses.asdict(one)}) as engine:
                engine.ask("generation")
                seconds = engine.ask("generation")["seconds"]
            result.setdefault(kind, {})[str(children)] = round(one.image_steps / seconds)
    return result


def _torch(stack: ExitStack, case: dict[str, Any]) -> Contender | None:
    """PyTorch's contender, where there is one that works."""
    if importlib.util.find_spec("torch") is None:
        return None
    # glibc gives freed blocks back to the system, and PyTorch pays for their pages again at every step: a fifth of it.
    allocator = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "68719476736", "MALLOC_TOP_PAD_": "268435456"}
    torch = stack.enter_context(Contender("torch_vit", {"case": case}, allocator))
    try:
        torch.ask("steps")
    except ContenderError as error:
        print(f"PyTorch is left out: {error}", file=sys.stderr)
        return None
    return torch


def _median(values: Sequence[float]) -> float | None:
    return round(statistics.median(values), 3) if values else None


if __name__ == "__main__":
    main()
