"""What is refused or answered before any model is asked: the application alone, without a process or a run."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from PIL import PngImagePlugin

from munet.errors import UserError
from munet.server import command
from munet.server.app import make_app
from munet.server.bodies import Upload
from munet.server.limits import Limits
from munet.server.models import Models, check_size
from munet.server.service import Service, Serving
from munet.serving.device_components import DeviceComponents
from munet.system import view
from munet.threads import num_cores
from tests.server.running import png
from tests.server.test_bad_input import bomb


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service(Serving("nowhere"), Limits(), print)
    yield made
    made.close()


def ask(app: FastAPI, method: str, path: str, **request: Any) -> httpx.Response:
    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.request(method, path, **request)

    return asyncio.run(asked())


@pytest.mark.parametrize(
    ("method", "path", "text"),
    [
        ("POST", "/v1/predict?tpo=3", "/v1/predict has no parameter 'tpo'. Did you mean 'top'?"),
        ("POST", "/v1/predict?task=a&top=1", "no parameter 'task'. Did you mean 'tasks'?"),
        ("POST", "/v1/tasks/a/predict?tasks=b", "no parameter 'tasks'. Valid: top."),
        ("POST", "/v1/predict?" + 300 * "x", 200 * "x" + "'. Valid: tasks, top."),
        ("GET", "/v1/tasks?task=a", "/v1/tasks has no parameter 'task'. There is nothing to choose from."),
        ("POST", "/v1/predict?top=0", "?top=0: input should be greater than or equal to 1."),
        ("POST", "/v1/tasks/a/predict?top=many", "?top=many: input should be a valid integer"),
    ],
)
def test_parameters_are_answered_with_one_sentence(method: str, path: str, text: str, service: Service) -> None:
    response = ask(make_app(service), method, path)
    assert response.status_code == 422
    assert text in response.json()["detail"]


def test_several_tasks_are_a_parameter_each(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line has `--tasks=A,B`."""
    monkeypatch.setattr(Service, "ready_models", lambda _: SimpleNamespace(tasks=("a", "b"), broken={}))
    response = ask(make_app(service), "POST", "/v1/predict?tasks=a,b", content=b"x")
    assert response.status_code == 404
    assert "There is no task 'a,b' here. Several are a parameter each: ?tasks=a&tasks=b." in response.json()["detail"]


def test_whoever_has_no_token_learns_nothing_of_parameters(service: Service) -> None:
    assert ask(make_app(service, (b"secret",)), "POST", "/v1/predict?tpo=3").status_code == 401


def test_a_slash_too_many_is_no_redirection(service: Service) -> None:
    """Behind a proxy it would lead from https to http, and take the token and the images along."""
    response = ask(make_app(service), "POST", "/v1/predict/")
    assert response.status_code == 404
    assert "Did you mean 'POST /v1/predict'" in response.json()["detail"]


def test_names_that_are_no_utf_8_are_answered(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "described", lambda: [{"name": "\udcff"}])  # of a folder's name
    response = ask(make_app(service), "GET", "/v1/tasks")
    assert json.loads(response.content) == {"tasks": [{"name": "\udcff"}]}


def test_a_task_that_goes_while_its_images_come(service: Service, stored: Path) -> None:
    system = view.open(str(stored))
    components = DeviceComponents(system.store.components)
    before, after = (Models.load(system, tasks, components) for tasks in (["many", "plain"], ["plain"]))
    service.take_up(before)

    async def body() -> AsyncIterator[bytes]:
        yield png()[:10]
        service.take_up(after)
        yield png()[10:]

    response = ask(make_app(service), "POST", "/v1/tasks/many/predict", content=body())
    assert response.status_code == 503
    assert "'many' is served no more" in response.json()["detail"]


def test_a_task_that_comes_back_while_its_images_wait(stored: Path) -> None:
    system = view.open(str(stored))
    components = DeviceComponents(system.store.components)
    before, after = (Models.load(system, tasks, components) for tasks in (["plain"], ["many", "plain"]))
    assert [list(found) for found in after.answer([before.read(png(), ["many"])])] == [[]]


@pytest.mark.parametrize(
    ("options", "held", "images"),
    [({}, 512 << 20, 64), ({"max_body_mb": 1024.0}, 1024 << 20, 64), ({"max_queue": 10}, 512 << 20, 10)],
)
def test_whatever_may_be_sent_has_room(options: dict[str, Any], held: int, images: int) -> None:
    """Else it would be told to try again, for ever."""
    limits = command.limits_of(command.Options("nowhere", **options))
    assert (limits.held_bytes, limits.images) == (held, images)


@pytest.mark.parametrize("name", ["max_body_mb", "max_megapixels", "body_seconds", "follow"])
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_an_option_that_is_no_number(name: str, value: float, stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_run", lambda *_: None)
    with pytest.raises(UserError, match=f"--{name}={value:g}: expected"):
        command.serve(command.Options(str(stored), port=0, **{name: value}))  # type: ignore[arg-type]


def test_the_pixels_of_a_png_are_counted_without_decoding_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow decodes a PNG as a whole where it is asked for its orientation."""

    data = png(shape=(30, 20, 4))
    decoded: list[Any] = []
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", lambda image: decoded.append(image))
    assert check_size(data, 1000) == 600
    assert check_size(b"no image", 1000) == 0
    assert check_size(bomb(), 1000) == 1001
    assert not decoded


def test_an_end_waits_for_no_image_that_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of requests that were cut off: some images are at work, one a thread, and others wait."""
    goes_on, read = threading.Event(), list[bytes]()

    class Slow:
        def read(self, data: bytes, tasks: object) -> bytes:
            del tasks
            goes_on.wait(20)
            read.append(data)
            return data

    service = Service(Serving("nowhere"), Limits(), print)
    monkeypatch.setattr(service, "ready_models", Slow)
    image = Upload("0", png(shape=(200, 200, 3)))

    async def cut_off() -> None:
        reading = [asyncio.create_task(service._read_in_time(image, ())) for _ in range(num_cores() + 3)]
        while service.decoding < num_cores():
            await asyncio.sleep(0.01)
        await asyncio.wait_for(asyncio.to_thread(service.close), 5)
        assert not read
        assert service.decoding == num_cores(), "which the command that ends the process asks"
        goes_on.set()
        ended = await asyncio.gather(*reading, return_exceptions=True)
        assert [isinstance(end, asyncio.CancelledError) for end in ended].count(True) == 3

    asyncio.run(cut_off())
    assert len(read) == num_cores()
    assert not service.decoding
