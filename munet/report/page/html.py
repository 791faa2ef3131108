"""A report as one page that opens without a server and asks for nothing: figures, their viewer, graph and all.

All that is text stands in the page as HTML, so that it can be read, searched and printed without the script, which only
draws the figures (`assets/report.html`). Every text is escaped here, and printable.
"""

from __future__ import annotations

import base64
import html
import re
from functools import cache
from importlib import resources
from typing import Any

from munet import pages
from munet.report import drawing
from munet.report.charts.chart import DARK, Chart
from munet.report.page.parts import Graph, Part, Pictures, Report, Section, Table, Text
from munet.text import count, printable

_MOST_NUMBERS = 100  # rows below a figure; its file has all


def to_page(report: Report, *, live: bool = False) -> str:
    """The page as HTML text.

    Args:
      report: what is in it.
      live: whether it asks the server that it came from for news.
    """
    template, viewer = _template(), _viewer()
    scripts = [*pages.elements("script", template), viewer]
    styles = pages.elements("style", template)
    graphs = [part for section in report.sections for part in section.parts if isinstance(part, Graph)]
    for page in (part.page for part in graphs):  # a page inside of a page must also be allowed by the outer one
        scripts += pages.elements("script", page)
        styles += pages.elements("style", page)
    more = ["style-src-attr 'unsafe-inline'", *(["connect-src 'self'"] if live else [])]
    filling = {
        "POLICY": pages.policy(scripts, styles, *more),
        "TITLE": _text(report.title),
        "BODY": body_of(report),
        "FIGURES": _data(report, live),
        "VIEWER": viewer,
    }
    pieces = re.split(f"({'|'.join(filling)})", template)  # once: what is filled in is not looked at again
    return "".join(filling.get(piece, piece) for piece in pieces)


def body_of(report: Report) -> str:
    """What stands inside of the page's `main`."""
    facts = "".join(f"<li><b>{_text(number)}</b><span>{_text(what)}</span></li>" for number, what in report.facts)
    links = "".join(f'<a href="#{one.name}">{one.name.replace("_", " ")}</a>' for one in report.sections)
    lines = "".join(f"<p>{_text(line)}</p>" for line in report.lines)
    sections = "\n".join(_section(section) for section in report.sections)
    return (
        f'<header><h1>{_text(report.title)}</h1><ul id="facts">{facts}</ul><div class="lines">{lines}</div></header>\n'
        f'<nav aria-label="Sections">{links}</nav>\n{sections}'
    )


def figures_of(report: Report) -> dict[str, Any]:
    """The specifications of all figures by name."""
    charts = [part for section in report.sections for part in section.parts if isinstance(part, Chart)]
    return {chart.name: chart.vega_lite() for chart in charts}


def _section(section: Section) -> str:
    parts = "\n".join(_part(part, section) for part in section.parts)
    return f'<section id="{section.name}"><h2>{_text(section.title)}</h2>\n{parts}\n</section>'


def _part(part: Part, section: Section) -> str:
    if isinstance(part, Text):
        return f"<p>{_text(part.text)}</p>"
    if isinstance(part, Table):
        return _table(part)
    if isinstance(part, Chart):
        return _chart(part, alone=sum(isinstance(one, Chart) for one in section.parts) == 1)
    if isinstance(part, Graph):
        return _graph(part)
    return _pictures(part)


def _table(table: Table) -> str:
    title = f"<h3>{_text(table.title)}</h3>" if table.title and not table.is_closed else ""
    heads = "".join(f'<th scope="col"{_side(column.is_text)}>{_text(column.head)}</th>' for column in table.columns)
    lines = [
        "".join(_cell(column.show(row), column.is_text) for column in table.columns) for row in table.rows[: table.most]
    ]
    rows = "".join(f"<tr>{line}</tr>" for line in lines)
    note = f'<p class="faint">{_text(table.note)}</p>' if table.note else ""
    hidden = len(table.rows) - table.most
    more = f'<p class="faint">... and {count(hidden, "row")} more (--figures writes all).</p>' if hidden > 0 else ""
    label = _attribute(table.title or table.name)
    shown = (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{more}{note}"
    )
    if table.is_closed:
        return f'<details id="table-{table.name}"><summary>{_text(table.title)}</summary>{shown}</details>'
    return title + shown


def _chart(chart: Chart, *, alone: bool) -> str:
    is_matrix = chart.name.startswith("confusion_")
    figure = f'<div class="chart scroll" data-figure="{chart.name}" tabindex="0" role="img" aria-label="{_attribute(f"{chart.title}. {chart.caption}")}"></div>'  # noqa: E501
    inside = f"{figure}<figcaption>{_text(chart.caption)}</figcaption>{_numbers(chart)}"
    if is_matrix:
        return f'<details id="{chart.name}"><summary>{_text(chart.title)}</summary><figure>{inside}</figure></details>'
    title = "" if alone and chart.title.startswith("Figure") else f"<h3>{_text(chart.title)}</h3>"
    return f"<figure>{title}{inside}</figure>"


def _numbers(chart: Chart) -> str:
    """The same as a table, for who cannot see the figure."""
    if not chart.rows:
        return ""
    head = "".join(f'<th scope="col">{_text(key.replace("_", " "))}</th>' for key in chart.rows[0])
    rows = "".join(
        "<tr>" + "".join(f"<td>{_text(_number(value))}</td>" for value in row.values()) + "</tr>"
        for row in chart.rows[:_MOST_NUMBERS]
    )
    hidden = len(chart.rows) - _MOST_NUMBERS
    more = f'<p class="faint">... and {count(hidden, "row")} more (--figures writes all).</p>' if hidden > 0 else ""
    return (
        f'<details id="numbers-{chart.name}" class="numbers"><summary>The numbers</summary>'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{_attribute(f"The numbers of: {chart.title}")}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{more}</details>"
    )


def _graph(part: Graph) -> str:
    if part.page:
        return f'<iframe id="layers" title="The layer graph, step by step" srcdoc="{html.escape(part.page)}"></iframe>'
    source = base64.b64encode(part.svg.encode()).decode()
    return f'<div class="scroll"><img alt="The layer graph" src="data:image/svg+xml;base64,{source}"></div>'


def _pictures(part: Pictures) -> str:
    shown = "".join(
        f'<li><img alt="" src="data:image/png;base64,{base64.b64encode(png).decode()}"><span>{_text(text)}</span></li>'
        for png, text in part.pictures
    )
    return f'<h3>{_text(part.title)}</h3><ul class="pictures">{shown}</ul>'


def _data(report: Report, live: bool) -> str:
    """What the script gets: the figures, and the colours of a dark page."""
    dark = {colour: lighter for colour in drawing.TASK_COLOURS if (lighter := drawing.on_dark(colour)) != colour}
    return pages.data_text(
        {"figures": figures_of(report), "dark": DARK, "colours": dark, "length": report.length, "live": live}
    )


@cache
def _template() -> str:
    return (resources.files("munet") / "assets" / "report.html").read_text(encoding="utf-8")


@cache
def _viewer() -> str:
    """The libraries that draw the figures; they come with `vl-convert-python`."""
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")).replace("</script", "<\\/script")


def _cell(text: str, is_text: bool) -> str:
    return f'<td class="text"><span>{_text(text)}</span></td>' if is_text else f"<td>{_text(text)}</td>"


def _side(is_text: bool) -> str:
    return ' class="text"' if is_text else ""


def _number(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}" if isinstance(value, float) else str(value)


def _text(text: str) -> str:
    return html.escape(printable(text), quote=False)


def _attribute(text: str) -> str:
    return html.escape(printable(text))
