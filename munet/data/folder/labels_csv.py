"""`labels.csv`: which file is of which class, and in which split, for images that are not sorted into folders."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

from munet.data.folder.image_files import ImageFile, Listing, known_splits, natural, split_named
from munet.data.splits import MAX_CLASSES, SplitName
from munet.errors import DataError, nearest

_COLUMNS = ("path", "label", "split")
_MAX_PROBLEMS = 5  # shown
_FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
_MAX_ROWS = 10_000_000


def list_labels(uri: str, file: Path) -> Listing:
    """The images that a `labels.csv` names; paths are relative to the folder that it lies in.

    Raises:
      DataError: other columns, or rows that cannot be used; the first few of them together.
    """
    rows = _read(uri, file)
    problems: list[str] = []
    files: dict[str, ImageFile] = {}
    for line, cells in rows:
        entry = _entry(file.parent, line, cells, problems)
        if entry is None:
            continue
        before = files.setdefault(entry.path, entry)
        if before is not entry:
            labels = f"{before.class_name!r} and {entry.class_name!r}"
            what = f"again, as {labels}" if before.class_name != entry.class_name else "again"
            hint = " (a task has one label for each image)" if before.class_name != entry.class_name else ""
            problems.append(f"line {line}: {entry.path!r} {what}{hint}. Keep one of them.")
    if not problems:
        problems += _split_problems(list(files.values()))
    if problems:
        shown = "".join(f"\n  - {problem}" for problem in problems[:_MAX_PROBLEMS])
        more = f"\n  - and {len(problems) - _MAX_PROBLEMS:,} more" if len(problems) > _MAX_PROBLEMS else ""
        raise DataError(f"{uri}: {file} has rows that cannot be used:{shown}{more}")
    if not files:
        raise DataError(f"{uri}: {file} has no rows. Expected path,label[,split] and a row for each image.")
    names = sorted({entry.class_name for entry in files.values()}, key=natural)
    if len(names) > MAX_CLASSES:
        raise DataError(f"{uri}: {file} has {len(names):,} labels, expected at most {MAX_CLASSES:,} classes.")
    has_splits = any(entry.split for entry in files.values())
    return Listing(file.parent, tuple(files.values()), tuple(names), has_splits)


def _read(uri: str, file: Path) -> list[tuple[int, dict[str, str]]]:
    """The rows, each with its line number and its cells by column."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            stream.seek(0)
            reader = csv.reader(stream, strict=True, delimiter=_delimiter(first))
            header = [cell.strip().casefold() for cell in next(reader, [])]
            _check_columns(uri, file, header)
            rows: list[tuple[int, dict[str, str]]] = []
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) != len(header):
                    raise DataError(
                        f"{uri}: {file}, line {reader.line_num}: {len(cells)} cells, expected {len(header)} "
                        f"({','.join(header)}). A separator inside a cell needs quotes around the cell."
                    )
                if len(rows) == _MAX_ROWS:
                    raise DataError(f"{uri}: {file} has more than {_MAX_ROWS:,} rows.")
                rows.append((reader.line_num, dict(zip(header, (cell.strip() for cell in cells), strict=True))))
            return rows
    except UnicodeDecodeError as error:
        raise DataError(f"{uri}: {file} is no UTF-8 text ({error.reason}). Save it as CSV in UTF-8.") from error
    except csv.Error as error:
        raise DataError(f"{uri}: {file} is no CSV: {error}. Expected lines of path,label[,split].") from error
    except OSError as error:
        raise DataError(f"{uri}: {file} cannot be read: {error.strerror or error}.") from error


def _delimiter(header: str) -> str:
    """What stands between cells: spreadsheets write semicolons where commas are for decimals, and some write tabs."""
    return next((one for one in ",;\t" if one in header), ",")


def _check_columns(uri: str, file: Path, header: Sequence[str]) -> None:
    for name in ("path", "label"):
        if name not in header:
            near = nearest(name, header, listed="It has") if any(header) else "The file is empty."
            raise DataError(
                f"{uri}: {file} has no column {name!r}; its first line must name the columns path,label[,split]. {near}"
            )
    repeated = [name for name in _COLUMNS if header.count(name) > 1]
    if repeated:
        raise DataError(f"{uri}: {file} has the column {repeated[0]!r} {header.count(repeated[0])} times.")


def _entry(folder: Path, line: int, cells: dict[str, str], problems: list[str]) -> ImageFile | None:
    """The file of a row; None if the row cannot be used, and why is added to the problems."""
    before = len(problems)
    given = cells["path"]
    if not given:
        problems.append(f"line {line}: the path is blank.")
    if not cells["label"]:
        problems.append(f"line {line}: the label of {given!r} is blank.")
    split: SplitName | None = None
    if name := cells.get("split", ""):
        split = split_named(name)
        if split is None:
            problems.append(f"line {line}: there is no split {name!r}. {nearest(name.casefold(), known_splits())}")
    path = _inside(_relative(given, folder))
    if path is None:
        problems.append(f"line {line}: {given!r} leads out of the folder. Give a path below {folder}.")
    elif given and not _is_file(folder / path):
        path = _otherwise_encoded(folder, path)
        if path is None:
            missing = folder / str(_inside(_relative(given, folder)))
            hint = _nearest_file(missing) if len(problems) < _MAX_PROBLEMS else ""  # it takes long, and is not shown
            problems.append(f"line {line}: there is no file {missing}. {hint}".rstrip())
    # Normal forms, as of folders that are classes: else two classes could print alike.
    label = unicodedata.normalize("NFC", cells["label"])
    return ImageFile(str(path), label, split) if len(problems) == before else None


def _relative(given: str, folder: Path) -> str:
    """A path as it is from the folder, if it is an absolute one of something inside."""
    for place in (folder, folder.absolute(), folder.resolve()):
        if given.startswith(f"{place}/"):
            return given.removeprefix(f"{place}/")
    return given


def _otherwise_encoded(folder: Path, path: PurePosixPath) -> PurePosixPath | None:
    """The path of a file whose name has other bytes for the same letters: e with an accent, or e and an accent."""
    for form in _FORMS:
        found = PurePosixPath(unicodedata.normalize(form, str(path)))
        if _is_file(folder / found):
            return found
    return None


def _inside(given: str) -> PurePosixPath | None:
    """The path without `.` and `..`; None if it leads out of the folder that it is relative to."""
    parts: list[str] = []
    for part in given.replace("\\", "/").split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return None if given.startswith(("/", "\\")) else PurePosixPath(*parts)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long; a name with a zero byte
        return False


def _nearest_file(path: Path) -> str:
    try:
        siblings = [entry.name for entry in _siblings(path)]
    except (OSError, ValueError):
        siblings = []
    return nearest(path.name, siblings) if siblings else ""


def _siblings(path: Path) -> Iterator[Path]:
    for count, entry in enumerate(path.parent.iterdir()):
        if count == 10_000:  # a hint is not worth more
            return
        yield entry


def _split_problems(files: Sequence[ImageFile]) -> list[str]:
    """Where some rows have a split, all must; and some must train."""
    without = [entry.path for entry in files if entry.split is None]
    if without and len(without) < len(files):
        return [f"{len(without):,} rows have no split, e.g. that of {without[0]!r}, and others have. Give all or none."]
    if files and not without and not any(entry.split == "train" for entry in files):
        return ["no row has the split train."]
    return []
