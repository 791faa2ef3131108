"""The devices that JAX shows this process, or in words why there are none: busy, no driver, several hosts.

Everything that needs devices asks here and not JAX: a process may only use its own (`jax.local_devices`), and what JAX
raises where an accelerator cannot start is the machine's state, which its user can change (exit code 2).
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
import urllib.error
import urllib.request
from pathlib import Path

import jax

from munet.errors import UserError

logger = logging.getLogger(__name__)

_NVIDIA = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg")
_TPU_NODES = ("accel[0-9]*", "vfio/[0-9]*")  # below /dev
_GOOGLE_PCI_VENDOR = "0x1ae0"
_METADATA = "http://{host}/computeMetadata/v1/instance/attributes/worker-network-endpoints"
_JAX_LOGGER = "jax._src.xla_bridge"  # says of a missing plugin less than is said here
_EXTRAS = {"NVIDIA GPU": ("cuda", "jax_cuda12_plugin jax_cuda13_plugin"), "TPU": ("tpu", "libtpu")}
_MAX_CAUSE = 300  # characters of what JAX says
_INSTALL = "MUNET_EXTRAS={0} ./launch/local.sh installs it (or, in munet's folder, pip install -e '.[{0}]'). "
# What a word of JAX's, or of JAX_PLATFORMS, tells; the first that fits.
_ADVICE = {
    ("busy", "already in use", "libtpu_lockfile", "libtpu multi-process"): (
        "Another process has it: `nvidia-smi`, or `sudo lsof /dev/accel* /dev/vfio/*`, names it. A TPU belongs to one "
        "process at a time: end that one, or wait for it; where none runs, remove /tmp/libtpu_lockfile. "
    ),
    ("permission denied", "not permitted"): (
        "This user may not open it: a container needs it passed on (--privileged, --gpus=all). "
    ),
    ("tpu.so", "tpu"): "TPU support is not installed, or this machine has no TPU: " + _INSTALL.format("tpu"),
    ("out of memory", "resource_exhausted"): "Its memory is taken, by another process: `nvidia-smi` names it. ",
    ("cuda", "gpu", "no supported device"): (
        "GPU support is not installed, or the driver is missing (`nvidia-smi` then fails): " + _INSTALL.format("cuda")
    ),
    ("not in the list of known",): "JAX knows no such platform: give cuda, tpu or cpu. ",
}


@functools.cache
def local_devices() -> tuple[jax.Device, ...]:
    """The devices of this process, on this host.

    Raises:
      UserError: none can be used, or this is one of several processes or hosts that would have to start together.
    """
    refuse_one_of_several()
    idle = machine_has()
    try:
        with _JaxSaysLess(idle):
            devices = jax.local_devices()
            count = jax.process_count()
    except (RuntimeError, AssertionError) as error:  # AssertionError: JAX_PLATFORMS=cuda without a plugin
        raise UserError(cannot_start(str(error))) from error
    if count > 1:
        raise UserError(
            f"This is process {jax.process_index()} of {count} that jax.distributed has joined: munet uses the devices "
            "of one process, and several would train without each other's results. Start it on one host, or a run of "
            "its own with its own --workdir on each, without jax.distributed.initialize()."
        )
    if devices[0].platform == "cpu" and idle and not _platforms():
        logger.warning(
            "this machine has %s, but JAX runs on its processor: %s. JAX_PLATFORMS=cpu if that is meant.",
            f"an {idle}" if idle == "NVIDIA GPU" else f"a {idle}",
            _why_idle(idle),
        )
    return tuple(devices)


def refuse_one_of_several() -> None:
    """Refuses one worker of a TPU slice of several hosts, where JAX would wait for the other workers without a word.

    Raises:
      UserError: this host's chips belong to a larger slice, and nobody has said that they shall be used alone.
    """
    if _platforms() == "cpu" or os.environ.get("TPU_PROCESS_BOUNDS") == "1,1,1":
        return
    others = slice_workers()
    if others > 1:
        raise UserError(
            f"This host is one of {others} workers of a TPU slice: JAX would wait here until munet was started on all "
            "of them, and then use devices that one process cannot reach. Take a machine of one host (v5litepod-8, "
            "v6e-8, v4-8 or smaller), or use this worker's chips alone: TPU_PROCESS_BOUNDS=1,1,1 "
            "TPU_CHIPS_PER_PROCESS_BOUNDS=2,2,1 TPU_VISIBLE_CHIPS=0,1,2,3 (for four chips) and a --workdir of its own."
        )


def slice_workers() -> int:
    """How many hosts the TPU slice of this machine has; 1 where it is no part of one, or nobody tells."""
    if names := os.environ.get("TPU_WORKER_HOSTNAMES"):  # GKE
        return len(names.split(","))
    if not _has_tpu() or os.environ.get("TPU_SKIP_MDS_QUERY"):
        return 1
    address = _METADATA.format(host=os.environ.get("GCE_METADATA_IP", "metadata.google.internal"))
    request = urllib.request.Request(address, headers={"Metadata-Flavor": "Google"})
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:
            return max(len(answer.read(1 << 16).decode().split(",")), 1)
    except (OSError, urllib.error.URLError, ValueError):
        return 1


def machine_has() -> str:
    """The accelerator that this machine seems to have, whether JAX can use it or not; "" for none."""
    if any(Path(node).exists() for node in _NVIDIA):
        return "NVIDIA GPU"
    return "TPU" if _has_tpu() else ""


def missing_extra(accelerator: str) -> str:
    """The extra to install for an accelerator that JAX does not see; "" where its plugin is installed."""
    extra, plugins = _EXTRAS[accelerator]
    return "" if any(importlib.util.find_spec(plugin) for plugin in plugins.split()) else extra


def cannot_start(cause: str) -> str:
    """What is said where JAX cannot start the accelerator, and what to do.

    Args:
      cause: JAX's words; "" where it has none.
    """
    platforms = _platforms()
    words = f"{cause} {platforms}".lower()
    advice = next((advice for signs, advice in _ADVICE.items() if any(sign in words for sign in signs)), "")
    wanted = f" (JAX_PLATFORMS={platforms})" if platforms else ""
    said = f" JAX says: {' '.join(cause.split())[:_MAX_CAUSE]}" if cause else ""
    return f"No accelerator can be used{wanted}. {advice}JAX_PLATFORMS=cpu runs on the processor.{said}"


def _platforms() -> str:
    """What JAX is told to use, by JAX_PLATFORMS or by who leaves the devices to other processes; "": what is there."""
    return str(jax.config.jax_platforms or "")  # type: ignore[attr-defined]


def _has_tpu() -> bool:
    """Whether chips of a TPU are attached; Google's network cards have the same PCI vendor, so a node must be there."""
    if not any(any(Path("/dev").glob(pattern)) for pattern in _TPU_NODES):
        return False
    vendors = Path("/sys/bus/pci/devices").glob("*/vendor")
    return any(vendor.read_text().strip() == _GOOGLE_PCI_VENDOR for vendor in vendors)


def _why_idle(accelerator: str) -> str:
    extra = missing_extra(accelerator)
    if extra:
        return f"the extra `{extra}` is not installed. {_INSTALL.format(extra).rstrip('. ')}"
    return "its driver or its library does not start; JAX's own warning says why"


class _JaxSaysLess(logging.Filter):
    """While devices are looked for, JAX's remark that a plugin may be missing is left out: ours names the extra."""

    def __init__(self, accelerator: str):
        super().__init__()
        self._is_ours = bool(accelerator) and bool(missing_extra(accelerator))

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether JAX may say it."""
        return not (self._is_ours and "may be present on this machine" in record.getMessage())

    def __enter__(self) -> None:
        logging.getLogger(_JAX_LOGGER).addFilter(self)

    def __exit__(self, *_: object) -> None:
        logging.getLogger(_JAX_LOGGER).removeFilter(self)
