"""`dna:` tasks: both forms of file, splits in order, and what is refused with which words."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from munet.data import dna
from munet.data.notation import describe_split
from munet.data.open_settings import OpenSettings
from munet.data.tasks import Task, load_tasks, open_task
from munet.errors import DataError
from tests.data import dna_files
from tests.data.dna_files import write, write_windows

VALUES = OpenSettings(objectives=("value",))


def parts(task: Task) -> dict[str, Any]:
    with task.testing():
        return {name: task.split(name) for name in ("train", "validation", "test")}  # type: ignore[arg-type]  # names


def test_windows_are_cut_around_their_positions(tmp_path: Path) -> None:
    found = dna_files.arrays()
    task = open_task(write(tmp_path / "own.npz") + "?length=5", VALUES)
    assert (task.info.name, task.info.objective, task.info.num_classes) == ("own", "value", 0)
    windows = np.concatenate([part.decoded for part in parts(task).values()])
    assert windows.dtype == np.uint8
    assert windows.shape == (100, 5)
    padded = np.concatenate([[0, 0], found["sequence"], [0, 0]])
    wanted = [[padded[at + 2 + offset] for offset in range(-2, 3)] for at in found["positions"]]
    np.testing.assert_array_equal(windows, wanted)
    np.testing.assert_array_equal(windows[:, 2], found["sequence"][found["positions"]])
    assert any("over an end of the sequence, where letters are N" in note for note in task.notes)
    whole = open_task(f"dna:{tmp_path}/own.npz", VALUES)
    assert whole.split("train").decoded.shape == (90, 201)
    assert whole.info.fingerprint != task.info.fingerprint


def test_windows_may_be_whole(tmp_path: Path) -> None:
    uri = write_windows(tmp_path / "own.npz")
    task = open_task(uri, VALUES)
    with np.load(tmp_path / "own.npz") as file:
        np.testing.assert_array_equal(np.concatenate([part.decoded for part in parts(task).values()]), file["windows"])
        np.testing.assert_array_equal(np.concatenate([part.labels for part in parts(task).values()]), file["targets"])
        windows, targets = np.asfortranarray(file["windows"]), file["targets"].astype(">f8")
    np.savez_compressed(tmp_path / "two.npz", windows=windows, targets=targets)
    assert open_task(f"dna:{tmp_path}/two.npz", VALUES).info.fingerprint == task.info.fingerprint


def test_the_last_windows_in_the_files_order_are_split_off(tmp_path: Path) -> None:
    found = dna_files.arrays()
    task = open_task(write(tmp_path / "own.npz"), VALUES)
    assert (task.info.num_train, task.info.num_validation, task.info.num_test) == (90, 5, 5)
    np.testing.assert_array_equal(np.concatenate([part.labels for part in parts(task).values()]), found["targets"])


@pytest.mark.parametrize(
    ("given", "sizes"),
    [(("validation",), (95, 7, 5)), (("test",), (95, 5, 7)), (("validation", "test"), (100, 7, 7))],
)
def test_splits_of_the_file_are_taken(tmp_path: Path, given: tuple[str, ...], sizes: tuple[int, ...]) -> None:
    own = dna_files.arrays(count=7, seed=3)
    changes = {f"{name}_{kind}": own[kind] for name in given for kind in ("positions", "targets")}
    task = open_task(write(tmp_path / "own.npz", **changes), VALUES)
    assert (task.info.num_train, task.info.num_validation, task.info.num_test) == sizes
    found = parts(task)
    assert all(np.array_equal(found[name].labels, own["targets"]) for name in given)
    np.testing.assert_array_equal(found["train"].labels, dna_files.arrays()["targets"][: sizes[0]])
    windows = np.ones((4, 31), np.uint8)
    changes = {
        f"{name}_{kind}": array for name in given for kind, array in (("windows", windows), ("targets", np.ones(4)))
    }
    whole = parts(open_task(write_windows(tmp_path / "whole.npz", **changes), VALUES))
    assert all(np.array_equal(whole[name].decoded, windows) for name in given)


def test_it_is_said_where_windows_of_splits_overlap(tmp_path: Path) -> None:
    in_order = dna_files.arrays(count=10_000, letters=12_000)
    said = open_task(write(tmp_path / "a.npz", **in_order) + "?length=9", VALUES).notes
    assert not any("share letters" in note for note in said)
    drawn = np.random.default_rng(0).permutation(in_order["positions"])
    said = open_task(write(tmp_path / "b.npz", **in_order | {"positions": drawn}) + "?length=9", VALUES).notes
    told = (
        "500 of 500 validation windows (100%) share letters with training windows, so they say little of other places: "
    )
    assert any(note.startswith(f"{told}store positions in order, or splits that") for note in said)
    few = dna_files.arrays(count=100, letters=120)  # in order already
    said = open_task(write(tmp_path / "few.npz", **few) + "?length=9", VALUES).notes
    assert any(note.endswith("of other places: store splits that lie apart.") for note in said)
    apart = in_order | {"positions": drawn * 10, "sequence": np.ones(120_000, np.uint8)}
    said = open_task(write(tmp_path / "c.npz", **apart) + "?length=9", VALUES).notes
    assert not any("share letters" in note for note in said)


def test_targets_of_other_types_become_float32(tmp_path: Path) -> None:
    task = open_task(write(tmp_path / "own.npz", targets=np.arange(100, dtype=">i2")), VALUES)
    assert task.split("train").labels.dtype == np.float32
    assert task.split("train").labels[-1] == 89


def test_who_needs_classes_refuses_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no classes, but a value for each example. `munet train --config=muir"):
        open_task(write(tmp_path / "own.npz"), OpenSettings())


NOT_FINITE = np.where(np.arange(100) == 7, np.inf, 1.5)
TOO_LARGE = np.where(np.arange(100) == 7, 1e60, 1.5)
LETTERS = np.array(list("ACGT" * 30))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"targets": None}, "no array 'targets'"),
        ({"targets": None, "target": np.ones(100)}, "no array 'targets'. Did you mean 'target'"),
        ({"positions": None}, "no array 'positions'"),
        ({"sequence": None}, "neither an array 'windows' nor 'sequence'. It has: positions, targets.*savez"),
        ({"windows": np.ones((100, 31), np.uint8)}, "both windows and a sequence"),
        ({"validation_positions": np.arange(5)}, "no array 'validation_targets'"),
        ({"test_targets": np.arange(5)}, "no array 'test_positions'"),
        ({"test_windows": np.ones((5, 31), np.uint8)}, "'test_windows' beside a sequence: give 'test_positions'"),
        ({"sequence": LETTERS}, r"as letters \(<U1\); expected uint8 numbers 0 to 4.*codes\["),
        ({"sequence": LETTERS.astype("S1")}, r"as letters \(\|S1\).*codes\["),
        ({"sequence": np.array(b"ACGT" * 30)}, r"as letters \(\|S120\).*codes\["),
        (
            {"sequence": LETTERS.astype("S1").view(np.uint8)},
            r"number 84 in sequence at \[3\].*are letters.*codes\[",
        ),
        ({"sequence": np.arange(130, dtype=np.uint8) // 20}, r"the number 6 in sequence at \[120\]; expected 0 to 4"),
        ({"sequence": np.ones(130, int)}, r"sequence as int64; expected uint8.*sequence\.astype\(numpy\.uint8\)"),
        ({"sequence": np.ones((130, 1), np.uint8)}, r"shape \[130, 1\]; expected \(letters\)"),
        ({"sequence": np.ones(0, np.uint8)}, "it is empty"),
        ({"positions": np.arange(100.0)}, "positions as float64; expected integers"),
        ({"positions": np.arange(99)}, "99 positions and 100 targets"),
        ({"positions": np.arange(100) + 31}, "outside of the sequence: 130 at 99; expected 0 to 129"),
        ({"positions": np.arange(100) - 1}, "outside of the sequence: -1 at 0"),
        ({"positions": np.full(100, 1 << 63, np.uint64)}, "outside of the sequence: 9223372036854775808 at 0"),
        ({"targets": NOT_FINITE}, r"not finite as float32: inf at 7 \(1 such\)"),
        ({"targets": TOO_LARGE}, "not finite as float32: 1e\\+60 at 7"),
        ({"targets": np.full(100, 2.5)}, "90 training targets that are all 2.5"),
        ({"targets": np.array(["a"] * 100)}, "targets as <U1; expected numbers"),
        ({"targets": np.array([{}] * 100)}, "pickled Python objects"),
        ({"positions": np.arange(19), "targets": np.arange(19)}, "19 windows, too few.*validation_positions"),
    ],
)
def test_what_cannot_be_used_says_so(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        open_task(write(tmp_path / "own.npz", **changes), VALUES)


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("sequence", LETTERS),
        ("sequence", LETTERS.astype("S1")),
        ("sequence", np.array("ACGT" * 30)),
        ("sequence", np.array(b"ACGT" * 30)),
        ("sequence", LETTERS.astype("S1").view(np.uint8)),
        ("windows", LETTERS.reshape(4, 30)),
        ("windows", np.array(["".join(row) for row in LETTERS.reshape(4, 30)])),
        ("windows", LETTERS.reshape(4, 30).astype("S1").view(np.uint8)),
    ],
    ids=["U1", "S1", "str", "bytes", "ascii", "windows U1", "windows U30", "windows ascii"],
)
def test_the_conversion_that_is_told_makes_the_numbers(tmp_path: Path, name: str, letters: np.ndarray) -> None:
    make = write if name == "sequence" else write_windows
    targets = {"targets": np.ones(len(letters))} if name == "windows" else {}
    with pytest.raises(DataError) as refused:
        open_task(make(tmp_path / "own.npz", **{name: letters, **targets}), VALUES)
    statements = str(refused.value).partition("To convert them: ")[2].rstrip(".").split("; ")
    scope = {"numpy": np, name: letters}
    exec("; ".join([*statements[:-1], f"found = {statements[-1]}"]), scope)
    np.testing.assert_array_equal(
        scope["found"], np.tile([1, 2, 3, 4], 30).reshape((120,) if name == "sequence" else (4, 30))
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"windows": np.full((100, 31), 5, np.uint8)},
            r"number 5 in windows at \[0, 0\]; expected 0 to 4 for N, A",
        ),
        ({"windows": np.ones(100, np.uint8)}, r"windows of shape \[100\]; expected \(n, length\)"),
        ({"windows": np.ones((99, 31), np.uint8)}, "99 windows and 100 targets: every window needs one"),
        ({"test_windows": np.ones((9, 30), np.uint8), "test_targets": np.ones(9)}, "31 letters and test_windows of 30"),
        ({"test_windows": np.ones((0, 31), np.uint8), "test_targets": np.ones(0)}, "test_windows of shape .*is empty"),
        ({"test_positions": np.ones(9)}, "'test_positions' beside windows: give 'test_windows' and 'test_targets'"),
    ],
)
def test_windows_that_cannot_be_used_say_so(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        open_task(write_windows(tmp_path / "own.npz", **changes), VALUES)


def test_files_and_options_that_cannot_be_used_are_named_all_together(tmp_path: Path) -> None:
    uri, whole = write(tmp_path / "own.npz"), write_windows(tmp_path / "whole.npz")
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 and no more")
    wrong = {
        f"dna:{tmp_path}/ow.npz": r"no file .*ow\.npz\. Did you mean 'own.npz' or .*\? Expected numpy.savez",
        f"dna:{tmp_path}/broken.npz": "cannot be read as npz",
        f"a={uri}?length=200": r"length=200: expected an odd number.* Use 199 or 201",
        f"b={uri}?length=0": "length=0: expected an odd number from 1 to",
        f"c={uri}?length=many": "length=many: expected an odd number",
        f"d={uri}?length=201&rows=2": "no option 'rows'. Valid: length",
        f"f={uri}?lenght=201": "a dna task has no option 'lenght'. Did you mean 'length'",
        f"e={whole}?length=31": "whole windows, of 31 letters: leave out length=",
    }
    for one, message in wrong.items():
        with pytest.raises(DataError, match=message):
            open_task(one, VALUES)
    with pytest.raises(DataError, match=f"{len(wrong)} of {len(wrong)} tasks"):
        load_tasks(list(wrong), VALUES)


def test_what_does_not_fit_the_memory_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, whole = write(tmp_path / "own.npz"), write_windows(tmp_path / "whole.npz")
    needed = 130 + 100 * 8 + 100 * 4 + 100 * 201
    monkeypatch.setattr(dna, "host_memory", lambda: 3 * needed + 3)
    open_task(uri, VALUES)
    monkeypatch.setattr(dna, "host_memory", lambda: 3 * needed - 3)
    monkeypatch.setattr("munet.npz_arrays.read", lambda *_: pytest.fail("it was read"))
    with pytest.raises(DataError, match=r"100 windows of 201 letters, which take 21 KiB .* a third .*\(\?length=\)"):
        open_task(uri, VALUES)
    monkeypatch.setattr(dna, "host_memory", lambda: 3 * (100 * 31 + 400) - 3)
    with pytest.raises(DataError, match="100 windows of 31 letters"):
        open_task(whole, VALUES)


def test_an_array_that_only_claims_to_be_large_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "own.npz")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**12,)})
    with zipfile.ZipFile(tmp_path / "own.npz") as source, zipfile.ZipFile(tmp_path / "large.npz", "w") as target:
        for name in source.namelist():
            target.writestr(name, header.getvalue() if name == "sequence.npy" else source.read(name))
    with pytest.raises(DataError, match="sequence should have 1,000,000,000,000 bytes by its header, the file holds 0"):
        open_task(f"dna:{tmp_path}/large.npz", VALUES)


def test_large_sets_say_what_they_take_and_other_arrays_that_they_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = write(tmp_path / "own.npz", valid_targets=np.ones(3))
    (note,) = [one for one in open_task(uri, VALUES).notes if "Not used" in one]
    assert note.endswith(": valid_targets.")
    monkeypatch.setattr(dna, "_LARGE", 100 * 201)
    assert "100 windows of 201 letters take 20 KiB of this machine's memory" in open_task(uri, VALUES).notes[0]


def test_tables_say_which_splits_they_are() -> None:
    assert describe_split("dna:a.npz") == "the file's, else 90/5/5 in its order"
    assert describe_split("dna:a.npz?length=101") == "the file's, else 90/5/5 in its order; length=101"
