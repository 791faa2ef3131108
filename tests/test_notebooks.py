"""The notebooks in docs/: their cells run one after the other, and the outputs they are shown with are whole."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from munet import api

NOTEBOOKS = sorted((Path(__file__).parents[1] / "docs" / "notebooks").glob("*.ipynb"))


def code_cells(notebook: Path) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]


def run_cell(source: str, names: dict[str, Any]) -> Any:
    """Runs a cell as a notebook does; gives the value of its last expression, if it ends in one."""
    body = ast.parse(source).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if isinstance(last, ast.Expr) else None


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.parametrize(
    "budget",
    [
        # Most of the time goes to compiling programs: one generation has few.
        pytest.param({"num_generations": 1, "cycles_per_child": 1}, id="smallest"),
        pytest.param({}, id="whole", marks=pytest.mark.slow),
    ],
)
def test_cells_run_and_show_what_is_shown(
    notebook: Path,
    budget: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    evolve = api.evolve
    monkeypatch.setattr(api, "evolve", lambda *given, **named: evolve(*given, **{**named, **budget}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MUNET_CACHE_DIR", str(tmp_path / "cache"))
    names: dict[str, Any] = {}
    for cell in code_cells(notebook):
        value = run_cell("".join(cell["source"]), names)
        printed = capsys.readouterr().out
        kinds = {output["output_type"] for output in cell["outputs"]}
        assert ("execute_result" in kinds) == (value is not None), cell["source"]
        assert ("stream" in kinds) == bool(printed), cell["source"]
        for output in cell["outputs"]:
            for kind in output.get("data", {}):
                method = {"text/html": "_repr_html_", "image/svg+xml": "_repr_svg_", "text/plain": "__repr__"}[kind]
                assert getattr(value, method)()


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_outputs_hold_no_errors_warnings_or_places_of_a_machine(notebook: Path) -> None:
    for cell in code_cells(notebook):
        assert cell["outputs"], f"not executed: {cell['source']}"
        for output in cell["outputs"]:
            assert output["output_type"] in ("stream", "execute_result")
            assert output.get("name") != "stderr"
    for place in ("/root", "/tmp", "/Users"):
        assert place not in notebook.read_text()


def test_there_is_a_notebook() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["own_arrays"]
