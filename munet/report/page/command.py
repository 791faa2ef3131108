"""`munet report`: one page with everything that a run's journal says, and its figures and tables as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from munet import output_file
from munet.errors import UserError
from munet.report.page import files, html, report, source
from munet.text import byte_size, count, say


@dataclass(frozen=True)
class Options:
    """What `munet report` is asked for; as the command line has it.

    Attributes:
      workdir: of the run.
      compare: work directories of other systems.
      output: the page.
      figures: a directory for figures and tables; "": none.
      examples: whether the data is opened and each task's most confident mistakes are shown.
      data_dir, cache_dir: of the data, as `munet verify` has them.
    """

    workdir: str
    compare: Sequence[str] = ()
    output: str = "report.html"
    figures: str = ""
    examples: bool = False
    data_dir: str = ""
    cache_dir: str = ""


def write(options: Options) -> None:
    """Writes the page, and what else is asked for.

    Raises:
      UserError: there is no run, the data is not there, or a file cannot be written.
      CorruptionError: a journal is damaged.
    """
    if Path(options.output).suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--output={options.output}: a report is a page; give a name that ends in .html.")
    output_file.check_folder("--output", options.output)
    read = source.read(options.workdir, options.compare)
    examples = None
    if options.examples:
        from munet.report.page import examples as mistakes

        examples = mistakes.section(read, options.data_dir, options.cache_dir)
    made = report.make(read, examples)
    page = html.to_page(made).encode()
    output_file.write("--output", options.output, page)
    say(f"report: {options.output} ({byte_size(len(page))})")
    if options.figures:
        say(f"{count(len(files.write(made, options.figures)), 'file')} written: {options.figures}")
