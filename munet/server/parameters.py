"""What is answered to query parameters that an endpoint does not take, and to values that it cannot use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError

from munet.errors import nearest

_MAX_SHOWN = 200  # letters of a name or a value


async def check_names(request: Request) -> None:
    """Refuses a parameter that the endpoint does not take: it would be passed over, and a typing error go unseen.

    Raises:
      HTTPException: 422, with the nearest one that it takes.
    """
    route = request.scope["route"]
    known = [field.alias for field in route.dependant.query_params]
    for name in request.query_params:
        if name not in known:
            shown = name[:_MAX_SHOWN]
            raise HTTPException(422, f"{route.path_format} has no parameter {shown!r}. {nearest(shown, known)}")


def explain_values(app: FastAPI) -> None:
    """Has an application answer values that it cannot use with one sentence, as it answers all else."""

    async def explained(request: Request, error: Exception) -> Response:
        found: Sequence[Any] = error.errors() if isinstance(error, RequestValidationError) else ()
        return await http_exception_handler(request, HTTPException(422, " ".join(map(_sentence, found))))

    app.add_exception_handler(RequestValidationError, explained)


def _sentence(problem: Any) -> str:
    message: str = problem["msg"]
    return f"?{problem['loc'][-1]}={str(problem['input'])[:_MAX_SHOWN]}: {message[:1].lower()}{message[1:]}."
