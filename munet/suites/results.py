"""results.parquet: written whole or not at all, read strictly (docs/suite_results.md)."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from munet.errors import CorruptionError, WorkdirError
from munet.store.folders import open_folder
from munet.suites.rows import Row

FILE = "results.parquet"
FORMAT, FORMAT_VERSION = "munet-results", 2
_KIND_KEY, _VERSION_KEY = b"munet.format", b"munet.format_version"
_TYPES: dict[str, Any] = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
_ALIASES = {"TaskName": "str"}


def schema() -> Any:
    """Columns and types of the file, with the format version in its metadata."""
    columns = [pa.field(item.name, _TYPES[_kind(item)], nullable=False) for item in dataclasses.fields(Row)]
    return pa.schema(columns, metadata={_KIND_KEY: FORMAT, _VERSION_KEY: str(FORMAT_VERSION)})


def write(workdir: str, rows: Sequence[Row]) -> None:
    """Writes the rows, in their order, instead of those that are there.

    Raises:
      DiskFullError: the old file is still there.
    """
    table = pa.Table.from_pylist([dataclasses.asdict(row) for row in rows], schema())
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    open_folder(workdir).replace(FILE, buffer.getvalue())


def read(workdir: str) -> list[Row]:
    """The rows in a suite's directory; none if there is no file.

    Raises:
      WorkdirError: another format version.
      CorruptionError: it is damaged, or no file of munet's.
    """
    place = open_folder(workdir)
    if not place.exists(FILE):
        return []
    where = place.location(FILE)
    try:
        # Without threads of Arrow's: with them some processes abort at their very end (apache/arrow#34314).
        table = pq.ParquetFile(pa.BufferReader(place.read(FILE))).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise CorruptionError(
            f"{where} cannot be read ({error}): remove it, it is made again from the runs."
        ) from error
    metadata = table.schema.metadata or {}
    if metadata.get(_KIND_KEY) != FORMAT.encode():
        raise CorruptionError(f"{where} is not a file of munet's: move it away, or give another --workdir.")
    version = metadata.get(_VERSION_KEY, b"").decode()
    if version not in ("1", str(FORMAT_VERSION)):
        raise WorkdirError(
            f"{where} has format version {version}, this munet reads and writes version {FORMAT_VERSION}: use the "
            "munet that wrote it, or remove the file; it is made again from the runs."
        )
    expected = schema()
    if version == "1":  # written before there were kinds; the next `munet benchmark` makes it anew from the runs
        expected = expected.remove(expected.get_field_index("kind"))
    if not table.schema.equals(expected):
        raise CorruptionError(f"{where} has other columns than it should: remove it, it is made again from the runs.")
    return [Row(**values) for values in table.to_pylist()]


def _kind(item: dataclasses.Field[Any]) -> str:
    kind = str(item.type)  # a name: annotations are not evaluated
    return _ALIASES.get(kind, kind)
