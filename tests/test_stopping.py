"""Signals are held back where something would be lost, and nowhere else; a second one ends the process at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from munet.stopping import SIGNALS, Signals, swallowed_are_sent_again
from munet.threads import in_threads


def send(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0.01)


def raised(work: Callable[[Signals], None]) -> BaseException | None:
    """What comes of something that is done while signals are held back."""
    signals = Signals()
    before = [signal.getsignal(number) for number in SIGNALS]
    try:
        with signals.held():
            work(signals)
    except (KeyboardInterrupt, ValueError) as error:
        return error
    finally:
        assert [signal.getsignal(number) for number in SIGNALS] == before
    return None


def test_a_signal_waits_until_it_is_asked_for() -> None:
    def work(signals: Signals) -> None:
        signals.check()
        assert not signals.is_requested
        send()
        assert signals.is_requested
        signals.check()
        pytest.fail("it takes effect")

    assert isinstance(raised(work), KeyboardInterrupt)


def test_at_the_end_it_takes_effect_in_any_case() -> None:
    assert isinstance(raised(lambda _: send()), KeyboardInterrupt)
    assert raised(lambda _: None) is None


def test_an_error_is_told_before_a_signal() -> None:
    def work(_: Signals) -> None:
        send()
        raise ValueError("mine")

    assert isinstance(raised(work), ValueError)


@pytest.mark.parametrize("sooner", [False, True])
def test_signals_are_let_through_where_nothing_would_be_lost(sooner: bool) -> None:
    def work(signals: Signals) -> None:
        if sooner:
            send()
        with signals.let_through():
            send()
            time.sleep(1)
            pytest.fail("it takes effect at once")

    assert isinstance(raised(work), KeyboardInterrupt)


def test_handlers_of_others_are_theirs() -> None:
    """One that does not raise lets the run go on; one that is ignored stays so."""
    seen: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}
    signals = Signals()
    try:
        signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        with signals.held():
            send(signal.SIGUSR1)
            assert not signals.is_requested
            send(signal.SIGTERM)
            assert not seen
            signals.check()
            assert seen == [signal.SIGTERM]
            assert not signals.is_requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_other_threads_hold_nothing_back() -> None:
    held: list[bool] = []

    def work() -> None:
        with Signals().held():
            held.append(signal.getsignal(signal.SIGINT) is signal.default_int_handler)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert held == [True]


class Interrupted:
    """Where an exception is only told of by Python: as in the callback that JAX has at the garbage collector."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def test_an_interrupt_that_python_swallows_comes_again() -> None:
    with pytest.raises(KeyboardInterrupt), swallowed_are_sent_again({KeyboardInterrupt: signal.SIGINT}):  # noqa: PT012
        Interrupted()
        time.sleep(20)


def test_other_swallowed_exceptions_are_told_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[type[BaseException]] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda swallowed: told.append(swallowed.exc_type))

    class Odd:
        def __del__(self) -> None:
            raise ValueError("odd")

    with swallowed_are_sent_again({KeyboardInterrupt: signal.SIGINT}):
        Odd()
    assert told == [ValueError]


SCRIPT = """
import ctypes, signal, sys
from munet.stopping import Signals, second_ends_at_once
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
with second_ends_at_once(), Signals().held():
    print("ready", flush=True)
    # A signal ends a sleep in C, but no handler of Python's runs before the next line: as in XLA.
    list(map(ctypes.CDLL(None).sleep, [60] * 9))
"""


def start() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.2)
    return process


@pytest.mark.parametrize(("second", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_second_signal_ends_at_once(second: int, code: int) -> None:
    with start() as process:
        process.send_signal(signal.SIGTERM)
        time.sleep(0.7)
        assert process.poll() is None
        sent = time.monotonic()
        process.send_signal(second)
        _, errors = process.communicate(timeout=20)
        assert (process.returncode, time.monotonic() - sent < 5) == (code, True)
        assert "ended at once" in errors


def test_one_signal_that_arrives_twice_is_one() -> None:
    """To a process and to its group, say."""
    with start() as process:
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert process.poll() is None
        process.kill()


def test_who_is_interrupted_does_not_wait_for_threads() -> None:
    go_on = threading.Event()
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(in_threads(lambda _: go_on.wait(20), range(2), 2))
    assert time.monotonic() - started < 10
    go_on.set()
