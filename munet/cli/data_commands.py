"""Commands for data and roots; options are the keyword arguments. What a command needs is imported inside it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from munet.errors import UserError
from munet.paths import expanded
from munet.text import plain_console, say, say_beside


def data(
    tasks: Sequence[str],
    data_dir: str,
    sheet_dir: str | None,
    to_folder: str,
    check_leaks: bool,
    max_bad_images: float,
) -> None:
    """Prints what tasks hold; writes a contact sheet of each that has images unless something else is asked for.

    Args:
      tasks: URIs.
      data_dir, max_bad_images: as in `munet.data.open_settings.OpenSettings`.
      sheet_dir: where the contact sheets go; "": none; None: here, but none where the next two are given.
      to_folder: where the tasks are written as image files; "": nowhere.
      check_leaks: also count images that are in more than one split.

    Raises:
      DataError: a task cannot be opened or decoded, or has no images where they are needed.
      UserError: an option out of range, or a place that cannot be written.
    """
    from pathlib import Path

    from munet.config import Runtime
    from munet.data.class_notes import notes_on_classes
    from munet.data.open_settings import OpenSettings, host_memory, share_of
    from munet.data.range_notes import notes_on_range
    from munet.data.tasks import load_tasks
    from munet.report.data.contact_sheet import write_contact_sheet
    from munet.report.data.describe import describe_tasks
    from munet.report.data.describe_values import describe_values
    from munet.report.data.text_notes import text_lines

    if not 0 <= max_bad_images <= 1:
        raise UserError(f"--max_bad_images={max_bad_images:g}: expected a share in [0, 1], e.g. 0.01.")
    for given in tasks:
        if len(several := _apart(given)) > 1:
            advice = f"munet data {shlex.join(several)}"
            raise UserError(f"{given!r} is several tasks: give them apart, without commas:", advice)
    if to_folder:
        from munet.report.data.to_folder import check_target, write_folder

        check_target(expanded(to_folder))
    limit = share_of(host_memory(), Runtime().resident_share)
    settings = OpenSettings(
        data_dir,
        max_bad_images=max_bad_images,
        max_resident=limit,
        say=say_beside,
        objectives=("",) if check_leaks or to_folder else ("", "value", "next_token"),
    )
    opened = load_tasks(tasks, settings)
    loaded = [task for task in opened if not task.info.objective]
    console = plain_console()
    if loaded:
        console.print(describe_tasks(loaded))
    for task in opened:
        if task.info.objective:
            say(describe_values(task) if task.info.objective == "value" else "\n".join(text_lines(task)))
        for note in task.notes:
            say(f"{task.uri}: {note}")
        if not task.info.objective:
            for note in (*notes_on_classes(task, with_test=True), *notes_on_range(task)):
                say(note)
    if check_leaks:
        from munet.report.data.leaks import leaks_table

        console.print(leaks_table(loaded))
    if to_folder:
        for task in loaded:
            place = expanded(to_folder) / (task.info.name if len(loaded) > 1 else "")
            say(f"{write_folder(task, place, say_beside):,} images written: folder:{place}")
            task.release()
    sheet_dir = "" if sheet_dir is None and (check_leaks or to_folder) else "." if sheet_dir is None else sheet_dir
    if not sheet_dir:
        return
    for task in loaded:
        sheet = Path(sheet_dir) / f"{task.info.name.replace('/', '-')}.png"
        try:
            write_contact_sheet(task, sheet)
        except OSError as error:
            raise UserError(
                f"--sheet_dir={sheet_dir}: {sheet} cannot be written: {error.strerror or error}."
            ) from error
        say(f"contact sheet: {sheet}")


def roots(name: str, json: bool, cache_dir: str) -> None:
    """Lists known and cached roots, or fetches, checks and describes one."""
    from munet.roots import listing

    listing.describe_one(name, json, cache_dir) if name else listing.list_all(json, cache_dir)


def _apart(tasks: str) -> list[str]:
    """The tasks of one argument, which commas separate as they do in `--config.tasks`."""
    from munet.data.uris import SCHEMES

    return re.split(rf",(?=(?:[^,:=/]+=)?(?:{'|'.join(SCHEMES)}):)", tasks)
