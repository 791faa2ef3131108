"""The report of a run, section by section."""

from __future__ import annotations

from pathlib import PurePosixPath

from munet.report import overview
from munet.report.facts import costs
from munet.report.page import descent, forgotten, results, search, settings
from munet.report.page.parts import Report, Section
from munet.report.page.source import Source
from munet.text import count, duration, interval_text

_NUMBERS = "Fig. and Eq. are those of the muNet paper (Gesmundo and Dean, 2022)."


def make(source: Source, examples: Section | None = None) -> Report:
    """The report.

    Args:
      source: the run and what it is compared with.
      examples: the section of mistakes, which needs the data; None: none.
    """
    found = [
        *results.sections(source),
        *([examples] if examples else []),
        *descent.sections(source),
        *search.sections(source),
        *forgotten.sections(source),
        *settings.sections(source),
    ]
    system = source.system
    return Report(
        f"Report of {short_place(system.workdir)}",
        _facts(source),
        [*overview.summary(system), _NUMBERS],
        [section for section in found if section.parts],
        len(source.entries),
    )


def short_place(workdir: str) -> str:
    """What a work directory is called in a page that others may get: without the folders above its own."""
    return workdir if "://" in workdir else "/".join(PurePosixPath(workdir).parts[-2:]).lstrip("/")


def _facts(source: Source) -> list[tuple[str, str]]:
    """The numbers at the top."""
    system = source.system
    tests = [model.test_quality for model in system.models.values()]
    mean, interval = overview.mean(tests), overview.mean_interval(tests)
    found = [(f"{len(system.models):,} of {len(system.tasks):,}", "tasks have a model")]
    if mean is not None:
        sure = f" (95%: {interval_text(interval)})" if interval else ""
        found.append((f"{mean:.2%}", f"mean test {source.metric}{sure}"))
    if system.models:
        found.append((f"{system.params_per_task:,.0f}", "parameters a task"))
        found.append((f"{system.total_params:,}", "parameters in use"))
    spent = costs.by_task(costs.by_generation(source.entries))
    if spent:
        children, seconds = sum(cost.children for cost in spent), sum(cost.seconds for cost in spent)
        found.append((duration(seconds), f"of training for {count(children, 'child', 'children')}"))
    return found
