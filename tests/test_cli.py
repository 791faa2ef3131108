"""Exit codes and messages of the command line, in process and by subprocess (munet/cli)."""

from __future__ import annotations

import errno
import logging
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from munet import __version__
from munet.cli import main
from munet.cli.parser import make_parser
from munet.errors import DataError, UserError
from munet.evolution.state import EvolutionError
from munet.progress import Note, RunStarted
from tests.installed import without


@pytest.fixture
def evolve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Callable[..., None]], list[dict[str, Any]]]:
    """Replaces the run by a function; gives the calls that it gets. The working directory is an empty one."""
    from munet.run import runs

    monkeypatch.chdir(tmp_path)

    def replace(function: Callable[..., None]) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = []

        def record(config: object, workdir: str, notify: object, dry_run: bool = False) -> None:
            calls.append({"config": config, "workdir": workdir, "dry_run": dry_run})
            function(notify)

        monkeypatch.setattr(runs, "evolve", record)
        monkeypatch.setattr("munet.cli.run_commands._print_results", lambda *_: None)
        return calls

    return replace


def fails(error: BaseException) -> Callable[..., None]:
    def function(notify: object) -> None:
        raise error

    return function


def python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=60, **options)


@pytest.mark.parametrize("arguments", [["--help"], ["-h"]])
def test_help_names_every_command_and_gives_examples(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    out = capsys.readouterr().out
    for command in ("evolve", "status", "graph", "verify", "data", "config", "pretrain"):
        assert f"\n  {command} " in out
    assert out.count("munet evolve ") >= 2
    assert max(map(len, out.splitlines())) <= 110


def test_help_is_fast_because_nothing_slow_is_imported() -> None:
    script = (
        "import sys; from munet.cli import main; main(['--help']);"
        "slow = {'jax', 'numpy', 'rich', 'absl', 'ml_collections', 'tensorflow_datasets', 'matplotlib'};"
        "sys.exit(', '.join(slow & set(sys.modules)) or 0)"
    )
    result = python("-c", script)
    assert (result.returncode, result.stderr) == (0, "")
    assert min(_cpu_seconds("-m", "munet", "--help") for _ in range(3)) < 0.5


def _cpu_seconds(*arguments: str) -> float:
    """Processor time of a Python process, which other processes hardly change."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    python(*arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def test_version_and_every_commands_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"munet {__version__}\n"
    for command in ("evolve", "status", "graph", "verify", "data", "config", "pretrain"):
        assert main([command, "--help"]) == 0
        assert f"usage: munet {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("commands", "folder"), [(("evolve", "pretrain", "train"), "configs"), (("benchmark",), "configs/suites")]
)
def test_help_names_all_that_ships(commands: tuple[str, ...], folder: str) -> None:
    text = " ".join(make_parser().help_texts()[command] for command in commands)
    names = {path.stem for path in (Path(__file__).parents[1] / folder).glob("*.py")}
    assert len(names) > 5
    assert {name for name in names if not re.search(rf"\b{name}\b", text)} == set()


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        ([], ["say which command"]),
        (["--workdir=x"], ["say which command"]),
        (["evlve"], ["there is no command 'evlve'", "'evolve'"]),
        (["evolve", "--wrkdir=x"], ["there is no option '--wrkdir=x'", "'--workdir'"]),
        (["evolve", "--work=x"], ["there is no option '--work=x'", "'--workdir'"]),
        (["status", "--workdr=a", "--taks", "b"], ["'--workdr=a'. Did", "'--workdir'", "'--taks'. Did", "'--task'"]),
        (["predict", "--top=many", "a.png"], ["--top takes a whole number; got 'many'."]),
        (["predict", "--min_confidence=high", "a.png"], ["--min_confidence takes a number; got 'high'."]),
        (
            ["export", "--check"],
            ["--check needs a value, --check=DIR: ", "logits of an exported folder"],
        ),
        (["status", "--task", "--json"], ["--task needs a value, --task=NAME: "]),
        (["evolve", "surplus"], ["evolve takes no 'surplus'", "needs quotes"]),
        (["status", "."], ["status takes no '.'", "Did you mean --workdir=.?"]),
        (["evolve", "--tasks=builtin:digits"], ["begin with --config", "--config.tasks=builtin:digits?"]),
        (["status", "--tasks=builtin:digits"], ["Did you mean '--task'"]),
        (["graph", "--outpt", "x"], ["'--output'", "usage: munet graph"]),
        (["data"], ["TASK"]),
        (["evolve", "--config=demmo"], ["there is no config file 'demmo'", "'demo'"]),
        (["evolve", "--config=characters:scal_0.3"], ["'scale_0.3'"]),
        (["evolve", "--config.sed=1", "--config.seed=x"], ["has 2 problems", "'seed'", "a whole number; got 'x'"]),
        (["evolve", "--config.learning_rate=1"], ["experiment.defaults.learning_rate"]),
        (["evolve", "--config.tasks="], ["experiment.tasks is empty"]),
        (["evolve", "--config.tasks=builtin:digits,builtin:digits"], ["more than once"]),
        (["evolve", "--config.search_space.image_size=16,40"], ["image size 40", "use 32 or 48"]),
        (["evolve", "--config.variant=Ti/17"], ["Ti/16"]),
        (["config", "--config.variant=Ti/17", "--config.seed=-1"], ["has 2 problems", "Ti/16", "experiment.seed = -1"]),
        (["status", "--workdir=nothing"], ["nothing"]),
        (["verify", "--workdir=nothing"], ["nothing"]),
        (["graph", "--workdir=nothing"], ["nothing"]),
        (["graph", "--format=pdf"], ["pdf"]),
        (["data", "builtin:digis"], ["'digits'"]),
        (["data", "builtin:digits?classes=0,4,x=folder:b"], ["munet data 'builtin:digits?classes=0,4' x=folder:b"]),
    ],
)
def test_bad_input_gives_2_a_message_and_leaves_nothing(
    arguments: list[str],
    messages: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "munet: " in captured.err
    assert "Traceback" not in captured.err
    for message in messages:
        assert message in captured.err
    assert list(tmp_path.iterdir()) == []


def test_config_lists_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    import json

    from munet.config.fields import settings_of

    assert main(["config", "--config=characters:scale_0.3", "--config.seed=7"]) == 0
    out = capsys.readouterr().out
    for path in settings_of():
        assert f"--config.{path}=" in out
    assert "--config.experiment.scale_factor=0.3" in out
    assert "--config.experiment.seed=7" in out
    assert main(["config", "--json", "--config.seed=7"]) == 0
    assert json.loads(capsys.readouterr().out)["experiment"]["seed"] == 7


def test_what_config_prints_can_be_given_back(capsys: pytest.CaptureFixture[str]) -> None:
    from munet.config.flags import parse_config, split_overrides

    main(["config", "--config=characters:scale_0.3"])
    printed = capsys.readouterr().out.splitlines()
    flags = [line.split("  # ")[0].strip() for line in printed if line.startswith("  --config.")]
    assert parse_config("demo", split_overrides(flags)[1]) == parse_config("characters:scale_0.3")


def test_evolve_passes_config_workdir_and_dry_run(
    evolve: Callable[..., list[dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    calls = evolve(lambda notify: notify(Note("hello")))
    assert main(["evolve"]) == 0
    assert main(["evolve", "--config=characters:full,scale_0.9", "--config.seed=5", "--dry_run"]) == 0
    assert main(["evolve", "--workdir", "here"]) == 0
    assert [call["workdir"] for call in calls] == ["runs/demo", "runs/characters-full-scale_0.9", "here"]
    assert [call["dry_run"] for call in calls] == [False, True, False]
    assert calls[1]["config"].experiment.seed == 5
    assert capsys.readouterr().out == "hello\n" * 3


def test_dry_run_writes_nothing(evolve: Callable[..., list[dict[str, Any]]], tmp_path: Path) -> None:
    started = RunStarted(str(tmp_path), ("a",), 1, 1, ("evolve:1x1",))
    evolve(lambda notify: notify(started))
    assert main(["evolve", "--dry_run"]) == 0
    assert list(tmp_path.iterdir()) == []
    assert main(["evolve"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


def caused(cause: Exception) -> Exception:
    """As libraries wrap what the system says."""
    error = RuntimeError("a library's own words")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UserError("no such thing"), 2, "munet: no such thing"),
        (DataError("no such set"), 2, "munet: no such set"),
        (EvolutionError("every child diverged"), 2, "munet: every child diverged"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "No space left on device. Make room."),
        (OSError(errno.EIO, "Input/output error", "/a/file"), 2, "Input/output error: /a/file. The disk, or the way"),
        (OSError(errno.EROFS, "x", "/a/file"), 2, "mount it for writing"),
        (OSError(errno.EACCES, "x", "/a/file"), 2, "Permission denied: /a/file. See to it"),
        (OSError(errno.EFBIG, "x"), 2, "ulimit -f"),
        (OSError(errno.EMFILE, "x"), 2, "ulimit -n"),
        (caused(OSError(errno.EIO, "x")), 2, "Input/output error"),
        (ValueError("UNKNOWN: [OS error 28: No space left on device]"), 2, "Make room"),
        (MemoryError(), 2, "no memory left"),
        (OSError("who knows"), 1, "Traceback"),
        (FileNotFoundError(errno.ENOENT, "x", "ours"), 1, "Traceback"),
        (RuntimeError("a bug"), 1, "RuntimeError: a bug"),
        (KeyError("a bug"), 1, "Traceback"),
    ],
)
def test_exit_codes_of_a_run_that_fails(
    evolve: Callable[..., list[dict[str, Any]]],
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    code: int,
    message: str,
) -> None:
    evolve(fails(error))
    assert main(["evolve", "--config.seed=3"]) == code
    err = capsys.readouterr().err
    assert message in err
    assert ("Traceback" in err) == (code == 1)
    assert ("munet evolve --config.seed=3" in err) == (code == 1)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_cleanly_and_say_how_to_go_on(
    evolve: Callable[..., list[dict[str, Any]]], capsys: pytest.CaptureFixture[str], number: int, code: int
) -> None:
    def stop(notify: object) -> None:
        os.kill(os.getpid(), number)
        time.sleep(5)

    before = signal.getsignal(signal.SIGTERM)
    evolve(stop)
    assert main(["evolve", "--config.tasks=('builtin:digits',)"]) == code
    captured = capsys.readouterr()
    assert "Resume with: munet evolve '--config.tasks=('\"'\"'builtin:digits'\"'\"',)'" in captured.err
    assert "interrupted after" in captured.out
    assert "Traceback" not in captured.err
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_interrupt_while_something_is_compiled_ends_as_any_other(tmp_path: Path) -> None:
    """A process of its own: Python's last steps are part of it."""
    settings = ("--config=base:quick", "--config.tasks=builtin:digits", f"--config.cache_dir={tmp_path}/cache")
    command = [sys.executable, "-u", "-m", "munet", "evolve", *settings, f"--workdir={tmp_path}/run", "--dry_run"]
    quick = ("XLA_FLAGS", "JAX_DISABLE_MOST_OPTIMIZATIONS")  # of the tests: compiling is to take its time here
    slow = {name: value for name, value in os.environ.items() if name not in quick}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=slow, start_new_session=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if " of cpu " in line:  # from here on a step is compiled and timed
                break
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130, (process.returncode, errors)
    assert "Interrupted. Again: munet evolve" in errors


@pytest.mark.parametrize("command", ["roots", "data tfds:mnist"])
def test_without_a_home_directory_it_is_said_what_to_give(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a container whose user is not known there."""

    def unknown(user: int) -> None:
        raise KeyError(user)

    for name in ("HOME", "MUNET_CACHE_DIR", "TFDS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert main(command.split()) == 2
    assert "no home directory" in (errors := capsys.readouterr().err)
    assert "MUNET_CACHE_DIR" in errors
    monkeypatch.setenv("MUNET_CACHE_DIR", "/nowhere")
    assert main(["roots"]) == 0


@pytest.mark.parametrize("platform", [pytest.param("cuda", marks=without("NVIDIA GPU")), "nonsense"])
def test_an_accelerator_that_cannot_start_is_no_failure_of_ours(platform: str) -> None:
    result = python("-m", "munet", "evolve", "--dry_run", env={**os.environ, "JAX_PLATFORMS": platform})
    assert result.returncode == 2, result.stderr
    assert f"No accelerator can be used (JAX_PLATFORMS={platform})" in result.stderr
    assert "Traceback" not in result.stderr


def test_arguments_that_are_not_utf_8_are_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--workdir=runs/a\udcff"]) == 2
    assert "runs/a\\udcff is not UTF-8" in capfd.readouterr().err


def test_a_reader_that_stops_reading_is_no_failure() -> None:
    command = f"{sys.executable} -m munet config | true; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) in [(141, ""), (0, "")]  # 0: everything fitted into the pipe before


def test_the_console_script_works_as_a_module() -> None:
    result = python("-m", "munet", "evolve", "--config.sed=1")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("munet: The configuration has a problem:\n  - --config.sed=1: ")


def test_warnings_of_modules_are_said_plainly(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger("munet.some.module")
    before = list(logging.getLogger("munet").handlers)
    monkeypatch.setattr("munet.cli.run_commands.config", lambda **_: logger.warning("the cache is %s", "full"))
    assert main(["config"]) == 0
    assert capsys.readouterr().err == "munet: warning: the cache is full\n"
    assert logging.getLogger("munet").handlers == before
    assert logging.getLogger("munet").propagate
