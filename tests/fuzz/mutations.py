"""What happens to bytes and texts on their way to a reader: accidents, and small things that a stranger writes."""

from __future__ import annotations

import random
import zipfile
from collections.abc import Sequence
from io import BytesIO

_WORDS = (
    b"\x00", b"\xff", b"\xff\xff\xff\xff", b"\x00" * 8, b"\xff" * 8, b"\x7f\xff\xff\xff", b"\n", b'"', b"'", b",", b"{",
    b"}", b"[", b"]", b"-1", b"1e999", b"NaN", b"null", b"\xc3\x28", b"\xed\xa0\x80", b"../", b"/", b"9" * 30, b"\x1b",
)  # fmt: skip
_NUMBERS = (1, 1, 1, 2, 3, 6)  # of accidents to one file


def mutated(data: bytes, draw: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """The bytes after one to six accidents; `others` are such files, of which pieces are put in."""
    altered = bytearray(data)
    for _ in range(draw.choice(_NUMBERS)):
        place = _place(len(altered), draw)
        match draw.randrange(8):
            case 0:
                if altered:
                    altered[place % len(altered)] ^= 1 << draw.randrange(8)
            case 1:
                altered[place : place + 1] = bytes([draw.randrange(256)])
            case 2:
                word = draw.choice(_WORDS)
                altered[place : place + len(word)] = word
            case 3:
                altered[place:place] = draw.choice(_WORDS)
            case 4:
                del altered[place : place + draw.randint(1, 64)]
            case 5:
                if draw.random() < 0.3:
                    del altered[place:]
            case 6:
                end = place + draw.randint(1, 300)
                altered[place:place] = altered[place:end]
            case _:
                other = draw.choice(others) if others else data
                start = _place(len(other), draw)
                altered[place : place + draw.randint(0, 64)] = other[start : start + draw.randint(1, 64)]
    return bytes(altered)


def mutated_text(text: str, draw: random.Random, others: Sequence[str] = ()) -> str:
    """A text after such accidents, with whatever is no longer UTF-8 replaced or kept as Python keeps it."""
    data = mutated(text.encode(errors="surrogateescape"), draw, [one.encode() for one in others])
    return data.decode(errors=draw.choice(["replace", "surrogateescape"]))


def mutated_zip(data: bytes, draw: random.Random) -> bytes:
    """A zip file whose members were altered, with sound checksums and directory: only a reader's checks can tell."""
    target = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as source, zipfile.ZipFile(target, "w") as written:
        for name in source.namelist():
            content = source.read(name)
            if draw.random() < 0.5:
                cut = min(len(content), 128)  # headers more often than data
                content = (
                    mutated(content[:cut], draw) + content[cut:] if draw.random() < 0.8 else mutated(content, draw)
                )
            how = draw.choice([zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
            if draw.random() > 0.05:
                written.writestr(zipfile.ZipInfo(name), content, how)
    return target.getvalue()


def _place(size: int, draw: random.Random) -> int:
    """A place: near the start as often as anywhere, and sometimes at the end."""
    kind = draw.random()
    if kind < 0.5:
        return draw.randrange(size + 1)
    return draw.randrange(min(size, 256) + 1) if kind < 0.9 else max(size - draw.randrange(64), 0)
