"""What the search did: hyper-parameters and mutations that were tried, what it cost, and which children failed."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from munet.report.charts import bars, hyperparameters, scores
from munet.report.charts.chart import Chart
from munet.report.facts import costs, mutations
from munet.report.facts import scores as score_facts
from munet.report.page import parts
from munet.report.page.parts import Column, Part, Section, Table, Text
from munet.report.page.source import Source
from munet.text import count, duration


def sections(source: Source) -> list[Section]:
    """Scores, hyper-parameters, mutations, costs, failures."""
    if not source.entries:
        return []
    return [
        Section("scores", "Scores of all children", _scores(source)),
        Section("sampled", "Sampled hyper-parameters", _sampled(source)),
        Section("mutations", "Mutations", _mutations(source)),
        Section("cost", "Time and cost", _costs(source)),
        Section("failures", "Children that failed", _failures(source)),
    ]


def _scores(source: Source) -> list[Part]:
    children = score_facts.scored(source.entries)
    spec = scores.spec(children, source.system.plan.numbers)
    if spec is None:
        return []
    caption = (
        "The score (the paper's Eq. 2) of every child with a finite result, as it was judged, by its number. "
        f"Retained: a task's best at the end of a phase. Of more than {scores.MOST_DRAWN:,} children some are left "
        "out, evenly."
    )
    return [Chart("scores", "Score of each child", caption, spec, scores.rows(children))]


def _sampled(source: Source) -> list[Part]:
    sampled = {source.name: mutations.sampled(source.entries)}
    spec = hyperparameters.histograms(sampled)
    if spec is None:
        return []
    caption = "Share of all sampled children that had each value; seed children are left out, and what never varied."
    return [Chart("figure_8", "Figure 8", caption, spec, hyperparameters.shares(sampled))]


def _mutations(source: Source) -> list[Part]:
    counts = mutations.count(source.entries, source.families)
    spec = bars.mutations(counts)
    if spec is None:
        return []
    caption = (
        "Children in which a mutation of the kind fired by chance; those of them that were kept; and those that are, "
        "or are ancestors of, a retained model."
    )
    return [Chart("mutations", "Tried, kept, led to retained models", caption, spec, bars.rows(counts))]


def _costs(source: Source) -> list[Part]:
    generations = costs.by_generation(source.entries)
    spec = bars.costs(generations, source.system.plan.numbers)
    if spec is None:
        return []
    of_tasks = [_cost(cost) for cost in costs.by_task(generations)]
    seconds, images = math.fsum(one["seconds"] for one in of_tasks), sum(one["image_steps"] for one in of_tasks)
    children = sum(one["children"] for one in of_tasks)
    speed = f", {images / seconds:,.0f} images a second" if seconds else ""
    columns = [
        parts.text("task", "task"),
        parts.plain("children", "children"),
        parts.plain("kept", "kept"),
        parts.plain("failed", "failed"),
        parts.plain("image_steps", "training images"),
        Column("time", lambda row: duration(row["seconds"])),
        Column("images a second", lambda row: f"{row['images_per_second']:,.0f}"),
    ]
    caption = (
        "Wall time of training in each generation, on however many devices; compiling new programs counts in the one "
        "that waits for it."
    )
    return [
        Text(f"{count(children, 'child', 'children')}, {images:,} images, {duration(seconds)} of training{speed}."),
        Chart("costs", "Time by generation", caption, spec, bars.rows(generations)),
        Table("costs_by_task", "By task", of_tasks, columns, most=1000),
    ]


def _cost(cost: costs.Cost) -> dict[str, Any]:
    return {**asdict(cost), "images_per_second": cost.image_steps / cost.seconds if cost.seconds else 0.0}


def _failures(source: Source) -> list[Part]:
    found = [asdict(failure) for failure in costs.failures(source.entries)]
    if not found:
        return [Text("None: parameters and losses of all children stayed finite.")]
    columns = [
        parts.text("task", "task"),
        Column("when", lambda row: f"iteration {row['iteration']}, generation {row['generation']}", is_text=True),
        parts.plain("model", "child"),
        Column("parent", lambda row: f"{row['parent']:,}" if row["parent"] else "root"),
        Column("diverged in cycle", lambda row: f"{row['cycle']} of {row['cycles']}"),
        Column("kept", lambda row: "an earlier version" if row["kept"] else "no", is_text=True),
        parts.text("reason", "verdict"),
        parts.text("mutations", "mutations"),
    ]
    return [
        Text(f"{count(len(found), 'child', 'children')} diverged: a parameter or the loss was not finite."),
        Table("failures", "", found, columns),
    ]
