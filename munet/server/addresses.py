"""What is answered at addresses where there is nothing, and to methods that an address does not take."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exception_handlers import http_exception_handler
from fastapi.routing import APIRoute

from munet.errors import nearest

_MAX_SHOWN = 200  # characters of an address


def name_the_nearest(app: FastAPI) -> None:
    """Has an application name its nearest endpoint where it would say "Not Found" or "Method Not Allowed"."""

    async def explained(request: Request, error: Exception) -> Response:
        code, detail, headers = (getattr(error, name) for name in ("status_code", "detail", "headers"))
        if detail == HTTPStatus(code).phrase:  # else the endpoint says what is missing
            given = f"{request.method} {request.url.path[:_MAX_SHOWN]}"
            known = [f"{method} {route.path_format}" for route in _routes(app) for method in route.methods or ()]
            detail = f"There is no {given!r} here. {nearest(given, known)}"
        return await http_exception_handler(request, HTTPException(code, detail, headers))

    for code in (404, 405):
        app.add_exception_handler(code, explained)


def _routes(app: FastAPI) -> list[APIRoute]:
    return [route for route in app.routes if isinstance(route, APIRoute)]
