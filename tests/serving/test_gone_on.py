"""A run that goes on beneath whoever reads it removes components: that is said or followed, never taken for damage."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image

import munet
from munet.cli.main import main
from munet.errors import GoneOnError
from munet.serving.device_components import DeviceComponents
from munet.system import view
from munet.types import Position
from tests.report.stored_run import write_run

PIXELS = np.zeros((1, 8, 8, 3), np.uint8)


@pytest.fixture
def held(tmp_path: Path) -> munet.System:
    """A system that was opened before a phase closed, which has replaced the model of `task0` and removed its head."""
    run, late = tmp_path / "run", tmp_path / "late"
    for place, until in ((run, Position(1, 0, 1)), (late, Position(1, 1, 1))):
        write_run(place, until=until, seed=2, num_blocks=1)
    opened = munet.open(str(run))
    shutil.copytree(late, run, dirs_exist_ok=True)
    now = munet.open(str(run))
    gone = {*opened.models["task0"].components.values()} - {*now.state.components}
    assert gone, "the case is not in this run: change its seed"
    for identity in gone:
        (run / "components" / f"{identity}.safetensors").unlink()
    return opened


@pytest.mark.parametrize(
    "read",
    [
        lambda system, place: system.predict("task0", PIXELS),
        lambda system, place: system.predict_all(PIXELS),
        lambda system, place: system.predict_mixed(PIXELS, ["task0"]),
        lambda system, place: system.export("task0", place / "exported"),
    ],
)
def test_who_holds_a_system_is_told(
    read: Callable[[munet.System, Path], object], held: munet.System, tmp_path: Path
) -> None:
    with pytest.raises(GoneOnError, match=r"has gone on since .*another model of 'task0'.*Open it again"):
        read(held, tmp_path)


def test_commands_go_on_with_the_run_as_it_is(held: munet.System, tmp_path: Path) -> None:
    Image.fromarray(PIXELS[0]).save(tmp_path / "image.png")
    at = f"--workdir={held.workdir}"
    with mock.patch.object(munet, "open", side_effect=[held, munet.open(held.workdir)]):
        assert main(["predict", at, "--task=task0", "--cache_dir=off", str(tmp_path / "image.png")]) == 0
    with mock.patch.object(view, "open", side_effect=[held, view.open(held.workdir)]):
        assert main(["export", at, "--task=task0", f"--output={tmp_path / 'exported'}"]) == 0


def test_a_server_goes_on_with_the_run_as_it_is(held: munet.System) -> None:
    pytest.importorskip("fastapi", reason="`munet serve` needs the extra serve")
    from munet.server import service
    from munet.server.limits import Limits
    from munet.server.models import Models, open_tasks

    with pytest.raises(GoneOnError):
        Models.load(held, ("task0",), DeviceComponents(held.store.components))
    serves = service.Service(service.Serving(held.workdir), Limits(), lambda _: None)
    with (
        mock.patch.object(service, "open_tasks", side_effect=[(held, ("task0",)), open_tasks(held.workdir, ())]),
        mock.patch.object(Models, "warm_up"),
    ):
        serves._load()
    assert serves.failure is None
    assert serves.ready_models().broken == {}
    serves.close()
