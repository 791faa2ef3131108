"""What is answered at addresses where there is nothing, and to methods that an address does not take."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from munet.errors import nearest

_MAX_SHOWN = 200  # characters of an address


def name_the_nearest(app: FastAPI) -> None:
    """Has an application name its nearest endpoint where it would say "Not Found" or "Method Not Allowed"."""

    @app.exception_handler(HTTPException)
    async def explained(request: Request, error: HTTPException) -> Response:
        code = error.status_code
        if code in (404, 405) and error.detail == HTTPStatus(code).phrase:  # else the endpoint says what is missing
            given = f"{request.method} {request.url.path[:_MAX_SHOWN]}"
            known = [f"{method} {route.path_format}" for route in _routes(app) for method in route.methods or ()]
            error = HTTPException(code, f"There is no {given!r} here. {nearest(given, known)}", error.headers)
        return await http_exception_handler(request, error)


def _routes(app: FastAPI) -> list[APIRoute]:
    return [route for route in app.routes if isinstance(route, APIRoute)]
