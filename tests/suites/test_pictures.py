from __future__ import annotations

import contextlib
from pathlib import Path

from munet.report.charts.chart import Chart
from munet.suites import pictures


class _Plain(Chart):
    """A figure that is there at once."""

    def svg(self) -> bytes:
        return b"<svg/>"


def _charts(*names: str) -> list[Chart]:
    return [_Plain(name, name, "", {}) for name in names]


def _names(workdir: Path) -> set[str]:
    return {path.name for path in (workdir / pictures.FIGURES).glob("*.svg")}


def test_only_what_was_drawn_is_removed_and_shown(tmp_path: Path) -> None:
    pictures.draw(str(tmp_path), _charts("figure_3", "figure_4"))
    (tmp_path / "figures" / "of_my_talk.svg").write_text("<svg>mine</svg>")
    pictures.draw(str(tmp_path), _charts("figure_3", "figure_5"))
    assert _names(tmp_path) == {"figure_3.svg", "figure_5.svg", "of_my_talk.svg"}
    assert pictures.drawn(str(tmp_path)) == {"figure_3": "figures/figure_3.svg", "figure_5": "figures/figure_5.svg"}
    pictures.draw(str(tmp_path), [])
    assert (tmp_path / "figures" / "of_my_talk.svg").read_text() == "<svg>mine</svg>"
    assert not pictures.drawn(str(tmp_path))


def test_of_a_folder_without_a_list_all_is_shown_and_nothing_removed(tmp_path: Path) -> None:
    """As older versions left it."""
    assert not pictures.drawn(str(tmp_path))
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "figure_4.svg").touch()
    assert pictures.drawn(str(tmp_path)) == {"figure_4": "figures/figure_4.svg"}
    pictures.draw(str(tmp_path), _charts("figure_3"))
    assert _names(tmp_path) == {"figure_3.svg", "figure_4.svg"}
    assert set(pictures.drawn(str(tmp_path))) == {"figure_3"}


def test_a_list_names_no_file_of_another_folder_or_kind(tmp_path: Path) -> None:
    pictures.draw(str(tmp_path), _charts("figure_3"))
    (tmp_path / "results.svg").touch()
    (tmp_path / "figures" / "notes.txt").touch()
    (tmp_path / "figures" / pictures.LIST).write_bytes(b"../results.svg\nnotes.txt\n\xff\nfigure_3.svg\n")
    pictures.draw(str(tmp_path), [])
    assert (tmp_path / "results.svg").exists()
    assert (tmp_path / "figures" / "notes.txt").exists()
    assert not _names(tmp_path)


def test_what_a_killed_drawing_left_is_known(tmp_path: Path) -> None:
    """The list names a figure before it is there."""

    class Failing(Chart):
        def svg(self) -> bytes:
            raise KeyboardInterrupt

    pictures.draw(str(tmp_path), _charts("figure_3"))
    with contextlib.suppress(KeyboardInterrupt):
        pictures.draw(str(tmp_path), [*_charts("figure_4"), Failing("figure_5", "", "", {})])
    pictures.draw(str(tmp_path), _charts("figure_5"))
    assert _names(tmp_path) == {"figure_5.svg"}
