"""`munet serve` from its options to its end."""

from __future__ import annotations

import asyncio
import concurrent.futures
import shutil
import socket
import threading
import time
from pathlib import Path
from unittest import mock

import httpx
import pytest

import munet
from munet.cli.main import main
from munet.server import command
from munet.server.app import make_app
from munet.server.limits import Limits
from munet.server.models import Models, open_tasks
from munet.server.service import Service, Serving
from munet.serving.device_components import DeviceComponents
from munet.types import Position
from tests.server import running
from tests.server.running import Running, png


def test_sixty_four_clients_get_their_own_answers(server: Running, stored: Path) -> None:
    images = [png(seed=seed) for seed in range(8)]
    system = munet.open(str(stored))
    expected = {task: [one[0][0] for one in system.predict(task, images).top(1)] for task in system.models}
    wrong: list[object] = []

    def client(number: int) -> None:
        with httpx.Client(timeout=60, verify=False) as session:
            for turn in range(4):
                place, task = (number + turn) % 8, list(expected)[(number + turn) % 3]
                found = session.post(f"{server.url}v1/tasks/{task}/predict?top=1", content=images[place])
                if (
                    found.status_code != 200
                    or found.json()["predictions"][0]["top"][0]["class"] != expected[task][place]
                ):
                    wrong.append((task, place, found.status_code, found.text))

    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        list(pool.map(client, range(64)))
    assert not wrong


def test_sigterm_under_load_loses_no_accepted_request(stored: Path) -> None:
    got, ended = [0], threading.Event()
    lock = threading.Lock()

    def client(url: str) -> None:
        with httpx.Client(timeout=60, verify=False) as session:
            while not ended.is_set():
                try:
                    code = session.post(f"{url}v1/predict", content=png()).status_code
                except httpx.TransportError:  # it takes no more
                    return
                assert code == 200
                with lock:
                    got[0] += 1

    with running.serving(stored, cache=stored.parent) as process:
        process.wait_until_ready()
        asked = process.client.get("metrics").text.splitlines()
        before = sum(float(line.split()[-1]) for line in asked if line.startswith("munet_requests_total"))
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            clients = [pool.submit(client, process.url) for _ in range(16)]
            while got[0] < 40:
                time.sleep(0.02)
            code, seconds = process.stop()
            ended.set()
            for one in clients:
                one.result()
    assert code == 0
    assert seconds < 10
    all_of_them = int(before) + 1 + got[0]
    assert f"Ended: {all_of_them:,} of {all_of_them:,} requests answered." in process.said[-1]


def test_newer_models_are_taken_up(stored: Path, tmp_path: Path) -> None:
    """The run goes on while the server answers: a task comes, another model replaces one."""
    workdir, later = tmp_path / "run", tmp_path / "later"
    for place, until in ((workdir, Position(0, 1, 0)), (later, None)):
        place.mkdir()
        running.write(place, until=until)
    with running.serving(workdir, "--follow=0.1", cache=stored.parent) as process:
        process.wait_until_ready()
        assert [task["name"] for task in process.client.get("v1/tasks").json()["tasks"]] == ["plain"]
        for name in ("components", "snapshots", "journal"):
            for file in sorted((later / name).iterdir()):
                if not (workdir / name / file.name).exists():
                    shutil.copy(file, workdir / name / file.name)
        models = munet.open(str(later)).models
        wanted = {task: model.id for task, model in models.items()}
        for _ in range(1200):
            found = {task["name"]: task["model"] for task in process.client.get("v1/tasks").json()["tasks"]}
            if found == wanted:
                break
            assert process.client.post("v1/tasks/plain/predict", content=png()).status_code == 200
            time.sleep(0.05)
        assert found == wanted
        assert process.client.post("v1/tasks/many/predict", content=png()).status_code == 200
        munet.forget(str(workdir), "plain")
        for _ in range(1200):
            if process.client.post("v1/tasks/plain/predict", content=png()).status_code == 404:
                break
            time.sleep(0.05)
        assert process.client.post("v1/tasks/plain/predict", content=png()).status_code == 404
        assert process.client.post("v1/tasks/many/predict", content=png()).status_code == 200
        assert process.stop()[0] == 0
    assert any("No longer served: plain." in line for line in process.said)


def test_a_damaged_component_takes_only_its_tasks_away(stored: Path, tmp_path: Path) -> None:
    workdir = tmp_path / "run"
    shutil.copytree(stored, workdir)
    head = munet.open(str(workdir)).models["plain"].components["head"]
    (workdir / "components" / f"{head}.safetensors").write_bytes(b"damaged")
    system, tasks = open_tasks(str(workdir), ())
    models = Models.load(system, tasks, DeviceComponents(system.store.components))
    assert (models.tasks, list(models.broken)) == (("a/b predict", "many"), ["plain"])
    service = Service(Serving(str(workdir)), Limits(), print)
    service.take_up(models)

    async def ask(path: str) -> httpx.Response:
        transport = httpx.ASGITransport(make_app(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post(path, content=png())

    refused = asyncio.run(ask("/v1/tasks/plain/predict"))
    assert (refused.status_code, head[:12] in refused.text) == (503, True)
    assert asyncio.run(ask("/v1/predict")).status_code == 200
    service.close()


def complaint(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["serve", *options]) == 2
    return capsys.readouterr().err


def test_a_port_that_is_taken(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        text = complaint(capsys, f"--workdir={stored}", f"--port={port}")
    assert f"--port={port}" in text
    assert "--port=0" in text


def test_a_package_that_is_missing(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with mock.patch.object(command, "find_spec", lambda name: None if name == "uvicorn" else mock.DEFAULT):
        text = complaint(capsys, f"--workdir={stored}")
    assert "munet serve needs uvicorn: pip install -e '.[serve]'" in text


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--tasks=plaim"], "Did you mean 'plain'"),
        (["--port=70000"], "expected 0 to 65535"),
        (["--max_batch=257"], "expected 1 to 256"),
        (["--max_images=0"], "expected a number of more than 0"),
        (["--follow=-1"], "expected seconds"),
        (["--host=no such host", "--port=0"], "--host=no such host"),
        (["--token_file=missing"], "--token_file=missing: cannot be read"),
        (["--workdir=missing"], "missing"),
    ],
)
def test_options_that_cannot_be_used(
    options: list[str], text: str, stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert text in complaint(capsys, f"--workdir={stored}", *options)


def test_a_run_without_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").mkdir()
    running.write(tmp_path / "run", until=Position(0, 0, 1))
    assert "has a model yet" in complaint(capsys, f"--workdir={tmp_path / 'run'}")
