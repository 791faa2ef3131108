"""Whatever lies in a folder: only `DataError` or a sound task may come out of it."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from munet.data import photos
from munet.data.photos import BadImageError
from munet.data.splits import SPLITS
from munet.data.tasks import load_task
from munet.errors import DataError

SLOW_MACHINES = [HealthCheck.too_slow]
FEW = settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=SLOW_MACHINES)
MANY = settings(max_examples=10_000, deadline=None, database=None, suppress_health_check=SLOW_MACHINES)


def _encoded() -> list[bytes]:
    """A small image in every format and mode that there is a way to write."""
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 4), np.uint8)
    images = [Image.fromarray(pixels).convert(mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr")]
    images.append(Image.fromarray(pixels.view(np.uint16)[..., 0].copy()))
    exif = Image.Exif()
    exif[0x0112] = 6
    written = []
    for image in images:
        for format in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"):
            for options in ({}, {"exif": exif}, {"compression": "tiff_lzw"}, {"progressive": True}):
                file = io.BytesIO()
                try:
                    image.save(file, format=format, **options)
                except (OSError, ValueError, KeyError):
                    continue
                written.append(file.getvalue())
    return sorted(set(written))


ENCODED = _encoded()
IMAGES = st.sampled_from(ENCODED)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """An image file with some bytes changed, cut out, put in, or without its end."""
    data = bytearray(draw(IMAGES))
    for _ in range(draw(st.integers(0, 4))):
        if not data:
            break
        place = draw(st.integers(0, len(data) - 1))
        match draw(st.sampled_from(["change", "cut", "insert", "end", "large"])):
            case "change":
                data[place] = draw(st.integers(0, 255))
            case "cut":
                del data[place : place + draw(st.integers(1, 8))]
            case "insert":
                data[place:place] = draw(st.binary(max_size=8))
            case "end":
                del data[place:]
            case "large":
                data[place : place + 4] = b"\xff\xff\xff\xff"
    return bytes(data)


CONTENTS = st.one_of(IMAGES, damaged(), st.binary(max_size=64))
NAMES = st.one_of(
    st.sampled_from(["a", "b", "train", "test", "val", "valid", ".hidden", "x.jpg", "y.PNG", "é", "..x", "labels.csv"]),
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
        lambda name: name not in (".", "..")
    ),
)
FILES = st.tuples(
    st.lists(NAMES, max_size=3), NAMES, st.sampled_from(["", ".jpg", ".png", ".tif", ".csv", ".txt"]), CONTENTS
)


def check_decoding(data: bytes) -> None:
    reasons: list[str] = []
    with photos.quietly():
        for canvas in (None, 5):
            try:
                header, pixels = photos.read_header(data), photos.decode(data, canvas)
            except BadImageError as error:
                reasons.append(str(error))
                continue
            assert pixels.dtype == np.uint8
            assert pixels.ndim == 3
            assert pixels.shape[2] in (1, 3)
            assert pixels.shape[:2] == ((5, 5) if canvas else (header.height, header.width))
            assert not header.is_grey or pixels.shape[2] == 1
    assert all(reason and "\n" not in reason for reason in reasons)


def check_folder(place: Path) -> None:
    task, message = None, ""
    try:
        task = load_task(f"folder:{place}", cache_dir="off", max_bad_images=0.5, max_image_size=4)
    except DataError as error:
        message = str(error)
    if task is None:
        assert message.startswith(f"folder:{place}")
        return
    info = task.info
    assert info.num_classes == len(set(info.class_names)) >= 2
    height, width, channels = task.image_shape
    assert max(height, width) <= 8
    assert channels in (1, 3)
    with task.testing():
        for name, size in zip(SPLITS, (info.num_train, info.num_validation, info.num_test), strict=True):
            split = task.split(name)
            assert split.images.shape == (size, height, width, channels)
            assert split.decoded.dtype == np.uint8
            assert split.labels.shape == (size,)
            assert size > 0
            assert split.labels.min() >= 0
            assert split.labels.max() < info.num_classes
    assert set(task.split("train").labels.tolist()) == set(range(info.num_classes))


def check_files(files: list[tuple[list[str], str, str, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        for folders, name, ending, content in files:
            path = Path(place, *folders, name + ending)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            except OSError:  # a file where a folder should be, or a name that is too long
                continue
        check_folder(Path(place))


CELLS = st.one_of(
    st.sampled_from([*(f"{n}.png" for n in range(6)), "../0.png", "/etc/passwd", "a", "b", "train", "test", "val", ""]),
    st.text(max_size=6),
)
ROWS = st.tuples(
    st.sampled_from([f"{n}.png" for n in range(30)]), st.sampled_from("ab"), st.sampled_from(["train", "test", "val"])
)


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """A `labels.csv`: sound rows with some cells changed, or any text, or any bytes."""
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return draw(st.binary(max_size=60))
    if kind == 1:
        return draw(st.text(max_size=60)).encode()
    has_split = draw(st.booleans())
    rows = [list(row) for row in draw(st.lists(ROWS, max_size=40, unique_by=lambda row: row[0]))]
    rows.insert(0, ["path", "label", "split"])
    rows = rows if has_split else [row[:2] for row in rows]
    for _ in range(draw(st.integers(0, 2))):
        row = draw(st.sampled_from(rows))
        row[draw(st.integers(0, len(row) - 1))] = draw(CELLS)
    quote: Callable[[str], str] = (lambda cell: f'"{cell}"') if draw(st.booleans()) else (lambda cell: cell)
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    return newline.join(",".join(map(quote, row)) for row in rows).encode(errors="surrogatepass")


@pytest.fixture(scope="module")
def thirty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("thirty")
    for number in range(30):
        (place / f"{number}.png").write_bytes(ENCODED[number * 7 % len(ENCODED)])
    return place


def check_labels(place: Path, text: bytes) -> None:
    (place / "labels.csv").write_bytes(text)
    check_folder(place)


@FEW
@given(st.one_of(damaged(), st.binary(max_size=200)))
def test_some_bytes(data: bytes) -> None:
    check_decoding(data)


@FEW
@given(st.lists(FILES, max_size=12))
def test_some_files(files: list[tuple[list[str], str, str, bytes]]) -> None:
    check_files(files)


@FEW
@given(text=tables())
def test_some_labels(thirty: Path, text: bytes) -> None:
    check_labels(thirty, text)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@MANY
@given(st.one_of(damaged(), st.binary(max_size=200)))
def test_any_bytes(data: bytes) -> None:
    check_decoding(data)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@MANY
@given(st.lists(FILES, max_size=12))
def test_any_files(files: list[tuple[list[str], str, str, bytes]]) -> None:
    check_files(files)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@MANY
@given(text=tables())
def test_any_labels(thirty: Path, text: bytes) -> None:
    check_labels(thirty, text)
