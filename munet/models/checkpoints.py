"""Root checkpoints in the public augreg `.npz` layout, in and out (PEERS.md: flat keys with "/").

Reading never runs code: no pickles, and names, types, sizes and shapes are checked from the headers before memory is
taken. All problems of a file are reported together.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from munet import architecture
from munet.architecture import HEAD, NORM, POSITION, Variant, component_leaves, is_adapter, is_block, path_names
from munet.errors import CheckpointError, nearest
from munet.models.init import resize_position_embedding
from munet.types import ComponentName

Components = dict[ComponentName, dict[str, np.ndarray]]  # arrays by path inside each component

_TRANSFORMER = "Transformer/"
_POSITION_KEY = f"{_TRANSFORMER}{POSITION}/pos_embedding"
_IGNORED = ("head/", "pre_logits/")  # the pretraining task's own layers
_DTYPES = ("float16", "float32", "float64")
_MAX_POSITIONS = 1 << 14  # 2,048-pixel images; more can only be a damaged or hostile header
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
)  # what zip and npy readers raise


@dataclass(frozen=True)
class _Header:
    """What an array's `.npy` header says; `data_start` bytes precede the data."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    fortran_order: bool
    data_start: int

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def demo_root_path() -> Path:
    """The demo's root, shipped in the package; its card is beside it."""
    return Path(architecture.__file__).parent / "assets" / "demo16_3blocks_32px.npz"


def load_augreg(path: str | Path, variant: Variant, num_blocks: int, image_size: int) -> Components:
    """Reads a root: every component but the head, float32, the position embedding resized to `image_size`.

    Blocks above `num_blocks`, the pretraining head and `pre_logits` are left out.

    Raises:
      CheckpointError: not such a file, damaged, or not of this architecture; one message with every problem.
    """
    with _open(path) as file, _zip(path, file) as archive:
        headers = _headers(path, archive)
        grid_size = _image_size(headers, variant)
        wanted = {
            _key(name, leaf_path): (name, leaf_path, leaf.shape)
            for name in path_names(num_blocks)
            if name != HEAD
            for leaf_path, leaf in component_leaves(
                variant, name, image_size=grid_size or image_size, adapter_dim=0, num_classes=0
            ).items()
        }
        problems = _problems(headers, {key: shape for key, (_, _, shape) in wanted.items()}, variant, num_blocks)
        if grid_size is None and _POSITION_KEY in headers:
            problems.append(
                f"{_POSITION_KEY}: shape {headers[_POSITION_KEY].shape}, expected (1, 1 + a square number of patches, "
                f"{variant.width})"
            )
        _refuse(path, variant, num_blocks, problems)
        components: Components = {}
        for key, (name, leaf_path, _) in wanted.items():
            array = _read(path, archive, key, headers[key])
            if not np.isfinite(array).all():
                problems.append(f"{key}: holds NaN or infinite values")
            components.setdefault(name, {})[leaf_path] = array
        _refuse(path, variant, num_blocks, problems)
    position = components[POSITION]
    position["pos_embedding"] = resize_position_embedding(
        position["pos_embedding"], grid_size or image_size, image_size, variant.patch_size
    )
    return components


def inspect(path: str | Path) -> tuple[str, int]:
    """The variant's name and the number of blocks of a checkpoint, from its headers alone.

    Raises:
      CheckpointError: not such a file, or of no variant that we know.
    """
    with _open(path) as file, _zip(path, file) as archive:
        headers = _headers(path, archive)
    num_blocks = _num_blocks(headers)
    mlp_key = _key(architecture.block_name(0), "MlpBlock_3/Dense_0/kernel")
    if "embedding/kernel" not in headers or mlp_key not in headers:
        raise CheckpointError(
            f"{path} is no ViT in the augreg layout: embedding/kernel or {mlp_key} is missing. {_found(headers)}"
        )
    kernel, mlp = headers["embedding/kernel"].shape, headers[mlp_key].shape
    for variant in architecture.VARIANTS.values():
        expected = (variant.patch_size, variant.patch_size, architecture.CHANNELS, variant.width)
        if kernel == expected and mlp == (variant.width, variant.mlp_dim):
            return variant.name, num_blocks
    raise CheckpointError(
        f"{path} is of no known variant: embedding/kernel has shape {kernel}, {mlp_key} {mlp}. "
        f"Known variants: {', '.join(architecture.VARIANTS)}."
    )


def save_augreg(path: str | Path, components: Mapping[ComponentName, Mapping[str, np.ndarray]]) -> None:
    """Writes components (with or without a head) so that other programs read them as a plain ViT.

    The same components give the same bytes.

    Raises:
      CheckpointError: there are residual adapters, for which the layout has no place.
    """
    adapters = [name for name in components if is_adapter(name)]
    if adapters:
        raise CheckpointError(f"The augreg layout has no place for {', '.join(adapters)}: export without adapters.")
    flat = {_key(name, leaf): array for name, leaves in components.items() for leaf, array in leaves.items()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for key in sorted(flat):
            # A ZipInfo of our own has a fixed date, where numpy.savez would write today's.
            with archive.open(zipfile.ZipInfo(f"{key}.npy"), "w", force_zip64=False) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(flat[key]), allow_pickle=False)


def _key(name: ComponentName, leaf_path: str) -> str:
    if name == architecture.CLS:
        return leaf_path  # the array `cls` of the component `cls` is a top-level key
    prefix = _TRANSFORMER if name in (POSITION, NORM) or is_block(name) else ""
    return f"{prefix}{name}/{leaf_path}"


