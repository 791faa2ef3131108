"""What a server answers, over real connections."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import munet
from tests.server.running import HOSTILE, TASKS, Running, png

NAMES = [task.name for task in TASKS]


def expected(stored: Path, task: str, image: bytes, top: int = 3) -> list[dict[str, Any]]:
    return [
        {"class": label, "probability": pytest.approx(share, abs=2e-6)}
        for label, share in munet.open(str(stored)).predict(task, image).top(top)[0]
    ]


@pytest.mark.parametrize("way", ["multipart", "raw", "base64"])
@pytest.mark.parametrize("task", NAMES)
def test_answers_are_those_of_predict(way: str, task: str, server: Running, stored: Path) -> None:
    images = [png(seed=1), png(seed=2, format="JPEG")][: 1 if way == "raw" else 2]
    ways: dict[str, dict[str, Any]] = {
        "multipart": {"files": [("images", (f"{n}.png", image)) for n, image in enumerate(images)]},
        "raw": {"content": images[0], "headers": {"content-type": "image/png"}},
        "base64": {"json": {"images": [base64.b64encode(image).decode() for image in images]}},
    }
    place = f"v1/tasks/{quote(task)}/predict"  # a slash stays one
    response = server.client.post(place, params={"top": 2}, **ways[way])
    assert response.status_code == 200, response.text
    found = response.json()["predictions"]
    names = [f"{n}.png" if way == "multipart" else str(n) for n in range(len(images))]
    assert [one["image"] for one in found] == names
    for one, image in zip(found, images, strict=True):
        assert one["top"] == expected(stored, task, image, 2)
        assert (one["task"], one["model"]) == (task, munet.open(str(stored)).models[task].id)


def test_all_tasks_or_some_answer_at_once(server: Running, stored: Path) -> None:
    image = png(seed=3, shape=(50, 40, 4))
    (found,) = server.client.post("v1/predict", content=image).json()["predictions"]
    assert [answer["task"] for answer in found["tasks"]] == NAMES
    assert [answer["top"] for answer in found["tasks"]] == [expected(stored, task, image) for task in NAMES]
    some = server.client.post("v1/predict", params={"tasks": NAMES[1:]}, content=image).json()["predictions"]
    assert [answer["task"] for answer in some[0]["tasks"]] == NAMES[1:]


def test_a_slash_in_a_name_may_be_encoded(server: Running) -> None:
    place = f"v1/tasks/{quote('a/b predict', safe='')}/predict"
    assert server.client.post(place, content=png()).status_code == 200


def test_all_classes_can_be_asked_for(server: Running) -> None:
    (one,) = server.client.post("v1/tasks/many/predict?top=2000", content=png()).json()["predictions"]
    assert len(one["top"]) == 1623
    assert sum(candidate["probability"] for candidate in one["top"]) == pytest.approx(1, abs=1e-2)


def test_tasks_are_described(server: Running, stored: Path) -> None:
    found = {task["name"]: task for task in server.client.get("v1/tasks").json()["tasks"]}
    assert list(found) == NAMES
    assert found["a/b predict"]["classes"] == ["x", HOSTILE, "y", "z"]
    task, system = found["plain"], munet.open(str(stored))
    assert task["model"] == system.models["plain"].id
    low, high = task["test_accuracy_interval"]
    assert low < task["test_accuracy"] == system.last_phase("plain").test_quality.accuracy < high


def test_the_page_asks_nothing_of_other_places(server: Running) -> None:
    response = server.client.get("")
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "http:" not in response.text.replace("http://www.w3.org", "")
    assert "https:" not in response.text
    assert "innerHTML" not in response.text
    assert HOSTILE not in response.text


def test_it_describes_itself(server: Running) -> None:
    found = server.client.get("openapi.json").json()
    assert found["paths"].keys() >= {"/v1/predict", "/v1/tasks/{task}/predict", "/v1/tasks", "/readyz", "/metrics"}
    assert server.client.get("docs").status_code == 404
    assert server.client.get("healthz").json() == {"status": "ok"}


def test_numbers_are_counted(server: Running) -> None:
    def number(name: str) -> float:
        lines = server.client.get("metrics").text.splitlines()
        return float(next((line.split()[-1] for line in lines if line.startswith(name)), 0))

    before = number('munet_images_total{task="plain"}')
    server.client.post("v1/tasks/plain/predict", files=[("images", png()), ("images", png())])
    assert number('munet_images_total{task="plain"}') == before + 2
    assert number('munet_requests_total{code="200",endpoint="/v1/tasks/{task:path}/predict"}') > 0
    assert number("munet_ready") == 1
