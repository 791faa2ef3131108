"""The results of `gpu.sh` and `tpu.sh` as rows for docs/performance.md.

    python -m benchmarks.rows gpu_benchmarks.jsonl [tpu_benchmarks.jsonl ...]

Prints a table in Markdown: a row for each part, with what it found, how long it took, and its command. Of a part that
was run more than once in a file the last one counts.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from munet.errors import UserError
from munet.text import byte_size, duration, markdown_table

Result = Mapping[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table of one or more files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", type=Path)
    options = parser.parse_args(arguments)
    body = [row for path in options.results for row in rows(path)]
    print(markdown_table(["device", "part", "found", "took", "command"], body))


def rows(path: Path) -> Iterator[list[str]]:
    """A row for each part of a file, in the order in which they were run.

    Raises:
      UserError: a line is none of these scripts'.
    """
    parts: dict[str, Result] = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            one = json.loads(line)
            parts.pop(one["part"], None)
            parts[one["part"]] = one
            _ = one["command"], one["seconds"], one["exit"], one["result"]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}, line {number} is no result of gpu.sh or tpu.sh: {error}.") from error
    device = next((name for part in parts.values() if (name := _device(part["result"]))), path.stem)
    for name, part in parts.items():
        command = part["command"].removeprefix("benchmarks/")
        yield [device, name, _found(name, part), duration(part["seconds"]), f"`{command}`"]


def _device(result: object) -> str:
    """The kind of device that a result names, wherever it does."""
    if isinstance(result, Mapping):
        found = result.get("device")
        if isinstance(found, Mapping):
            return str(found.get("kind", ""))
        return found if isinstance(found, str) else ""
    return next(filter(None, map(_device, result)), "") if isinstance(result, list) else ""


def _found(name: str, part: Result) -> str:
    """What a part found, in a few words; of one without words of its own its numbers as they are."""
    if part["result"] is None:
        return f"failed (exit code {part['exit']})"
    words = _WORDS.get(name)
    try:
        text = words(part["result"]) if words else ""
    except (KeyError, TypeError, IndexError, ValueError):  # of another version of the benchmark
        text = ""
    text = text or json.dumps(part["result"])[:200].replace("|", "/")
    return text if not part["exit"] else f"{text} (exit code {part['exit']})"


def _right(result: Result) -> str:
    steps = ", ".join(f"{dtype} {one['difference']:.1e} of {one['limit']:g}" for dtype, one in result["steps"].items())
    repeat = "bit for bit" if result["repeat"]["right"] else "NOT bit for bit"
    return f"{'right' if result['right'] else 'WRONG'}: steps off by {steps}; a generation repeats {repeat}"


def _facts(result: Result) -> str:
    memory, step, compilation, transfer = (result[name] for name in ("memory", "step", "compile", "transfer"))
    limit = byte_size(memory["limit"]) if memory["limit"] else "unknown memory"
    return "; ".join(
        [
            f"{result['devices']} devices of {limit}",
            f"step {step['seconds'] * 1e3:.1f} ms (model: {step['expected'] * 1e3:.1f})",
            f"compiled in {compilation['seconds']:.0f} s (model: {compilation['expected']:.0f})",
            f"{transfer['to']:.1f} GB/s there, {transfer['back']:.1f} back",
            f"{transfer['dispatch_seconds'] * 1e6:.0f} µs a dispatch",
        ]
    )


_WORDS: dict[str, Callable[[Any], str]] = {"right": _right, "facts": _facts}

if __name__ == "__main__":
    main()
