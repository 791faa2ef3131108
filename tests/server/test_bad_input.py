"""Whatever strangers send: an answer of 4xx, never 5xx, and the server answers the next one."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from munet.server import listening
from tests.server.running import Running, png

FORM = "multipart/form-data; boundary=line"
PART = b'--line\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\n'


def bomb() -> bytes:
    """A PNG of a few bytes that claims 100,000 x 100,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@pytest.fixture(autouse=True)
def still_answers(server: Running) -> Iterator[None]:
    yield
    assert post(server, png(), "image/png").status_code == 200


def resident(server: Running) -> int:
    """Bytes of the server that are in memory."""
    return int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * 4096


def post(server: Running, body: bytes, kind: str, task: str = "plain") -> httpx.Response:
    return server.client.post(f"v1/tasks/{task}/predict", content=body, headers={"content-type": kind})


@pytest.mark.parametrize(
    ("kind", "body", "code", "text"),
    [
        (FORM, PART + png() + b"\r\n", 400, "There is no image|cannot be read|[Ii]nvalid"),  # cut off
        (FORM, b"--line\r\nno header\r\n\r\nx\r\n--line--", 400, ""),
        (FORM, b"--other\r\n\r\n", 400, ""),
        ("multipart/form-data", PART, 400, "boundary"),
        ("multipart/form-data; boundary=line; charset=klingon", b"", 400, ""),
        (FORM, b'--line\r\nContent-Disposition: form-data; name="images"\r\n\r\nx\r\n--line--', 400, "no image"),
        ("application/json", b"{", 400, "cannot be read"),
        ("application/json", b'{"images": ["!"]}', 400, "cannot be read"),
        ("application/json", b'{"images": "x"}', 400, "cannot be read"),
        ("application/json", b'{"image": []}', 400, "cannot be read"),
        ("application/json", b'{"images": []}', 400, "no image"),
        ("application/json", 100_000 * b"[", 400, "cannot be read"),
        ("image/png", b"", 400, "no image"),
        ("image/png", b"no image at all", 422, "no image in a known format"),
        ("image/jpeg", png(format="JPEG", shape=(200, 200, 3))[:2000], 422, "'0' cannot be used: damaged"),
        ("image/png", png(shape=(1100, 1000)), 413, "1,000,000 are taken|bytes"),
        ("image/png", bomb(), 413, "pixels"),
        ("image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg'/>", 422, "no image in a known format"),
    ],
)  # fmt: skip
def test_unusable_bodies(kind: str, body: bytes, code: int, text: str, server: Running) -> None:
    response = post(server, body, kind)
    assert response.status_code == code, response.text
    found = re.search(text, response.json()["detail"])
    assert found is not None, response.text


def test_too_many_images(server: Running) -> None:
    files = [("images", png()) for _ in range(6)]
    response = server.client.post("v1/predict", files=files)
    assert (response.status_code, "at most 5" in response.text) == (413, True)


def test_a_body_that_is_too_large_by_its_own_words(server: Running) -> None:
    response = post(server, bytes(3 << 20), "image/png")
    assert (response.status_code, "at most 1,048,576" in response.text) == (413, True)


def test_a_body_that_turns_out_too_large(server: Running) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield bytes(1 << 18)

    response = server.client.post("v1/predict", content=chunks())
    assert response.status_code == 413


