"""How the system came about: the layer graph, validation along lineages, knowledge flow, values along lineages."""

from __future__ import annotations

from munet.report import history
from munet.report.charts import hyperparameters, knowledge, sharing, validation
from munet.report.charts.chart import Chart
from munet.report.facts import knowledge as knowledge_facts
from munet.report.facts import mutations
from munet.report.facts import sharing as sharing_facts
from munet.report.graph import page as graph_page
from munet.report.graph import svg
from munet.report.graph.graph import of_run
from munet.report.page.parts import Graph, Part, Section
from munet.report.page.source import Source
from munet.types import TaskName

_MOST_PANELS = 30  # tasks whose validation is drawn


def sections(source: Source) -> list[Section]:
    """Graph, validation, sharing, knowledge flow, values on the way."""
    return [
        Section("graph", "The layer graph", _graph(source)),
        Section("validation", "Validation along the lineages", _validation(source)),
        Section("sharing", "Shared components", _sharing(source)),
        Section("knowledge", "Knowledge flow", _knowledge(source)),
        Section("lineages", "Hyper-parameters along the lineages", _along(source)),
    ]


def _graph(source: Source) -> list[Part]:
    system = source.system
    if not system.models:
        return []
    picture = svg.to_svg(of_run(system)) if len(system.models) <= svg.MOST_TASKS or not source.entries else ""
    folded = history.fold(system.controller, source.entries) if source.entries else None
    return [Graph(graph_page.to_page(system.every_task, folded) if folded else "", picture)]


def _validation(source: Source) -> list[Part]:
    lineages = {source.name: [source.families.lineages()]}
    names = _retained(source)
    spec = validation.spec(lineages, dict(list(names.items())[:_MOST_PANELS]), source.metric)
    if spec is None:
        return []
    more = f" The first {_MOST_PANELS} tasks are drawn." if len(names) > _MOST_PANELS else ""
    caption = (
        f"Validation {source.metric} after each cycle of training on the task, from the first ancestor there to the "
        f"retained model; of ancestors up to the version that was kept.{more}"
    )
    return [Chart("figure_5", "Figure 5", caption, spec, validation.rows(lineages, names))]


def _sharing(source: Source) -> list[Part]:
    tasks = list(source.system.models)[: sharing.MOST_TASKS]
    if len(tasks) < 2:
        return []
    pairs = sharing_facts.shared(source.system, tasks)
    more = f" The first {len(tasks)} tasks are drawn." if len(tasks) < len(source.system.models) else ""
    caption = (
        "How many components the models of two tasks have in common, those that still are the root's included; with "
        f"itself: how many a model has.{more}"
    )
    spec = sharing.spec(pairs)
    return [Chart("sharing", "Task by task", caption, spec, sharing.rows(pairs))] if spec else []


def _knowledge(source: Source) -> list[Part]:
    flows, tasks = knowledge_facts.flows(source.system), list(source.system.models)
    if not flows:
        return []
    rows = knowledge.rows(flows)
    caption = (
        "On which tasks the components of each task's model were trained: shares of their training cycles, its own "
        "included. What is still the root's was trained on none."
    )
    arrows = "Arrows come from who gave; the wider, the more."
    drawn = knowledge.graph(flows, tasks, source.system.plan.numbers)
    heat_map = knowledge.heat_map(flows, tasks)
    return [
        Chart(name, title, words, spec, rows)
        for name, title, words, spec in (
            (
                "figure_6",
                "Who trained what each task uses (Fig. 6)",
                f"{caption} {arrows}",
                drawn,
            ),
            ("figure_7", "The same as a heat map (Fig. 7)", caption, heat_map),
        )
        if spec is not None
    ]


def _along(source: Source) -> list[Part]:
    ancestries = {
        task: [mutations.hyperparameters(child) for child in source.families.ancestry(task)]
        for task in _retained(source)
    }
    spec = hyperparameters.along_lineages(ancestries, source.system.plan.numbers)
    if spec is None:
        return []
    caption = "From the first child of the root to each task's model; what never changed is left out."
    return [Chart("lineages", "Values on the way", caption, spec, hyperparameters.steps(ancestries))]


def _retained(source: Source) -> dict[TaskName, TaskName]:
    """The tasks that have a model, in the run's order."""
    return {task: task for task in source.system.models if task in source.families.last}
