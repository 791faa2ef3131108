"""The files of a task's test split, sent over HTTP, give the journal's test counts and confusions exactly."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from munet.serving.device_components import DeviceComponents
from munet.training.measure.evaluation import count


def test_files_of_the_test_split_give_the_counts_of_the_journal(folder_run: Path) -> None:
    why = "of the extra `serve`, and of what tests it"
    httpx = pytest.importorskip("httpx", reason=why)
    for package in ("fastapi", "prometheus_client", "python_multipart"):
        pytest.importorskip(package, reason=why)
    from munet.server.app import make_app
    from munet.server.limits import Limits
    from munet.server.models import Models, open_tasks
    from munet.server.service import Service, Serving

    system, tasks = open_tasks(str(folder_run), ())
    service = Service(Serving(str(folder_run)), Limits(), print)
    service.take_up(Models.load(system, tasks, DeviceComponents(system.store.components)))
    files = sorted((folder_run.parent / "photos" / "test").glob("*/*"))

    async def ask_all() -> list[str]:
        transport = httpx.ASGITransport(make_app(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            sent = [{"files": {"images": (file.name, file.read_bytes())}} for file in files]
            answers = await asyncio.gather(*(client.post("/v1/tasks/photos/predict?top=1", **one) for one in sent))
        return [answer.json()["predictions"][0]["top"][0]["class"] for answer in answers]

    names = list(system.task("photos").class_names)
    predicted = np.array([names.index(name) for name in asyncio.run(ask_all())])
    service.close()
    labels = np.array([names.index(file.parent.name) for file in files])
    measured = count(predicted, labels, num_classes=len(names), metric="accuracy")
    recorded = system.last_phase("photos")
    assert measured.correct_per_class == recorded.test_correct_per_class
    assert measured.counted_per_class == recorded.test_counted_per_class
    assert measured.confusions == recorded.test_confusions
