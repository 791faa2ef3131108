"""The tables of docs/results/muir_cross_modal.md, from the files beside this one.

    python docs/results/muir_cross_modal/tables.py

Errors are standard errors of the mean over seeds; gains are paired by seed, with Student's t intervals (95 %).
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from munet.suites.paired import t_interval
from munet.text import markdown_table

HERE = Path(__file__).parent
TASKS = {
    "cifar10_subset": "cifar10_subset (accuracy, higher is better)",
    "fashion_mnist": "fashion_mnist (accuracy, higher is better)",
    "text/python": "text/python (bits a byte, lower is better)",
    "dna": "dna (MSE, lower is better)",
}
# Directory and method of each row.
ROWS = {
    "/single": "Single task",
    "/framework": "Single task, PyTorch's initial values",
    "table_6/classical": "Classical sharing (c = 0)",
    "table_6/parallel_adapters": "Parallel adapters",
    "table_6/hierarchical": "Hierarchical alignment, nothing searched",
    "/intratask": "MUiR, each task with itself",
    "/images_text": "MUiR, images + text",
    "/images_dna": "MUiR, images + DNA",
    "/text_dna": "MUiR, text + DNA",
    "/all": "MUiR, all together (c = 4)",
    "gentle/all": "MUiR, all together, alpha = 0.1",
    "table_7/c_1": "MUiR, all together, c = 1",
    "table_7/c_2": "MUiR, all together, c = 2",
    "table_7/c_8": "MUiR, all together, c = 8",
}
LONG = {
    "long/single": "Single task",
    "long_6/classical": "Classical sharing (c = 0)",
    "long_6/hierarchical": "Hierarchical alignment, nothing searched",
    "long/all": "MUiR, all together (c = 4)",
    "long_gentle/all": "MUiR, all together, alpha = 0.1",
}
COURSE = ("single", "classical", "hierarchical", "intratask", "all", "gentle/all")
CONTRASTS = (
    ("table_6/hierarchical", "/all"),
    ("table_6/hierarchical", "/intratask"),
    ("gentle/all", "/all"),
    ("gentle/all", "table_6/hierarchical"),
    ("table_7/c_8", "/all"),
)


def ends(row: str) -> dict[str, dict[int, dict[str, str]]]:
    """What a method's runs have, by task and seed."""
    folder, _, method = row.rpartition("/")
    found: dict[str, dict[int, dict[str, str]]] = {}
    for line in _read(f"{folder}/results_tasks.csv" if folder else "results_tasks.csv"):
        if line["method"] == method:
            found.setdefault(line["task"], {})[int(line["seed"])] = line
    return found


def table(rows: dict[str, str]) -> str:
    """Means at the end of training."""
    body = []
    for row, label in rows.items():
        found = ends(row)
        seeds = {seed for runs in found.values() for seed in runs}
        cells = [_mean(task, _values(found[task], task)) if task in found else "-" for task in TASKS]
        folded = ""
        if len(found) == len(TASKS):  # modules of several tasks are counted once: any task's line has the training's
            folded = f"{np.mean([float(run['folded_size']) for run in found['dna'].values()]):,.0f}"
        body.append((label, str(len(seeds)), *cells, folded))
    return markdown_table(("at the end of training", "seeds", *TASKS.values(), "numbers in generated weights"), body)


def gains(rows: dict[str, str]) -> str:
    """Every method less the first one."""
    first, *others = rows
    body = [(rows[row], *(_gain(row, first, task) for task in TASKS)) for row in others]
    units = ("cifar10_subset, points", "fashion_mnist, points", "text/python, bits a byte", "dna, MSE")
    return markdown_table((f"gain on *{rows[first].lower()}*, paired by seed", *units), body)


