"""A remote file as a stream of bytes from any place on: `https://` by range requests, `gs://` through fsspec."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from munet.errors import CheckpointError
from munet.text import package_version

_CHUNK = 1 << 20
_TIMEOUT = 30.0  # seconds without a byte
_RETRY = (408, 425, 429, 500, 502, 503, 504)


class Interrupted(Exception):
    """The transfer broke off; trying again may help."""


class Changed(Interrupted):
    """The rest asked for does not fit what is there: begin again."""


class Unreachable(Interrupted):
    """The server's name is unknown or nothing answers: most likely there is no network."""


@dataclass(frozen=True)
class Stream:
    """Bytes of a file.

    Attributes:
      start: the byte that it begins with: where it was asked to, or 0.
      total: bytes of the whole file; None: unknown.
      version: changes when the file does; "": the server does not say.
      chunks: the bytes.
    """

    start: int
    total: int | None
    version: str
    chunks: Iterator[bytes]


class RemoteFile(Protocol):
    """A file elsewhere that can be read from any byte on, as long as it stays the same."""

    def open(self, offset: int, version: str) -> AbstractContextManager[Stream]:
        """A stream from `offset` on if the file still is of `version`, else from its start.

        Raises:
          Interrupted: trying again may help.
          CheckpointError: it will not.
        """


def source(url: str) -> RemoteFile:
    """What reads a URL of a scheme in `SCHEMES`."""
    return SCHEMES[urlsplit(url).scheme](url)


class HttpSource:
    """A file of a web server."""

    def __init__(self, url: str, timeout: float = _TIMEOUT):
        self._url, self._timeout = url, timeout

    @contextmanager
    def open(self, offset: int, version: str) -> Iterator[Stream]:
        """A stream by HTTP, with a range where the server has that version still."""
        headers = {"User-Agent": f"munet/{package_version('munet')}", "Accept-Encoding": "identity"}
        if offset and version:
            headers |= {"Range": f"bytes={offset}-", "If-Range": version}
        with self._errors(offset):
            response = urllib.request.urlopen(urllib.request.Request(self._url, headers=headers), timeout=self._timeout)
        with response:
            yield self._stream(response, offset)

    @contextmanager
    def _errors(self, offset: int = 0) -> Iterator[None]:
        try:
            yield
        except urllib.error.HTTPError as error:
            error.close()  # it is the response, and holds the connection
            raise self._refused(error, offset) from error
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                raise CheckpointError(f"{self._url}: the server's certificate is not valid: {error.reason}.") from error
            if isinstance(error.reason, socket.gaierror | ConnectionRefusedError):
                raise Unreachable(f"the server cannot be reached ({error.reason})") from error
            raise Interrupted(str(error.reason)) from error
        except (http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as error:
            raise Interrupted(f"{type(error).__name__}: {error}") from error

    def _stream(self, response: Any, offset: int) -> Stream:
        if self._url.startswith("https:") and not response.geturl().startswith("https:"):
            raise CheckpointError(f"{self._url} leads to {response.geturl()}, which is not encrypted: refused.")
        headers = response.headers
        if headers.get("Content-Encoding", "identity") != "identity":
            raise CheckpointError(
                f"{self._url} is sent as {headers['Content-Encoding']}, not as it is: download it by hand."
            )
        tag = headers.get("ETag", "")
        version = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")
        if response.status != 206:
            length = headers.get("Content-Length", "")
            return Stream(0, int(length) if length.isdecimal() else None, version, _chunks(response, self._errors))
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", headers.get("Content-Range", ""))
        if match is None or int(match[1]) != offset:
            raise Changed(f"the server sent {headers.get('Content-Range', 'some other part')}")
        return Stream(offset, int(match[2]), version, _chunks(response, self._errors))

    def _refused(self, error: urllib.error.HTTPError, offset: int) -> Exception:
        if error.code == 416 and offset:
            return Changed("the server has no more bytes than are here")
        if error.code in _RETRY:
            return Interrupted(f"the server answered {error.code} {error.reason}")
        if error.code in (404, 410):
            return CheckpointError(f"There is no file {self._url} (the server answered {error.code}): check the name.")
        if error.code in (401, 403):
            return CheckpointError(f"{self._url} is not public (the server answered {error.code} {error.reason}).")
        return CheckpointError(f"{self._url} cannot be downloaded: the server answered {error.code} {error.reason}.")


def _chunks(file: Any, errors: Callable[[], AbstractContextManager[None]]) -> Iterator[bytes]:
    while True:
        with errors():
            chunk = file.read(_CHUNK)
        if not chunk:
            return
        yield chunk


class ObjectSource:
    """An object of a store that fsspec knows."""

    def __init__(self, url: str):
        self._url = url

    @contextmanager
    def open(self, offset: int, version: str) -> Iterator[Stream]:
        """A stream of the object, from `offset` on where its generation or tag is `version`."""
        import fsspec  # a quarter of a second, only for such roots

        with self._errors():
            system, path = fsspec.core.url_to_fs(self._url, use_listings_cache=False)
            info = system.info(path)
            names = ("generation", "etag", "ETag", "md5Hash", "mtime", "created")
            found = next((str(info[name]) for name in names if info.get(name)), "")
            start = offset if version and version == found and offset <= info["size"] else 0
            file = system.open(path, "rb")
            file.seek(start)
        with file:
            yield Stream(start, info["size"], found, _chunks(file, self._errors))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise CheckpointError(f"There is no object {self._url}: check the name.") from error
        except PermissionError as error:
            raise CheckpointError(f"{self._url} is not public, or not to you: {error}.") from error
        except Exception as error:  # stores raise errors of their own kinds; all may be a broken connection
            raise Interrupted(f"{type(error).__name__}: {error}") from error


def _google(url: str) -> RemoteFile:
    """Through gcsfs where it is installed; else by https, which serves public objects to everybody."""
    import importlib.util

    if importlib.util.find_spec("gcsfs"):
        return ObjectSource(url)
    return HttpSource(f"https://storage.googleapis.com/{quote(url.removeprefix('gs://'))}")


SCHEMES: dict[str, Any] = {"https": HttpSource, "http": HttpSource, "gs": _google}
