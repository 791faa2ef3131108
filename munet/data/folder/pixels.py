"""The pixels of a folder's files: decoded once into the cache, or, of a set that is streamed, whenever they are needed.

Either way every file is decoded once when the task is opened, because only that tells which of them can be used; the
outcome is kept by content.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from PIL import __version__ as pillow_version
from PIL import features

from munet.data import images as pixels
from munet.data import photos
from munet.data.cache import Allocate, NamedArrays, cached_arrays, cached_large_arrays, content_key
from munet.data.folder.image_files import Listing
from munet.data.folder.index import FileFacts, Progress
from munet.data.open_settings import OpenSettings, TaskUri
from munet.data.splits import Images
from munet.data.streamed import StreamedImages
from munet.data.value_range import ValueRange
from munet.errors import DataError
from munet.threads import in_threads

FORMAT = 2  # of the decoded images in the cache; count up when decoding changes


@dataclass(frozen=True)
class FolderPixels:
    """The images of a folder, one for each content.

    Attributes:
      uri, listing, facts, settings: the task, its files, what is known of each, and how it is opened.
      is_streamed: whether no more than the outcome of decoding is kept.
    """

    uri: TaskUri
    listing: Listing
    facts: Sequence[FileFacts]
    settings: OpenSettings
    is_streamed: bool

    @cached_property
    def value_range(self) -> ValueRange | None:
        """What black and white are in grey images, where the task says so; raises `DataError`."""
        text = self.uri.options.get("range")
        return None if text is None else ValueRange.parse(self.uri.text, text)

    @cached_property
    def rows(self) -> Mapping[str, int]:
        """Where the image of each content is, by digest; only of files with a sound header."""
        return {digest: row for row, digest in enumerate(sorted({f.digest for f in self.facts if not f.problem}))}

    def problems(self) -> list[str]:
        """Why each file cannot be used; "" if it can. Decodes all of them, where the cache does not know."""
        rows, found = self.rows, [str(problem) for problem in self._outcome["problems"]]
        return [fact.problem or found[rows[fact.digest]] for fact in self.facts]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels (one if every image is grey) of the decoded images."""
        if self.is_streamed:
            return (*self._canvas.shape, int(self._outcome["channels"]))
        height, width, channels = self._outcome["images"].shape[1:]
        return height, width, channels

    def images(self, numbers: Sequence[int] | Int64[np.ndarray, " n"]) -> Images:
        """The images of some files that can be used, by number."""
        rows = np.array([self.rows[self.facts[number].digest] for number in numbers], np.int64)
        if not self.is_streamed:
            images: np.ndarray = self._outcome["images"]  # mapped where there is a cache
            return images[rows]
        digests = list(self.rows)
        # Its threads decode as long as the task is in training: too long to silence all warnings meanwhile.
        warnings.filterwarnings("ignore", module=r"PIL\b")

        def read(wanted: Sequence[int]) -> list[pixels.Pixels]:
            return [self._decode_again(digests[row]) for row in wanted]

        return StreamedImages(read, rows, self.image_shape)

    @cached_property
    def _canvas(self) -> _Canvas:
        return canvas_of(self.facts, self.settings)

    @cached_property
    def _outcome(self) -> NamedArrays:
        """`problems`: why each content is none of use, and `images` `[contents, h, w, c]` (zero where it is damaged).

        Of a set that is streamed, `channels` instead of images.
        """
        if not self.rows:
            none = {"problems": np.zeros(0, "U1"), "channels": np.array(1)}
            return none if self.is_streamed else {**none, "images": np.zeros((0, 1, 1, 1), np.uint8)}
        canvas, cache_dir = self._canvas, self.settings.cache_dir
        decoders = (pillow_version, features.version("libjpeg_turbo"), features.version("webp"))
        what = (FORMAT, decoders, canvas.size is None, canvas.shape, list(self.rows), *self.uri.options.values())
        if self.is_streamed:
            return cached_arrays(cache_dir, content_key("folder outcome", *what), self._survey)
        return cached_large_arrays(cache_dir, content_key("folder", *what), self._build)

    def _survey(self) -> NamedArrays:
        """Decodes every content once, and forgets the pixels."""
        problems, is_grey = self._decode_all(lambda *_: None)
        return {"problems": np.array(problems), "channels": np.array(1 if is_grey else 3)}

    def _build(self, allocate: Allocate) -> NamedArrays:
        has_colours = not all(fact.is_grey for fact in self.facts if not fact.problem)
        images = allocate("images", (len(self.rows), *self._canvas.shape, 3 if has_colours else 1))

        def keep(digest: str, image: pixels.Pixels) -> None:
            images[self.rows[digest]] = image

        problems, is_grey = self._decode_all(keep)
        return {"images": images[..., :1] if is_grey and has_colours else images, "problems": np.array(problems)}

    def _decode_all(self, keep: Callable[[str, pixels.Pixels], None]) -> tuple[list[str], bool]:
        """Why each content is none of use, in order of rows, and whether all others are grey."""

        def decode(digest: str) -> tuple[str, bool]:
            try:
                image = self._decode(digest)
            except photos.BadImageError as error:
                return str(error), True
            keep(digest, image)
            return "", pixels.is_grey(image)

        progress = Progress(self.settings.say, f"{self.uri.name}: decoded", len(self.rows))
        problems, is_grey = [], True
        with photos.quietly():
            for problem, is_image_grey in in_threads(decode, self.rows):
                problems.append(problem)
                is_grey &= is_image_grey
                progress.step()
        return problems, is_grey

    @cached_property
    def _places(self) -> Mapping[str, Path]:
        """A file of each content, by digest: the first."""
        files, root = self.listing.files, self.listing.root
        return {fact.digest: root / files[n].path for n, fact in reversed(list(enumerate(self.facts)))}

    def _decode(self, digest: str) -> pixels.Pixels:
        """The pixels of a content, on the canvas.

        Raises:
          BadImageError: they are damaged.
          DataError: the file is no longer what it was when it was indexed.
        """
        path = self._places[digest]
        try:
            data = photos.read_bytes(path)
        except photos.BadImageError as error:
            raise DataError(f"{self.uri.text}: {path} {error}, but could be a moment ago.") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise DataError(f"{self.uri.text}: {path} changed while it was read. Start again when it is complete.")
        image = photos.decode(data, self._canvas.size, self.value_range)
        if image.shape[:2] != self._canvas.shape:
            raise photos.BadImageError(
                f"damaged: {image.shape[1]} x {image.shape[0]} pixels, its header says otherwise"
            )
        return image

    def _decode_again(self, digest: str) -> pixels.Pixels:
        """As `_decode`, of what could be decoded when the task was opened."""
        try:
            return self._decode(digest)
        except photos.BadImageError as error:
            raise DataError(f"{self.uri.text}: {self._places[digest]} {error}, but could be decoded before.") from error


@dataclass(frozen=True)
class _Canvas:
    """The height and width of a folder's decoded images; `size`: of the square that they are squashed to, or None."""

    shape: tuple[int, int]
    size: int | None


def canvas_of(facts: Sequence[FileFacts], settings: OpenSettings) -> _Canvas:
    """What the images of a folder are brought to: files of one size keep it, unless it is too large."""
    sizes = {(fact.height, fact.width) for fact in facts if not fact.problem}
    if len(sizes) == 1 and max(size := next(iter(sizes))) <= settings.canvas:
        return _Canvas(size, None)
    return _Canvas((settings.canvas, settings.canvas), settings.canvas)


def decoded_bytes(facts: Sequence[FileFacts], settings: OpenSettings) -> int:
    """Bytes of one decoded image, as far as headers tell: images of a colour format may turn out to be grey."""
    channels = 1 if all(fact.is_grey for fact in facts if not fact.problem) else 3
    return math.prod(canvas_of(facts, settings).shape) * channels