def course() -> str:
    """Validation over rounds, mean over seeds, of several methods."""
    found: dict[tuple[int, str], dict[str, list[float]]] = {}
    for line in _read("validation.csv"):
        by_method = found.setdefault((int(line["round"]), line["task"]), {})
        by_method.setdefault(line["method"], []).append(float(line["validation"]))
    body = []
    for round_ in sorted({key[0] for key in found if COURSE[0] in found[key]}):
        cells = []
        for task in TASKS:
            values = [float(np.mean(found[round_, task][method])) for method in COURSE]
            cells.append(" / ".join(f"{v * 100:.1f}" if _is_share(task) else f"{v:.2f}" for v in values))
        body.append((str(round_), *cells))
    return markdown_table(("round", *TASKS), body)


def shared() -> str:
    """Modules of all together by how many tasks use them, and folded sizes at the end, means over seeds."""
    found: dict[int, dict[int, int]] = {}
    lines = [line for line in _read("modules.csv") if line["method"] == "all"]
    for line in lines:
        counts, several = found.setdefault(int(line["generation"]), {}), 1 + line["tasks"].count(" + ")
        counts[several] = counts.get(several, 0) + int(line["modules"])
    seeds = len({line["seed"] for line in lines})
    places = range(1, len(TASKS) + 1)
    body = [
        (str(generation), *(f"{counts.get(place, 0) / seeds:,.0f}" for place in places))
        for generation, counts in sorted(found.items())
    ]
    return markdown_table(("after generation", *(f"modules of {place} tasks" for place in places)), body)


def generic() -> str:
    """Table 4: medians, effects and p of what is generic and what is specific."""
    found: dict[tuple[str, str], list[dict[str, str]]] = {}
    for line in _read("generic.csv"):
        found.setdefault((line["of"], line["statistic"]), []).append(line)
    body = []
    for (of, statistic), lines in found.items():
        medians = (f"{np.mean([float(line[kind]) for line in lines]):.4g}" for kind in ("generic", "specific"))
        effects = [float(line["effect"]) for line in lines]
        effect = f"{np.mean(effects):+.2f} ({min(effects):+.2f} to {max(effects):+.2f})"
        body.append((of, statistic, *medians, effect, ", ".join(f"{float(line['p']):.1g}" for line in lines)))
    head = ("of", "statistic", "generic (median)", "specific (median)", "effect (least to most of the seeds)")
    return markdown_table((*head, "p, seed by seed"), body)


def _gain(row: str, against: str, task: str) -> str:
    mine, theirs = ends(row), ends(against)
    if task not in mine:
        return "-"
    common = sorted(mine[task].keys() & theirs[task].keys())
    sign = 1 if _is_share(task) else -1
    differences = sign * (
        _values({seed: mine[task][seed] for seed in common}, task)
        - _values({seed: theirs[task][seed] for seed in common}, task)
    )
    if not differences.any():
        return "the same"
    low, high = t_interval(differences)
    form = "+.2f" if _is_share(task) else "+.4f"
    told = f"{differences.mean():{form}} ({low:{form}} to {high:{form}})"
    return f"**{told}**" if low > 0 or high < 0 else told


def _values(runs: dict[int, dict[str, str]], task: str) -> np.ndarray:
    values = np.array([float(runs[seed]["end"]) for seed in sorted(runs)])
    return values * 100 if _is_share(task) else values


def _mean(task: str, values: np.ndarray) -> str:
    error = values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.2f} ± {error:.2f} %" if _is_share(task) else f"{values.mean():.4f} ± {error:.4f}"


def _is_share(task: str) -> bool:
    return "accuracy" in TASKS[task]


def _read(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def main(tables: Sequence[dict[str, str]] = (ROWS, LONG)) -> None:
    """Prints those whose files are there."""
    for rows in tables:
        if not all((HERE / row.rpartition("/")[0] / "results_tasks.csv").is_file() for row in rows):
            continue
        print(table(rows), gains(rows), sep="\n\n", end="\n\n")
    for mine, theirs in CONTRASTS:
        print(f"{mine} less {theirs}:", *(f"{task} {_gain(mine, theirs, task)}" for task in TASKS), sep="\n  ")
    print(course(), shared(), generic(), sep="\n\n")


if __name__ == "__main__":
    main()
