"""A stand-in for `gcloud compute tpus` that answers like the real one, over a folder: it preempts, and it fails.

Called as `gcloud`; `CLOUD` is its folder: `request` (state of the one queued resource), `home` (the machine's disk),
`calls` (a line for each), `plan.json`: {"fail_before": [CALL...], "fail_after": [CALL...], "preempt": [CALL...],
"waits": N}, by the number of the call. A machine's processes are those of its process group, killed with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

CLOUD = Path(os.environ["CLOUD"])
REQUEST, HOME, CALLS = CLOUD / "request", CLOUD / "home", CLOUD / "calls"
VALID = {
    "queued-resources create": {
        "node-id", "accelerator-type", "runtime-version", "spot", "valid-until-duration", "service-account", "network",
        "subnetwork", "scopes", "project", "zone", "quiet",
    },
    "queued-resources describe": {"format", "project", "zone", "quiet"},
    "queued-resources delete": {"force", "project", "zone", "quiet"},
    "queued-resources list": {"project", "zone", "quiet"},
    "tpu-vm list": {"format", "project", "zone", "quiet"},
    "tpu-vm delete": {"project", "zone", "quiet"},
    "tpu-vm ssh": {"worker", "command", "project", "zone", "quiet"},
    "tpu-vm scp": {"worker", "project", "zone", "quiet"},
}  # fmt: skip  # of the reference of gcloud, for the commands that tpu_vm.sh gives


def main(arguments: list[str]) -> int:
    if arguments[:2] != ["compute", "tpus"]:
        return fail(f"unrecognized arguments: {arguments}")
    name, rest = " ".join(arguments[2:4]), arguments[4:]
    options = dict(part[2:].partition("=")[::2] for part in rest if part.startswith("--"))
    given = [part for part in rest if not part.startswith("--")]
    if unknown := set(options) - VALID[name]:
        return fail(f"unrecognized arguments: {sorted(unknown)}")
    with CALLS.open("a") as log:
        log.write(f"{name}\n")
    number = len(CALLS.read_text().splitlines())
    plan = json.loads((CLOUD / "plan.json").read_text())
    if number in plan.get("preempt", []):
        preempt()
    if number in plan.get("fail_before", []):
        return fail("503 The service is currently unavailable.")
    code = COMMANDS[name](options, given, plan)
    return fail("connection reset by peer") if number in plan.get("fail_after", []) else code


def fail(words: str) -> int:
    print(f"ERROR: (gcloud.compute.tpus) {words}", file=sys.stderr)
    return 1


def state() -> str:
    return REQUEST.read_text() if REQUEST.exists() else ""


def preempt() -> None:
    if state() == "ACTIVE":
        end_machine()
        REQUEST.write_text("SUSPENDING")


def end_machine() -> None:
    for pid in (CLOUD / "sessions").glob("*"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int(pid.name), signal.SIGKILL)
        pid.unlink()
    shutil.rmtree(HOME, ignore_errors=True)


def create(options: dict[str, str], given: list[str], plan: dict[str, Any]) -> int:
    if state():
        return fail("ALREADY_EXISTS: the resource exists")
    assert {"node-id", "accelerator-type", "runtime-version"} <= set(options)
    assert given == [options["node-id"]]
    REQUEST.write_text("WAITING_FOR_RESOURCES")
    (CLOUD / "waits").write_text(str(plan.get("waits", 1)))
    return 0


def describe(options: dict[str, str], given: list[str], plan: dict[str, Any]) -> int:
    now = state()
    if not now:
        return fail(f"NOT_FOUND: Resource 'projects/p/locations/z/queuedResources/{given[0]}' was not found")
    if now == "WAITING_FOR_RESOURCES":
        left = int((CLOUD / "waits").read_text())
        if left:
            (CLOUD / "waits").write_text(str(left - 1))
        else:
            now = "FAILED" if plan.get("refused") else "ACTIVE"
            REQUEST.write_text(now)
            if now == "ACTIVE":
                HOME.mkdir()
                with (CLOUD / "machines").open("a") as log:
                    log.write("made\n")
    elif now == "SUSPENDING":
        REQUEST.write_text("SUSPENDED")
    print(now if options.get("format") == "value(state.state)" else f"state:\n  state: {now}")
    return 0


def delete(options: dict[str, str], given: list[str], plan: dict[str, Any]) -> int:
    if not state():
        return fail("NOT_FOUND: was not found")
    if "force" not in options and state() == "ACTIVE":
        return fail("the queued resource has nodes")
    end_machine()
    REQUEST.unlink()
    return 0


def list_all(options: dict[str, str], given: list[str], plan: dict[str, Any]) -> int:
    if options.get("format") == "value(name)":
        orphans = (CLOUD / "orphan").read_text() if (CLOUD / "orphan").exists() else ""
        print(orphans + ("munet-other" if not HOME.exists() else "projects/p/locations/z/nodes/munet-test"))
        return 0
    print(f"NAME STATE\nmunet-test {state()}" if state() else "Listed 0 items.")
    return 0


def delete_node(options: dict[str, str], given: list[str], plan: dict[str, Any]) -> int:
    (CLOUD / "orphan").unlink()
    return 0


def ssh(options: dict[str, str], given: list[str], plan: dict[str, Any]) -> int:
    if state() != "ACTIVE":
        return fail("the node is not READY")
    path = f"{CLOUD / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", options["command"]], cwd=HOME, env={**os.environ, "HOME": str(HOME), "PATH": path}
    ).returncode


def scp(options: dict[str, str], given: list[str], plan: dict[str, Any]) -> int:
    if state() != "ACTIVE":
        return fail("the node is not READY")
    shutil.copy(given[0], HOME / given[1].partition(":")[2])
    return 0


COMMANDS: dict[str, Callable[[dict[str, str], list[str], dict[str, Any]], int]] = {
    "queued-resources create": create, "queued-resources describe": describe, "queued-resources delete": delete,
    "queued-resources list": list_all, "tpu-vm list": list_all, "tpu-vm delete": delete_node, "tpu-vm ssh": ssh,
    "tpu-vm scp": scp,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
