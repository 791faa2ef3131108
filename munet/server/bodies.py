"""The images of a request: files of a form, base64 in JSON, or one image as the body itself."""

from __future__ import annotations

import logging
from typing import NamedTuple

import msgspec
from fastapi import HTTPException, Request

from munet.server.limits import Limits, TooLargeError

# It warns of every malformed form, which Python would print: whoever sends such would write into the server's log.
logging.getLogger("python_multipart").addHandler(logging.NullHandler())

_MAX_NAME = 200  # letters of a file's name that come back


class Upload(NamedTuple):
    """An image as it was sent.

    Attributes:
      name: of the file, or its number in the request.
      data: its bytes.
    """

    name: str
    data: bytes


class _Images(msgspec.Struct, forbid_unknown_fields=True):
    images: list[bytes]  # base64 in JSON


async def read(request: Request, limits: Limits) -> list[Upload]:
    """The images of a request, in their order.

    Raises:
      HTTPException: 400 if it has none or is malformed, 413 if there are too many.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "multipart/form-data":
            found = await _files(request, limits)
        elif kind == "application/json":
            data = msgspec.json.decode(await request.body(), type=_Images)
            found = [Upload(str(number), image) for number, image in enumerate(data.images)]
        else:
            body = await request.body()
            found = [Upload("0", body)] if body else []
    except (HTTPException, MemoryError):
        raise
    except Exception as error:  # parsers of what strangers send: whatever they stumble over, the body is to blame
        raise HTTPException(400, f"The body cannot be read: {_reason(error)}") from error
    if not found:
        raise HTTPException(
            400,
            "There is no image in the request; expected files of a form (multipart/form-data), JSON such as "
            '{"images": ["BASE64"]}, or the bytes of one image as the body.',
        )
    if len(found) > limits.images:
        raise TooLargeError(f"The request has {len(found):,} images; at most {limits.images:,} are taken.")
    return found


async def _files(request: Request, limits: Limits) -> list[Upload]:
    async with request.form(max_files=limits.images + 1, max_fields=100) as form:
        files = [value for _, value in form.multi_items() if not isinstance(value, str)]
        return [
            Upload((file.filename or str(number))[:_MAX_NAME], await file.read()) for number, file in enumerate(files)
        ]


def _reason(error: Exception) -> str:
    text = str(error).partition("\n")[0].strip()[:200]
    return f"{text or type(error).__name__}."
