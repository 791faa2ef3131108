"""What is wrong with a suite itself, all of it at once; its methods' configs are checked where runs are planned."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from munet.config import fields
from munet.errors import nearest
from munet.suites.suite import BENCHMARKS, FIGURES, Method, Suite

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DECIDED_BY_SUITES = {
    "experiment.seed": "a suite gives its runs the seeds 0, 1, ...; say how many with --repeats",
    "runtime.compare": "in a suite baselines are methods of their own",
}


def problems(suite: Suite) -> list[str]:
    """A sentence each, for whoever wrote the suite's file, if all fields have their types; none if it is sound."""
    found = []
    if not suite.methods:
        found.append("methods is empty: give at least one munet.suites.suite.Method.")
    found += _name_problems(suite)
    found += setting_problems("settings: ", suite.settings)
    for method in suite.methods:
        found += setting_problems(f"method {method.name!r}: ", method.settings)
    if suite.tasks and any(full_name(name) == "experiment.tasks" for name in suite.settings):
        found.append("settings has tasks, and so has the suite: name them once.")
    for name, given in (
        ("against", (suite.against,) if suite.against else ()),
        ("histograms", suite.histograms),
        ("lineages", suite.lineages),
    ):
        found += [
            f"{name} names {one!r}: no such method. {nearest(one, suite.names)}" for one in _not_in(given, suite.names)
        ]
    if suite.benchmark and suite.benchmark not in BENCHMARKS:
        found.append(f"benchmark = {suite.benchmark!r}. {nearest(suite.benchmark, BENCHMARKS)}")
    curves = {method.curve for method in suite.methods if method.curve}
    for figure, names in suite.figures.items():
        if figure not in FIGURES:
            found.append(f"figures has {figure!r}. {nearest(figure, FIGURES)}")
        found += [f"{figure} names the curve {one!r}. {nearest(one, curves)}" for one in _not_in(names, curves)]
    for uri, count in Counter(suite.tasks).items():
        if count > 1:
            found.append(f"tasks names {uri!r} more than once: remove the repetition.")
    return found


def type_problems(suite: Suite) -> list[str]:
    """Fields of another type than they should be: to Python a text is a sequence too, and `(method)` is no tuple."""
    if not isinstance(suite.methods, (tuple, list)):
        return [f"methods is {_kind(suite.methods)}; expected a tuple: (method,) has a comma, also with one."]
    found = []
    for method in suite.methods:
        if isinstance(method, Method):
            found += _field_problems(f"method {method.name!r}: ", method, ("name", "config", "label", "curve"))
        else:
            found.append(f"methods has {method!r}; expected munet.suites.suite.Method.")
    for name in ("tasks", "histograms", "lineages"):
        value = getattr(suite, name)
        if not isinstance(value, (tuple, list)) or not all(isinstance(item, str) for item in value):
            found.append(f"{name} is {value!r}; expected a tuple of texts: ('text',) has a comma, also with one.")
    if not isinstance(suite.figures, Mapping):
        found.append(f"figures is {_kind(suite.figures)}; expected a dict of curves: {{'figure_3': ('muNet',)}}.")
    return found + _field_problems("", suite, ("against", "benchmark"))


def _field_problems(where: str, owner: Suite | Method, texts: Sequence[str]) -> list[str]:
    """Those of settings, and of fields that are texts."""
    values = {name: getattr(owner, name) for name in texts}
    found = [f"{where}{name} is {one!r}; expected a text." for name, one in values.items() if not isinstance(one, str)]
    if not isinstance(owner.settings, Mapping):
        found.append(f"{where}settings is {_kind(owner.settings)}; expected a dict: {{'batch_size': 64}}.")
    return found


def _name_problems(suite: Suite) -> list[str]:
    found = []
    for name in suite.names:
        if not _NAME.fullmatch(name):
            found.append(
                f"the method {name!r} cannot be a folder's name: use at most 100 letters, digits, '.', '_' and '-', "
                "the first a letter or digit."
            )
    # Upper and lower case are one on some file systems.
    counts = Counter(name.casefold() for name in suite.names)
    for name, count in counts.items():
        if count > 1:
            found.append(f"{count} methods are called {name!r} and would write the same runs: give each its own name.")
    titles: dict[str, list[str]] = {}
    for method in suite.methods:
        titles.setdefault(method.title, []).append(method.name)
    for title, names in titles.items():
        if len(set(names)) > 1:
            listed = " and ".join(repr(name) for name in names)
            found.append(f"the methods {listed} are called {title!r} in tables and figures: give each its own label.")
    return found


def setting_problems(where: str, names: Iterable[str]) -> list[str]:
    """Settings that a suite decides itself, and would overrule in silence."""
    return [
        f"{where}{name}: {_DECIDED_BY_SUITES[full]}."
        for name in names
        if (full := full_name(name)) in _DECIDED_BY_SUITES
    ]


def full_name(name: str) -> str:
    """The full name of a setting; "" if there is none."""
    try:
        return fields.full_name(name)
    except ValueError:
        return ""


def _not_in(given: Iterable[str], known: Sequence[str] | set[str]) -> list[str]:
    return [one for one in given if one not in known]


def _kind(value: object) -> str:
    return f"of type {type(value).__name__}"
