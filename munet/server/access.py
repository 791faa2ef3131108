"""Who may ask: bearers of a token of the token file, or everybody where there is none."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import HTTPException, Request

from munet.errors import UserError

_MAX_BYTES = 1 << 16  # of a token file


def read_tokens(file: str) -> tuple[bytes, ...]:
    """The tokens of a file, one a line; none where no file is named.

    Raises:
      UserError: it cannot be read, is too large to be a file of tokens, or holds none.
    """
    if not file:
        return ()
    try:
        with Path(file).expanduser().open("rb") as opened:
            data = opened.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"--token_file={file}: cannot be read: {error.strerror or error}.") from error
    if len(data) > _MAX_BYTES:
        raise UserError(f"--token_file={file}: more than {_MAX_BYTES:,} bytes; expected a few tokens, one a line.")
    tokens = tuple(line.strip() for line in data.splitlines() if line.strip())
    if not tokens:
        raise UserError(f"--token_file={file}: there is no token in it; expected one a line.")
    return tokens


def check_of(tokens: tuple[bytes, ...]) -> Callable[[Request], Awaitable[None]]:
    """What refuses requests without one of the tokens."""

    async def check(request: Request) -> None:
        if not tokens:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        # A header's bytes are given as Latin-1, whatever they are: so they come back as they were sent.
        matches = [hmac.compare_digest(given.strip().encode("latin-1"), token) for token in tokens]
        if scheme.lower() != "bearer" or not any(matches):
            raise HTTPException(
                401, "A token is needed: the header Authorization: Bearer TOKEN.", {"WWW-Authenticate": "Bearer"}
            )

    return check
