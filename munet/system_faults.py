"""What the operating system refuses (a disk that fails, a file that may not be written), told as what it is.

Such errors are no failures of munet's: they get one message that names the file, the cause and what to do.
"""

from __future__ import annotations

import errno
import os
import re

_AGAIN = "What was committed is kept: then give the same command again."
_FULL = f"Make room. {_AGAIN}"
_RIGHTS = "See to it that you may read and write it (owner, mode, mount options), or give another place."
_DEVICE = f"The disk, or the way to it, fails: look into the system's log (dmesg), and copy what matters. {_AGAIN}"
_WHAT_TO_DO = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: f"No file of this size is allowed (ulimit -f, or the file system): lift that, or move. {_AGAIN}",
    errno.EROFS: f"The file system can only be read: mount it for writing, or give another place. {_AGAIN}",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EIO: _DEVICE,
    errno.ENXIO: _DEVICE,
    errno.ENODEV: _DEVICE,
    errno.EREMOTEIO: _DEVICE,
    errno.EUCLEAN: _DEVICE,
    errno.ESTALE: f"The file server no longer knows the file: mount it again. {_AGAIN}",
    errno.ETIMEDOUT: f"The file server or the network does not answer. {_AGAIN}",
    errno.EMFILE: f"Too many files are open: raise the limit (ulimit -n 4096). {_AGAIN}",
    errno.ENFILE: f"Too many files are open on this machine: end what holds them. {_AGAIN}",
    errno.ENOMEM: f"There is no memory left: end what holds it. {_AGAIN}",
    errno.EAGAIN: f"No further thread or process may be started: raise the limit (ulimit -u). {_AGAIN}",
    errno.ENAMETOOLONG: "The name is too long for the file system: give a shorter one.",
    errno.ELOOP: "Symbolic links lead in a circle: mend them.",
    errno.ETXTBSY: f"Somebody is running the file. {_AGAIN}",
    errno.EBUSY: f"Somebody is using it. {_AGAIN}",
}
_NO_THREAD = "can't start new thread"


def explained(error: BaseException) -> str:
    """The message for an error whose cause is the operating system; "" for any other.

    Libraries wrap such errors in their own: causes and contexts are looked at, too.
    """
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        if (number := _number(one)) is not None:
            return _message(one, number)
        one = one.__cause__ or one.__context__
    return ""


def _number(error: BaseException) -> int | None:
    """The error's number if it is one of those above."""
    if isinstance(error, MemoryError):
        return errno.ENOMEM
    if isinstance(error, RuntimeError) and _NO_THREAD in str(error):
        return errno.EAGAIN
    if isinstance(error, OSError):
        return error.errno if error.errno in _WHAT_TO_DO else None
    return _named(str(error))


def _named(text: str) -> int | None:
    """The number of an error that a library has put into words: `... [OS error 28: No space left on device]`."""
    if found := re.search(r"OS error (\d+)", text):
        number = int(found[1])
        return number if number in _WHAT_TO_DO else None
    return None


def _message(error: BaseException, number: int) -> str:
    what = os.strerror(number)
    given = getattr(error, "filename", None), getattr(error, "filename2", None)
    place = " -> ".join(str(name) for name in given if name)
    return f"{what}{f': {place}' if place else ''}. {_WHAT_TO_DO[number]}"
