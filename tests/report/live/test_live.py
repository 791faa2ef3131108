"""The live page: events within two seconds of a commit, in a real server and, where there is one, a real browser."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from munet.cli import main
from munet.store import Store
from munet.types import Position
from tests.browser import needs_chromium, started
from tests.report import fixed_journal
from tests.report.stored_run import write_run

pytest.importorskip("fastapi", reason="an extra")
ROOT = Path(__file__).parents[3]
_PATIENT = 120  # seconds: other tests may be running


class Server:
    """A server process of a run that has not ended, and the entries that are still to come."""

    def __init__(self, place: Path):
        write_run(place / "whole")
        write_run(place / "run", until=Position(0, 1, 1))
        self.store = Store.open(place / "run")
        self.left = list(Store.open(place / "whole").journal.entries())[len(self.store.journal) :]
        command = [sys.executable, "-m", "munet", "report", f"--workdir={place / 'run'}", "--serve", "--port=0"]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        found = re.search(r"http://\S+/", self.process.stderr.readline())
        assert found is not None
        self.url = found[0]

    def commit(self) -> int:
        """One more entry, as the run does; the length then."""
        with self.store.lock():
            self.store.journal.append(self.left.pop(0))
        return len(self.store.journal)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.communicate()


def test_events_name_the_length_of_the_journal(server: Server) -> None:
    page = httpx.get(server.url, timeout=_PATIENT).text
    before = len(server.store.journal)
    told = json.loads(page.partition('id="figures">')[2].partition("</script>")[0])
    assert (told["length"], told["live"]) == (before, True)
    with httpx.stream("GET", f"{server.url}events", timeout=_PATIENT) as answer:
        lines = (line for line in answer.iter_lines() if line.startswith("data: "))
        assert json.loads(next(lines)[6:]) == {"length": before, "complete": False}
        after = server.commit()
        assert json.loads(next(lines)[6:])["length"] == after
        news = httpx.get(f"{server.url}report.json", timeout=_PATIENT).json()
        assert news["length"] == after
        assert news["figures"]
        assert "<h1>" in news["body"]
        while server.left:
            after = server.commit()
        assert httpx.get(f"{server.url}report.json", timeout=_PATIENT).json()["length"] == after
        assert any(json.loads(line[6:]) == {"length": after, "complete": True} for line in lines)


def test_other_names_for_this_machine_are_refused(server: Server) -> None:
    assert httpx.get(server.url, headers={"Host": "evil.example"}, timeout=_PATIENT).status_code == 400
    assert httpx.get(f"{server.url}nothing", timeout=_PATIENT).status_code == 404


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_a_signal_although_a_page_listens(server: Server, number: int) -> None:
    with httpx.stream("GET", f"{server.url}events", timeout=_PATIENT) as answer:
        next(answer.iter_lines())
        server.process.send_signal(number)
        assert server.process.wait(timeout=_PATIENT) == 0


@needs_chromium
def test_the_page_renews_itself(server: Server) -> None:
    wrong: list[str] = []
    with started() as browser:
        shown: Any = browser.new_page()
        shown.set_default_timeout(1000 * _PATIENT)
        shown.on("console", lambda message: wrong.append(message.text))
        shown.on("pageerror", lambda error: wrong.append(str(error)))
        shown.goto(server.url)
        shown.wait_for_function("() => document.getElementById('live').textContent.startsWith('live')")
        shown.evaluate("document.getElementById('numbers-costs').open = true")
        assert "task1" not in shown.inner_text("#tasks")
        while server.left:
            server.commit()
        shown.wait_for_function("() => document.getElementById('live').textContent === 'live: the run is complete'")
        assert "task1" in shown.inner_text("#tasks")
        assert shown.evaluate("document.getElementById('numbers-costs').open")
        shown.query_selector('[data-figure="costs"]').scroll_into_view_if_needed()
        shown.wait_for_selector('[data-figure="costs"] svg')
    assert wrong == []


def test_mistakes_are_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fixed_journal.write(tmp_path / "run")
    run = f"--workdir={tmp_path}/run"
    assert main(["report", run, "--serve", "--port=70000"]) == 2
    assert "expected 0 to 65535" in capsys.readouterr().err
    assert main(["report", run, "--serve", "--figures=here"]) == 2
    assert "leave --figures" in capsys.readouterr().err
    assert main(["report", f"--workdir={tmp_path}/nothing", "--serve", "--port=0"]) == 2
