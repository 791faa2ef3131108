"""Tokens, and what is said where everybody may ask."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from munet.errors import UserError
from munet.server import command
from munet.server.access import read_tokens
from munet.server.app import make_app
from munet.server.limits import Limits
from munet.server.service import Service, Serving


def as_bytes(header: str | bytes) -> bytes:
    return header if isinstance(header, bytes) else header.encode()


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, 401),
        ("Bearer wrong", 401),
        ("Basic first", 401),
        ("Bearer \u00e4".encode(), 401),
        ("Bearer first", 503),  # nothing is loaded here
        ("bearer second", 503),
        ("Bearer schl\u00fcssel".encode(), 503),
    ],
)
def test_only_bearers_of_a_token_are_answered(header: str | bytes | None, code: int, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("first\n\n  second \nschl\u00fcssel\n", encoding="utf-8")
    service = Service(Serving("nowhere"), Limits(), print)
    app = make_app(service, read_tokens(str(tmp_path / "tokens")))

    headers = httpx.Headers({} if header is None else [(b"authorization", as_bytes(header))])

    async def ask(path: str, method: str = "GET") -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.request(method, path, headers=headers)

    for path, method in [("/v1/tasks", "GET"), ("/v1/predict", "POST"), ("/v1/tasks/a/predict", "POST")]:
        assert asyncio.run(ask(path, method)).status_code == code
    for path in ("/metrics", "/openapi.json"):
        assert asyncio.run(ask(path)).status_code == (401 if code == 401 else 200)
    assert [asyncio.run(ask(path)).status_code for path in ("/", "/healthz", "/readyz")] == [200, 200, 503]
    service.close()


def test_a_file_without_tokens(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("\n \n")
    with pytest.raises(UserError, match="no token in it"):
        read_tokens(str(tmp_path / "tokens"))


def test_a_file_that_is_too_large_to_be_one_of_tokens(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(100_000 * "x")  # the start of a token is none
    with pytest.raises(UserError, match="more than 65,536 bytes"):
        read_tokens(str(tmp_path / "tokens"))


@pytest.mark.parametrize(("host", "is_warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_whoever_is_reached_from_elsewhere_is_told(
    host: str, is_warned: bool, stored: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_run", lambda *_: None)
    command.serve(command.Options(str(stored), host=host, port=0))
    assert ("everybody there may ask" in capsys.readouterr().err) == is_warned
