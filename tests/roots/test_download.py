"""Downloads from a web server with faults and from an object store: resumed, checked, whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import fsspec
import pytest

from munet import roots
from munet.errors import CheckpointError, DiskFullError, UserError
from munet.roots import cached_files, download, remote_file
from munet.roots.remote_file import HttpSource, ObjectSource
from munet.vit.augreg import demo_root_path
from tests.roots.server import Behaviour, serve

DATA = demo_root_path().read_bytes()
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server() -> Behaviour:
    return Behaviour({"/roots/demo.npz": DATA})


@pytest.fixture
def url(server: Behaviour) -> Iterator[str]:
    with serve(server) as base:
        yield f"{base}/roots/demo.npz"


def fetch(
    url: str,
    place: Path,
    waits: list[float] | None = None,
    *,
    sha256: str = "",
    check: Callable[[Path], object] = lambda _: None,
) -> None:
    wait = (waits if waits is not None else []).append
    download.fetch(url, HttpSource(url, timeout=5), place, check, sha256=sha256, wait=wait)


def test_a_root_by_url_is_downloaded_once_and_checked_at_each_use(url: str, server: Behaviour, tmp_path: Path) -> None:
    cache_dir = str(tmp_path)
    assert roots.needs_download(url, cache_dir)
    found = roots.find(url, cache_dir)
    assert (found.variant.name, found.sha256, found.name) == ("demo/16", SHA, "demo.npz")
    assert not roots.needs_download(url, cache_dir)
    assert roots.find(url, cache_dir).place == found.place
    assert server.seen == [""]
    (cached,) = cached_files.cached(cache_dir)
    assert (cached.sha256, cached.size, cached.source) == (SHA, len(DATA), url)
    left = {path.name for path in Path(found.place).parent.iterdir()}
    assert left == {"demo.npz", "demo.npz.json", ".demo.npz.lock"}
    Path(found.place).write_bytes(DATA[:-1] + b"x")
    with pytest.raises(CheckpointError, match="is not the file that was put there"):
        roots.find(url, cache_dir)


def test_a_file_put_there_by_hand_is_taken(server: Behaviour, tmp_path: Path) -> None:
    place = cached_files.place("gs://vit_models/augreg/x.npz", str(tmp_path))
    assert place == cached_files.place("https://storage.googleapis.com/vit_models/augreg/x.npz", str(tmp_path))
    place.parent.mkdir(parents=True)
    place.write_bytes(DATA)
    assert roots.find("gs://vit_models/augreg/x.npz", str(tmp_path)).sha256 == SHA
    assert cached_files.recall(place).source == "put there by hand"
    assert cached_files.recall(place).sha256 == SHA
    assert server.seen == []


def test_a_transfer_that_breaks_off_goes_on_where_it_was(url: str, server: Behaviour, tmp_path: Path) -> None:
    server.breaks = [1000, 5000, 100_000]
    waits: list[float] = []
    fetch(url, tmp_path / "x.npz", waits)
    assert (tmp_path / "x.npz").read_bytes() == DATA
    assert server.seen == ["", "bytes=1000-", "bytes=6000-", "bytes=106000-"]
    assert waits == [1.0, 1.0, 1.0]  # each brought something, so none counts as a failure in a row


def test_another_process_goes_on_too(url: str, server: Behaviour, tmp_path: Path) -> None:
    server.breaks = [1000] + [0] * 20
    with pytest.raises(CheckpointError, match=r"1,000 of 815,986 bytes\. 1,000 bytes are kept") as caught:
        fetch(url, tmp_path / "x.npz")
    assert f"put it at\n  {tmp_path / 'x.npz'}\n" in str(caught.value)
    server.breaks, server.seen = [], []
    fetch(url, tmp_path / "x.npz")
    assert server.seen == ["bytes=1000-"]
    assert (tmp_path / "x.npz").read_bytes() == DATA


@pytest.mark.parametrize("change", ["other file", "no ranges", "no tag"])
def test_without_the_same_file_it_begins_again(url: str, server: Behaviour, tmp_path: Path, change: str) -> None:
    server.breaks = [1000]
    server.has_ranges = change != "no ranges"
    if change == "no tag":
        server.tag = ""

    def wait(_: float) -> None:
        if change == "other file":
            server.tag, server.files["/roots/demo.npz"] = '"two"', DATA[::-1]

    download.fetch(url, HttpSource(url), tmp_path / "x.npz", lambda _: None, wait=wait)
    assert (tmp_path / "x.npz").read_bytes() == server.files["/roots/demo.npz"]
    assert server.seen == ["", "" if change == "no tag" else "bytes=1000-"]


def test_more_is_here_than_there(url: str, server: Behaviour, tmp_path: Path) -> None:
    (tmp_path / "x.npz.part").write_bytes(DATA + DATA)
    (tmp_path / "x.npz.part.json").write_text(json.dumps({"version": server.tag, "total": 9}))
    fetch(url, tmp_path / "x.npz")
    assert (tmp_path / "x.npz").read_bytes() == DATA


def test_all_was_there_when_the_process_ended(url: str, server: Behaviour, tmp_path: Path) -> None:
    (tmp_path / "x.npz.part").write_bytes(DATA)
    (tmp_path / "x.npz.part.json").write_text(json.dumps({"version": server.tag, "total": len(DATA)}))
    fetch(url, tmp_path / "x.npz", sha256=SHA)
    assert server.seen == []
    assert (tmp_path / "x.npz").read_bytes() == DATA


@pytest.mark.parametrize("announced", [len(DATA) + 10, len(DATA) - 10, -1])
def test_wrong_and_unknown_lengths(url: str, server: Behaviour, tmp_path: Path, announced: int) -> None:
    server.announces, server.has_ranges = announced, False
    if announced == -1:
        assert roots.find(url, str(tmp_path)).sha256 == SHA
        return
    expected = "the transfer ended after|IncompleteRead" if announced > len(DATA) else "not a whole .npz file"
    with pytest.raises(CheckpointError, match=expected):
        download.fetch(
            url, HttpSource(url), tmp_path / "x.npz", lambda part: roots.checkpoint.describe(part, ".npz"),
            wait=lambda _: None,
        )  # fmt: skip
    assert not (tmp_path / "x.npz").exists()


def test_busy_servers_are_asked_again_and_redirects_followed(url: str, server: Behaviour, tmp_path: Path) -> None:
    server.statuses = [503, 429, 500]
    server.redirects = {"/old.npz": "/roots/demo.npz"}
    waits: list[float] = []
    fetch(url.replace("/roots/demo.npz", "/old.npz"), tmp_path / "x.npz", waits)
    assert (tmp_path / "x.npz").read_bytes() == DATA
    assert waits == [1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("status", "expected"), [(404, "There is no file http"), (403, "is not public"), (400, "the server answered 400")]
)
def test_final_answers(url: str, server: Behaviour, tmp_path: Path, status: int, expected: str) -> None:
    server.statuses = [status]
    waits: list[float] = []
    with pytest.raises(CheckpointError, match=expected):
        fetch(url, tmp_path / "x.npz", waits)
    assert not waits
    assert not (tmp_path / "x.npz.part").exists()


def test_no_network_says_where_to_put_the_file(tmp_path: Path) -> None:
    waits: list[float] = []
    with pytest.raises(CheckpointError, match="cannot be reached") as caught:
        fetch("http://127.0.0.1:9/x.npz", tmp_path / "x.npz", waits)
    assert str(tmp_path / "x.npz") in str(caught.value)
    assert len(waits) == 1


def test_what_is_no_checkpoint_is_not_kept(url: str, server: Behaviour, tmp_path: Path) -> None:
    server.files["/roots/demo.npz"] = b"<html>please log in</html>"
    with pytest.raises(CheckpointError, match=r"not a whole \.npz file"):
        roots.find(url, str(tmp_path))
    assert not list(cached_files.cached(str(tmp_path)))
    assert not list(tmp_path.rglob("*.part*"))


def test_hashes_in_the_url(url: str, tmp_path: Path) -> None:
    cache_dir = str(tmp_path)
    with pytest.raises(CheckpointError, match=f"has the SHA-256 {SHA}, expected 0000"):
        roots.find(f"{url}#sha256={'0' * 64}", cache_dir)
    assert not list(cached_files.cached(cache_dir))
    assert roots.find(f"{url}#sha256={SHA.upper()}", cache_dir).sha256 == SHA
    with pytest.raises(CheckpointError, match="downloaded before, has the SHA-256"):
        roots.find(f"{url}#sha256={'0' * 64}", cache_dir)
    with pytest.raises(CheckpointError, match="after # is expected sha256="):
        roots.find(f"{url}#sha256=12", cache_dir)


def test_no_room_and_no_cache(url: str, server: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r'runtime\.cache_dir is "off"'):
        roots.find(url, "off")
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(DiskFullError, match=r"has 815,986 bytes, and the disk of .* has room for 10"):
        fetch(url, tmp_path / "x.npz")


def test_plain_http_needs_a_hash_and_names_of_pickles_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="can be changed on its way"):
        roots.find("http://example.invalid/x.npz", str(tmp_path))
    with pytest.raises(CheckpointError, match="is a pickle"):
        roots.find("https://example.invalid/pytorch_model.bin", str(tmp_path))


def test_all_who_want_the_same_file_download_it_once(url: str, server: Behaviour, tmp_path: Path) -> None:
    server.pause = 0.3  # so that all of them have asked before the first one is done
    with ThreadPoolExecutor(3) as pool:  # the lock is that of an open file: threads are kept apart as processes are
        for done in [pool.submit(fetch, url, tmp_path / "x.npz") for _ in range(3)]:
            done.result()
    assert (tmp_path / "x.npz").read_bytes() == DATA
    assert server.seen == [""]


def test_places_follow_the_url_and_stay_in_the_cache(tmp_path: Path) -> None:
    cache_dir = str(tmp_path)
    root = tmp_path / "roots"
    for url in (
        "https://h/../../etc/x.npz",
        "https://h/%2e%2e/%2fx.npz",
        "https://h/%2e%2e/%2e%2e/%2e%2e/%2e%2e/x.npz",
        "https://h/%2e%2e",
        "https://../x.npz",
        "gs://../x.npz",
        "https://u:p@h:8/a b/x.npz?k=/../1",
        "gs://h/x",
    ):
        assert root in cached_files.place(url, cache_dir).resolve().parents, url
    plain = cached_files.place("https://h/a/x_+=-1.0.npz", cache_dir)
    assert plain == root / "h" / "a" / "x_+=-1.0.npz"  # where a person would put it


def test_no_two_urls_share_a_place(tmp_path: Path) -> None:
    """What stands in the cache would be taken for another root."""
    long = "a" * 230
    urls = [
        "a_b.npz",
        "a b.npz",
        "a%20b.npz",
        "a%2Fb.npz",
        "a/b.npz",
        "a(b.npz",
        "a)b.npz",
        f"{long}.npz",
        f"b{long}.npz",
    ]
    urls = [*(f"https://h/{name}" for name in urls), "https://h:8/x.npz", "https://h-8/x.npz", "gs://h/x.npz"]
    found = [cached_files.place(url, str(tmp_path)) for url in urls]
    assert len(set(found)) == len(urls)
    assert {place.suffix for place in found} == {".npz"}
    assert max(len(place.name) for place in found) <= 200
    first, second = (cached_files.place(f"https://h/x.npz?version={n}", str(tmp_path)) for n in (1, 2))
    assert first != second
    assert first.name == second.name == "x.npz"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setitem(remote_file.SCHEMES, "memory", ObjectSource)
    system = fsspec.filesystem("memory")
    system.pipe_file("/bucket/demo.npz", DATA)
    yield "memory://bucket/demo.npz"
    system.rm("/bucket", recursive=True)


def test_objects_of_a_store(bucket: str, tmp_path: Path) -> None:
    assert roots.find(bucket, str(tmp_path)).sha256 == SHA
    with pytest.raises(CheckpointError, match=r"There is no object memory://bucket/other\.npz"):
        roots.find("memory://bucket/other.npz", str(tmp_path))


def test_objects_are_resumed_while_they_are_the_same(bucket: str, tmp_path: Path) -> None:
    source = ObjectSource(bucket)
    with source.open(0, "") as stream:
        version = stream.version
        assert (stream.start, stream.total) == (0, len(DATA))
    with source.open(1000, version) as stream:
        assert stream.start == 1000
        assert b"".join(stream.chunks) == DATA[1000:]
    with source.open(1000, "another") as stream:
        assert stream.start == 0
    (tmp_path / "x.npz.part").write_bytes(DATA[:1000])
    (tmp_path / "x.npz.part.json").write_text(json.dumps({"version": version, "total": len(DATA)}))
    download.fetch(bucket, source, tmp_path / "x.npz", lambda _: None, sha256=SHA)
    assert (tmp_path / "x.npz").read_bytes() == DATA


def test_google_storage_without_its_package_is_read_by_https(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    source = remote_file.source("gs://vit_models/imagenet21k+x/a.npz")
    assert isinstance(source, HttpSource)
    assert urlsplit(source._url).path == "/vit_models/imagenet21k%2Bx/a.npz"
