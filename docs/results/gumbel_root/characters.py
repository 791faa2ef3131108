"""The tables of the seven sets of characters in docs/results/gumbel_root.md, from characters.csv beside this script.

    python docs/results/gumbel_root/characters.py                              # prints them
    python docs/results/gumbel_root/characters.py routed=DIR one=DIR ...       # first takes trainings up under a name

The other rows are those of docs/results/characters_suite. The unit is a seed: its mean accuracy over the tasks.
Intervals are Student's t over seeds, 95 %.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from jaxtyping import Float

from munet.suites.paired import t_interval
from munet.suites.root_rows import rows_of
from munet.text import markdown_table

HERE = Path(__file__).parent
FILE = HERE / "characters.csv"
FIELDS = (
    "method", "seed", "task", "test_correct", "test_counted", "validation_correct", "validation_counted",
    "params_per_task", "flops",
)  # fmt: skip
SUITE = ("results.parquet", "joint.parquet")  # of characters_suite
TITLES = {
    "routed": "Gumbel-Matrix, three versions a block",
    "one": "one version a block, the same optimiser",
    "joint_shared": "joint fine-tuning (SGD)",
    "munet": "muNet, s = 1",
    "full": "full fine-tuning",
}

Line = dict[str, str]
Lines = list[Line]


def take_up(method: str, workdir: str) -> None:
    """Puts a training into characters.csv, in place of what has its method and seeds."""
    rows = rows_of(workdir, method, method)
    if rows is None:
        raise SystemExit(f"{workdir} is not complete.")
    new = [{name: str(getattr(row, name)) for name in FIELDS} for row in rows]
    replaced = {(line["method"], line["seed"]) for line in new}
    kept = [line for line in read() if (line["method"], line["seed"]) not in replaced]
    with FILE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted([*kept, *new], key=lambda line: (line["method"], int(line["seed"]))))


def read() -> Lines:
    """The lines of characters.csv; none where there is no such file."""
    if not FILE.exists():
        return []
    with FILE.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def of_suite() -> Iterator[Line]:
    """The lines of the methods that the page compares with."""
    for name in SUITE:
        for row in pq.ParquetFile(HERE.parent / "characters_suite" / name).read(FIELDS).to_pylist():
            if row["method"] in TITLES:
                yield {key: str(value) for key, value in row.items()}


def accuracies(lines: Sequence[Line]) -> Float[np.ndarray, "seeds tasks"]:
    """Test accuracies of a method in percent."""
    seeds = sorted({int(line["seed"]) for line in lines})
    tasks = list(dict.fromkeys(line["task"] for line in lines))
    found = {(int(line["seed"]), line["task"]): int(line["test_correct"]) / int(line["test_counted"]) for line in lines}
    return 100 * np.array([[found[seed, task] for task in tasks] for seed in seeds])


def table(methods: Mapping[str, Lines]) -> str:
    """Accuracies by task, parameters a task and operations of every method."""
    tasks = list(dict.fromkeys(line["task"] for line in next(iter(methods.values()))))
    head = ["method", "seeds", *(task.rpartition("/")[2].partition(" ")[0] for task in tasks), "mean",
            "parameters a task", "MFLOP an image"]  # fmt: skip
    rows = []
    for name, lines in methods.items():
        found = accuracies(lines)
        means = found.mean(axis=1)
        spread = f" ± {means.std(ddof=1):.2f}" if len(means) > 1 else ""
        params = np.mean([float(line["params_per_task"]) for line in lines])
        flops = np.mean([float(line["flops"]) for line in lines]) / 1e6
        by_task = [f"{value:.2f}" for value in found.mean(axis=0)]
        rows.append(
            [TITLES[name], str(len(means)), *by_task, f"{means.mean():.2f}{spread}", f"{params:,.0f}", f"{flops:.1f}"]
        )
    return markdown_table(head, rows)


def differences(methods: Mapping[str, Lines], name: str) -> str:
    """A method less the others, by the seeds that both have."""
    rows = []
    for other, lines in methods.items():
        seeds = sorted({line["seed"] for line in methods[name]} & {line["seed"] for line in lines})
        if other == name or not seeds:
            continue
        both = [accuracies([line for line in own if line["seed"] in seeds]) for own in (methods[name], lines)]
        by_seed = (both[0] - both[1]).mean(axis=1)
        interval = " to ".join(f"{end:+.2f}" for end in t_interval(by_seed)) if len(seeds) > 1 else ""
        listed = ", ".join(f"{value:+.2f}" for value in by_seed)
        rows.append([TITLES[other], listed, f"{by_seed.mean():+.2f}", interval])
    return markdown_table([f"{TITLES[name]} less ...", "by seed", "mean", "95 %"], rows)


def main() -> None:
    """See the module."""
    for given in sys.argv[1:]:
        method, _, workdir = given.partition("=")
        take_up(method, workdir)
    lines = [*read(), *of_suite()]
    methods = {name: own for name in TITLES if (own := [line for line in lines if line["method"] == name])}
    print("\n\n".join([table(methods), *(differences(methods, name) for name in ("routed", "one") if name in methods)]))


if __name__ == "__main__":
    main()