def _open(path: str | Path) -> IO[bytes]:
    try:
        return Path(path).open("rb")
    except FileNotFoundError:
        folder = Path(path).parent
        if not folder.is_dir():
            raise CheckpointError(f"There is no checkpoint {path}: the folder {folder} does not exist.") from None
        files = [str(file.name) for file in folder.iterdir() if file.suffix == ".npz"]
        raise CheckpointError(f"There is no checkpoint {path}. {nearest(Path(path).name, files)}") from None
    except OSError as error:
        raise CheckpointError(f"The checkpoint {path} cannot be opened: {error}") from error


def _zip(path: str | Path, file: IO[bytes]) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except _BROKEN as error:
        raise CheckpointError(
            f"{path} is not a whole .npz file ({error}): it is cut off or of another format. Download or copy it again."
        ) from error


def _headers(path: str | Path, archive: zipfile.ZipFile) -> dict[str, _Header]:
    """Headers by key; reads no array.

    Raises:
      CheckpointError: all arrays whose headers are unusable.
    """
    headers: dict[str, _Header] = {}
    problems: list[str] = []
    for info in archive.infolist():
        key = info.filename.removesuffix(".npy")
        try:
            header = _header(archive, info)
        except _BROKEN as error:
            problems.append(f"{key}: unreadable ({error})")
            continue
        if key in headers:
            problems.append(f"{key}: is there twice")
        elif header.dtype.hasobject:
            problems.append(f"{key}: holds pickled Python objects, which are never read")
        elif header.data_start + header.num_bytes != info.file_size:
            problems.append(
                f"{key}: the header says {header.num_bytes:,} bytes of data, the file holds "
                f"{info.file_size - header.data_start:,}"
            )
        headers[key] = header
    if problems:
        raise CheckpointError(_message(f"{path} cannot be used as a checkpoint", problems))
    return headers


def _header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Header:
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        if version not in readers:
            raise ValueError(f"npy format {version}, expected (1, 0) or (2, 0)")
        shape, fortran_order, dtype = readers[version](member)
        return _Header(shape, dtype, fortran_order, member.tell())


def _num_blocks(headers: Iterable[str]) -> int:
    parts = {key.split("/")[1] for key in headers if key.startswith(f"{_TRANSFORMER}encoderblock_")}
    return len(parts)


def _image_size(headers: Mapping[str, _Header], variant: Variant) -> int | None:
    """Pixels on a side that the position embedding was made for; None if its shape makes no sense."""
    shape = headers[_POSITION_KEY].shape if _POSITION_KEY in headers else ()
    if len(shape) != 3 or not 2 <= shape[1] <= _MAX_POSITIONS:
        return None
    grid = math.isqrt(shape[1] - 1)
    return grid * variant.patch_size if grid * grid == shape[1] - 1 else None


def _problems(
    headers: Mapping[str, _Header], wanted: Mapping[str, tuple[int, ...]], variant: Variant, num_blocks: int
) -> list[str]:
    """What stands between the file and the architecture."""
    problems = []
    available = _num_blocks(headers)
    if 0 < available < num_blocks:
        problems.append(f"only {available} blocks are there: use num_blocks={available} or fewer")
    too_high = tuple(f"{_TRANSFORMER}{architecture.block_name(index)}/" for index in range(available, num_blocks))
    for key, shape in wanted.items():
        if key not in headers:
            if available == 0 or not key.startswith(too_high or ("\0",)):
                problems.append(f"{key}: is missing")
        elif key != _POSITION_KEY or headers[key].shape[-1:] != (variant.width,):
            problems += _array_problems(key, headers[key], shape)
        elif headers[key].dtype.name not in _DTYPES:
            problems += _array_problems(key, headers[key], headers[key].shape)
    higher = tuple(
        f"{_TRANSFORMER}{architecture.block_name(index)}/" for index in range(num_blocks, variant.max_blocks)
    )
    for key in headers:
        if key not in wanted and not key.startswith((*_IGNORED, *higher)):
            problems.append(f"{key}: has no place in {variant.name}. {nearest(key, wanted)}")
    return problems


def _array_problems(key: str, header: _Header, shape: tuple[int, ...]) -> list[str]:
    problems = []
    if header.shape != shape:
        problems.append(f"{key}: shape {header.shape}, expected {shape}")
    if header.dtype.name not in _DTYPES:
        problems.append(f"{key}: type {header.dtype.name}, expected one of {', '.join(_DTYPES)}")
    return problems


def _read(path: str | Path, archive: zipfile.ZipFile, key: str, header: _Header) -> np.ndarray:
    try:
        with archive.open(f"{key}.npy") as member:
            member.read(header.data_start)
            data = member.read(header.num_bytes)  # to the end, which makes zipfile check the CRC
        array = np.frombuffer(data, header.dtype).reshape(header.shape, order="F" if header.fortran_order else "C")
    except _BROKEN as error:
        raise CheckpointError(f"{path} is damaged at {key} ({error}). Download or copy it again.") from error
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, and is reported as such
        return array.astype(np.float32, order="C")


def _refuse(path: str | Path, variant: Variant, num_blocks: int, problems: list[str]) -> None:
    if problems:
        raise CheckpointError(_message(f"{path} does not fit {variant.name} with {num_blocks} blocks", problems))


def _message(head: str, problems: Iterable[str]) -> str:
    return "\n  - ".join([f"{head}:", *sorted(problems)])


def _found(headers: Mapping[str, _Header]) -> str:
    return "It holds: " + ", ".join(sorted(headers)[:8]) + (", ..." if len(headers) > 8 else "") + "."
