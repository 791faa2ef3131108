"""The one way from `experiment.root` or `munet.load_root(...)` to a checkpoint, whatever was named.

demo                                    the root in the package
/data/Ti_16.npz                         a file in the augreg layout
/models/vit  /models/vit.safetensors    a ViT of timm or Hugging Face, as folder or file
augreg:Ti_16-i21k-...                   a checkpoint of the "How to train your ViT?" release, by name
https://... gs://...                    a file to download, with #sha256=... if you know it
munet:runs/demo?task=digits             a model of an earlier run of ours
munet:runs/joint?trunk                  the layers that all tasks of a joint training share
random:Ti/16?seed=1                     values that have learnt nothing, as a control
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from munet.errors import CheckpointError, did_you_mean, nearest
from munet.paths import expanded
from munet.roots import cached_files, names, random_root, systems
from munet.roots.checkpoint import FORMATS, Checkpoint, check_format, describe, open_local
from munet.roots.download import fetch
from munet.roots.remote_file import SCHEMES, source
from munet.store.folders import local_path
from munet.vit.augreg import demo_root_path

DEMO = "demo"
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
_FORMS = (
    f"a path, {DEMO}, https://..., gs://..., {names.SCHEME}NAME, {systems.SCHEME}WORKDIR?task=TASK or "
    f"{random_root.SCHEME}VARIANT"
)


def find(reference: str | Path, cache_dir: str = "") -> Checkpoint:
    """The checkpoint that a person means; it is downloaded into the cache if it must be.

    Args:
      reference: see above.
      cache_dir: as for `munet.data.cache.folder`.

    Raises:
      CheckpointError: there is none, it cannot be had, is damaged, or is no ViT that munet knows.
      WorkdirError: the run that is named is not there.
    """
    text = str(reference)
    if text == DEMO:
        return open_local(text, demo_root_path())
    if text == random_root.NAME:
        raise CheckpointError(f"A random root has a variant: give e.g. {random_root.SCHEME}Ti/16.")
    if not text:
        raise CheckpointError(f"No root is named: give {_FORMS}.")
    if text.startswith(systems.SCHEME):
        return systems.open_system(text)
    if text.startswith(random_root.SCHEME):
        return random_root.open_random(text)
    if text.startswith(names.SCHEME):
        name, sha256 = _fragment(text)
        name = names.full_name(name.removeprefix(names.SCHEME))
        try:
            return _download(text, names.url(name), cache_dir, sha256)
        except CheckpointError as error:
            if name in names.KNOWN:
                raise
            advice = f"{name} is not among the names that munet knows. {nearest(name, names.KNOWN)}"
            raise CheckpointError(f"{error}\n{advice}") from error
    text = local_path(text)
    scheme = text.partition("://")[0] if "://" in text else ""
    if scheme in SCHEMES:
        url, sha256 = _fragment(text)
        return _download(text, url, cache_dir, sha256)
    if scheme or _looks_like_a_scheme(text):
        given = scheme or text.partition(":")[0]
        raise CheckpointError(
            f"{text}: there is no kind of root {given!r}. {nearest(given, [*SCHEMES, 'augreg', 'munet', 'random'])} "
            f"A root is {_FORMS}."
        )
    path = expanded(text)
    if not path.suffix and not path.exists():
        raise CheckpointError(f"There is no root {text!r}: {_near(text, path)} A root is {_FORMS}.")
    return open_local(text, path)


def location(reference: str, cache_dir: str = "") -> Path | None:
    """Where a root to download is, or would be, in the cache; None for one that needs no download.

    Raises:
      CheckpointError: an unknown name.
    """
    if reference.startswith(names.SCHEME):
        name = names.full_name(_fragment(reference)[0].removeprefix(names.SCHEME))
        return cached_files.place(names.url(name), cache_dir)
    if reference.partition("://")[0] in SCHEMES:
        return cached_files.place(_fragment(reference)[0], cache_dir)
    return None


def needs_download(reference: str, cache_dir: str = "") -> bool:
    """Whether `find` would have to fetch something.

    Raises:
      CheckpointError: an unknown name.
      UserError: it would, and there is no cache.
    """
    found = location(reference, cache_dir)
    return found is not None and not found.exists()


def _download(reference: str, url: str, cache_dir: str, sha256: str) -> Checkpoint:
    parts = urlsplit(url)
    suffix = Path(parts.path).suffix
    check_format(url, suffix)
    if parts.scheme == "http" and not sha256 and parts.hostname not in _LOCAL_HOSTS:
        raise CheckpointError(
            f"{url} can be changed on its way by anybody: give it as https://, or with #sha256=... at its end."
        )
    place = cached_files.place(url, cache_dir)
    fetch(url, source(url), place, lambda part: describe(part, suffix), sha256=sha256)
    digest = cached_files.check(place)
    if sha256 and digest != sha256:
        raise CheckpointError(f"{place}, downloaded before, has the SHA-256 {digest}, expected {sha256}: remove it.")
    return open_local(reference, place, digest)


def _fragment(text: str) -> tuple[str, str]:
    """A reference without its `#sha256=...`, and that hash; "" if there is none.

    Raises:
      CheckpointError: something else follows the #.
    """
    rest, _, fragment = text.partition("#")
    if not fragment:
        return rest, ""
    match = re.fullmatch(r"sha256=([0-9a-fA-F]{64})", fragment)
    if match is None:
        raise CheckpointError(f"{text}: after # is expected sha256= and 64 hexadecimal digits.")
    return rest, match[1].lower()


def _near(text: str, path: Path) -> str:
    """What may have been meant by a name that is no file: the demo, a known name without its scheme, or a neighbour."""
    if any(name.startswith(text) for name in names.KNOWN):
        return f"Did you mean {names.SCHEME + text!r}?"
    places = path.parent.iterdir() if path.parent.is_dir() else ()
    neighbours = [place.name for place in places if place.is_dir() or place.suffix in FORMATS]
    choices = [DEMO, *neighbours] if path.parent == Path() else neighbours
    return did_you_mean(path.name, choices) or "no file or folder is called so."


def _looks_like_a_scheme(text: str) -> bool:
    return re.match(r"[a-z]{2,12}:", text) is not None and not expanded(text).exists()
