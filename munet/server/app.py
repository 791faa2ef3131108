"""The endpoints: what they take and give. Names of tasks may hold slashes and whatever else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse

from munet import __version__
from munet.errors import nearest
from munet.server import access, addresses, page, parameters
from munet.server.limits import BodyLimit
from munet.server.metrics import Counted
from munet.server.service import Service
from munet.serving.prediction import Prediction
from munet.serving.predictor import softmax
from munet.store import codec
from munet.types import TaskName

Top = Annotated[int, Query(ge=1, le=10_000, description="How many classes, most probable first.")]

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"images": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["images"],
                    "additionalProperties": False,
                    "properties": {"images": {"type": "array", "items": {"type": "string", "format": "byte"}}},
                }
            },
            "image/*": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
_REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"description": "A body that cannot be read, or without an image."},
    401: {"description": "No token, or a wrong one."},
    404: {"description": "No such task, or nothing at this address."},
    408: {"description": "The body took too long."},
    413: {"description": "Beyond a limit: bytes, images or pixels."},
    422: {"description": "An image that is damaged or none, or a parameter that is unknown or unusable."},
    429: {"description": "As much as may wait is waiting; see Retry-After."},
    503: {"description": "Not ready yet, or a task whose files are damaged."},
}


@dataclass(frozen=True)
class Candidate:
    """A class that an image may be of; in JSON its name is `class`."""

    name: str
    probability: float


@dataclass(frozen=True)
class TaskAnswer:
    """What a task's model says of an image.

    Attributes:
      image: the file's name, or the image's number in the request.
      task: the task.
      model: the id of the model, as `munet status --json` has it.
      top: the most probable classes.
    """

    image: str
    task: TaskName
    model: int
    top: list[Candidate]


@dataclass(frozen=True)
class TaskPredictions:
    """The answers of one task, in the order of the images."""

    predictions: list[TaskAnswer]


@dataclass(frozen=True)
class ImageAnswers:
    """What all asked tasks say of an image."""

    image: str
    tasks: list[TaskAnswer]


@dataclass(frozen=True)
class AllPredictions:
    """The answers of several tasks, in the order of the images."""

    predictions: list[ImageAnswers]


def make_app(service: Service, tokens: tuple[bytes, ...] = ()) -> FastAPI:
    """The application.

    Args:
      service: what answers.
      tokens: of who may ask; none: everybody.
    """
    # Its pages of documentation would fetch scripts from elsewhere; /openapi.json is all of it.
    app = FastAPI(
        title="munet",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=service.lifespan,
        redirect_slashes=False,  # behind a proxy that speaks https a redirection would lead to http
    )
    known = [Depends(access.check_of(tokens))]
    checked = [*known, Depends(parameters.check_names)]

    @app.get("/", include_in_schema=False)
    async def show_page() -> Response:
        return HTMLResponse(page.html(), headers=page.headers())

    @app.get("/healthz", summary="Whether the process lives")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="Whether everything is compiled", responses={503: _REFUSED[503]})
    async def readyz() -> dict[str, str]:
        service.ready_models()
        return {"status": "ready"}

    @app.get("/metrics", dependencies=known, summary="Numbers for Prometheus")
    async def metrics() -> Response:
        service.metrics.queue.set(service.waiting)
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/openapi.json", include_in_schema=False, dependencies=known)
    async def openapi() -> Response:
        return _json(app.openapi())

    @app.get("/v1/tasks", dependencies=checked, summary="Tasks, their classes, test accuracies and models")
    async def tasks() -> Response:
        return _json({"tasks": service.described()})

    @app.post(
        "/v1/predict",
        dependencies=checked,
        summary="Images to the classes of all tasks",
        response_model=AllPredictions,
        responses=_REFUSED,
        openapi_extra=_BODY,
    )
    async def predict_all(
        request: Request,
        tasks: Annotated[list[str] | None, Query(description="Only these tasks; may be repeated.")] = None,
        top: Top = 3,
    ) -> Response:
        chosen = _check_tasks(service, tasks)
        answers = await _answers(service, request, chosen, top)
        found = [{"image": name, "tasks": [one for one in own if one]} for name, own in answers]
        return _json({"predictions": found})

    @app.post(
        "/v1/tasks/{task:path}/predict",
        dependencies=checked,
        summary="Images to the classes of one task",
        response_model=TaskPredictions,
        responses=_REFUSED,
        openapi_extra=_BODY,
    )
    async def predict(task: str, request: Request, top: Top = 3) -> Response:
        answers = await _answers(service, request, _check_tasks(service, [task]), top)
        return _json({"predictions": [own[0] for _, own in answers]})

    addresses.name_the_nearest(app)
    parameters.explain_values(app)
    app.add_middleware(BodyLimit, limits=service.limits)
    app.add_middleware(Counted, metrics=service.metrics)
    return app


def _check_tasks(service: Service, tasks: Sequence[TaskName] | None) -> tuple[TaskName, ...]:
    """The tasks that are asked for.

    Raises:
      HTTPException: 503 if nothing is ready, or one has damaged files; 404 if there is none of a name.
    """
    models = service.ready_models()
    if tasks is None:
        return models.tasks
    for task in tasks:
        if task in models.broken:
            component = models.broken[task].partition(":")[0]  # the rest names files of the server
            raise HTTPException(503, f"Task {task!r} cannot be served: {component} is damaged or missing.")
        if task not in models.tasks:
            raise HTTPException(404, f"There is no task {task[:200]!r} here. {_meant(task[:200], models.tasks)}")
    return tuple(dict.fromkeys(tasks))


def _meant(task: TaskName, tasks: Sequence[TaskName]) -> str:
    """What somebody meant by a task that there is not; lists with commas are the command line's."""
    listed = task.split(",")
    if len(listed) > 1 and set(listed) <= set(tasks):
        return f"Several are a parameter each: ?{urlencode([('tasks', name) for name in listed])}."
    return nearest(task, tasks)


async def _answers(
    service: Service, request: Request, tasks: Sequence[TaskName], top: int
) -> list[tuple[str, list[dict[str, Any]]]]:
    """Of every image: its name, and what the tasks' models say."""
    found = []
    for name, answers in await service.answer(request, tasks):
        own = []
        for task in tasks:
            model, classes, logits = answers[task]
            best = Prediction(task, classes, softmax(logits[None])).top(top)[0]
            candidates = [{"class": label, "probability": round(share, 6)} for label, share in best]
            own.append({"image": name, "task": task, "model": model, "top": candidates})
        found.append((name, own))
    return found


def _json(value: Any) -> Response:
    try:
        encoded = msgspec.json.encode(value)
    except UnicodeEncodeError:  # a name that is no UTF-8, of an upload or of a class's folder
        encoded = codec.dumps(value)
    return Response(encoded, media_type="application/json")