@pytest.mark.slow
@pytest.mark.parametrize("length", [f"Content-Length: {1 << 30}", "Transfer-Encoding: chunked"])
def test_a_gigabyte_is_refused_early_and_kept_nowhere(length: str, server: Running) -> None:
    place = urlsplit(server.url)
    before, largest, answer = resident(server), 0, b""
    piece = bytes(1 << 20)
    part = b"%x\r\n%b\r\n" % (len(piece), piece) if "chunked" in length else piece
    with socket.create_connection((place.hostname, place.port), timeout=20) as connection:
        connection.sendall(f"POST /v1/predict HTTP/1.1\r\nHost: {place.netloc}\r\n{length}\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):  # it hangs up on who goes on after the answer
            for _ in range(1 << 10):
                connection.sendall(part)
                largest = max(largest, resident(server))
        with contextlib.suppress(ConnectionError):
            answer = connection.recv(1 << 16)
    assert not answer or b" 413 " in answer.split(b"\r\n")[0]
    assert 0 < largest < before + (32 << 20)


def test_headers_without_end(server: Running) -> None:
    place = urlsplit(server.url)
    before = resident(server)
    with socket.create_connection((place.hostname, place.port), timeout=20) as connection:
        connection.sendall(f"GET /healthz HTTP/1.1\r\nHost: {place.netloc}\r\nX: ".encode())
        with pytest.raises(ConnectionError):
            connection.sendall(b"a" * (100 << 20))
    assert resident(server) < before + (32 << 20)


def test_the_http_parser_is_the_one_that_limits_headers() -> None:
    """uvicorn would take httptools where that is installed, which lets them fill the memory."""
    assert listening.server(None, 1).config.http == "h11"


def test_a_client_that_is_too_slow(server: Running) -> None:
    place = urlsplit(server.url)
    with socket.create_connection((place.hostname, place.port), timeout=20) as connection:
        head = f"POST /v1/predict HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: 100\r\n\r\nabc"
        connection.sendall(head.encode())
        started = time.monotonic()
        assert post(server, png(), "image/png").status_code == 200  # nobody else waits for it
        answer = connection.recv(4096)
    assert b"408" in answer.split(b"\r\n")[0]
    assert 1 < time.monotonic() - started < 15


def test_what_is_no_request(server: Running) -> None:
    place = urlsplit(server.url)
    with socket.create_connection((place.hostname, place.port), timeout=20) as connection:
        connection.sendall(b"\x16\x03\x01 what is this\r\n\r\n")  # as TLS begins
        assert b" 400 " in connection.recv(4096)


def test_a_client_that_goes_away(server: Running) -> None:
    place = urlsplit(server.url)
    with socket.create_connection((place.hostname, place.port), timeout=20) as connection:
        connection.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")


@pytest.mark.parametrize(("charset", "name"), [("unicode_escape", b"\\ud800"), ("utf-7", b"+2AA-")])
def test_a_name_that_no_utf_8_can_hold(charset: str, name: bytes, server: Running) -> None:
    body = PART.replace(b"a.png", name) + png() + b"\r\n--line--\r\n"
    response = post(server, body, f"{FORM}; charset={charset}")
    assert response.status_code == 200, response.text
    assert response.json()["predictions"][0]["image"] == "\ud800"


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "v1/predict", 405),
        ("POST", "v1/tasks/plaim/predict", 404),
        ("POST", "v1/tasks/%00%ff%E2%80%AE/predict", 404),
        ("POST", "v1/tasks/" + 5000 * "x" + "/predict", 404),
        ("POST", "v1/predict?tasks=nobody", 404),
        ("POST", "v1/predict?top=0", 422),
        ("POST", "v1/predict?top=many", 422),
        ("GET", "../../etc/passwd", 404),
    ],
)
def test_unusable_addresses(method: str, path: str, code: int, server: Running) -> None:
    response = server.client.request(method, path, content=png() if method == "POST" else None)
    assert response.status_code == code, response.text


@pytest.mark.parametrize(
    ("method", "path", "code", "meant"),
    [
        ("GET", "v1/tasks/plain/predict", 405, "'POST /v1/tasks/{task}/predict'"),
        ("POST", "predict", 404, "'POST /v1/predict'"),
        ("GET", "tasks", 404, "'GET /v1/tasks'"),
        ("GET", 3000 * "x", 404, "Valid: GET /"),
    ],
)
def test_the_nearest_endpoint_is_named(method: str, path: str, code: int, meant: str, server: Running) -> None:
    response = server.client.request(method, path, content=png() if method == "POST" else None)
    assert response.status_code == code
    assert response.headers.get("allow") == ("POST" if code == 405 else None)
    detail = response.json()["detail"]
    assert detail.startswith(f"There is no '{method} /{path[:100]}")
    assert meant in detail
    assert len(detail) < 500


def test_an_unknown_task_is_answered_with_the_nearest(server: Running) -> None:
    assert "Did you mean 'plain'?" in post(server, png(), "image/png", "plaim").json()["detail"]


KINDS = st.sampled_from([FORM, "application/json", "image/png", "", "multipart/form-data; boundary=\u00ff", "a/b;;=x"])
IMAGES = st.sampled_from([png(), png(format="JPEG"), png(format="GIF"), png(format="TIFF"), png(format="WEBP"), bomb()])


UNHURRIED = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """An image file, a form or text with a few bytes that are others, lacking or too many."""
    body = draw(IMAGES)
    if draw(st.booleans()):
        body = PART + body + b"\r\n--line--\r\n"
    data = bytearray(draw(st.one_of(st.just(body), st.binary(max_size=300), st.text().map(lambda text: text.encode()))))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(data)))
        data[place : place + draw(st.integers(0, 20))] = draw(st.binary(max_size=8))
    return bytes(data)


def attack(server: Running, body: bytes, kind: str) -> None:
    headers = {"content-type": kind.encode("latin-1")} if kind else {}
    response = server.client.post("v1/tasks/plain/predict", content=body, headers=headers)  # type: ignore[arg-type]
    assert response.status_code < 500, response.text
    assert response.status_code == 200 or 400 <= response.status_code < 500


@settings(UNHURRIED, max_examples=200)
@given(body=broken(), kind=KINDS)
def test_any_body(server: Running, body: bytes, kind: str) -> None:
    attack(server, body, kind)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_thousand_bodies_take_no_memory(server: Running) -> None:
    """Resident memory after the first thousand is that after all, but for a few MiB."""
    sizes: list[int] = []

    @settings(UNHURRIED, max_examples=10_000)
    @given(body=broken(), kind=KINDS)
    def all_of_them(body: bytes, kind: str) -> None:
        attack(server, body, kind)
        sizes.append(resident(server))

    all_of_them()
    assert len(sizes) >= 9_000  # hypothesis may find that there are no more
    print(f"{len(sizes):,} bodies: {sizes[0] >> 20}, {sizes[len(sizes) // 10] >> 20}, {sizes[-1] >> 20} MiB")
    assert sizes[-1] < sizes[len(sizes) // 10] + (32 << 20)
