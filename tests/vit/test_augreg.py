"""Reading and writing the public layout, and refusing everything else with a message that helps."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from munet import rng
from munet.errors import CheckpointError
from munet.vit.architecture import HEAD, component_leaves, get_variant, path_names
from munet.vit.augreg import Components, demo_root_path, inspect, load_augreg, save_augreg
from munet.vit.init import init_component, resize_position_embedding

DEMO = get_variant("demo/16")
QUERY = "Transformer/encoderblock_0/MultiHeadDotProductAttention_1/query/kernel"
POSITION = "Transformer/posembed_input/pos_embedding"


def new_components(num_blocks: int = 2, image_size: int = 32) -> Components:
    components = {}
    for name in path_names(num_blocks):
        leaves = component_leaves(DEMO, name, image_size=image_size, adapter_dim=0, num_classes=5)
        components[name] = init_component(rng.key_data(("checkpoint", name)), DEMO, name, leaves)
    return components


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "root.npz"
    save_augreg(path, new_components())
    return path


def flat(path: Path) -> dict[str, Any]:
    with np.load(path) as arrays:
        return dict(arrays)


def test_round_trip_without_the_head(file: Path) -> None:
    expected = new_components()
    loaded = load_augreg(file, DEMO, 2, 32)
    assert list(loaded) == list(path_names(2)[:-1])
    for name, leaves in loaded.items():
        assert set(leaves) == set(expected[name])
        for path, array in leaves.items():
            np.testing.assert_array_equal(array, expected[name][path])
            assert array.dtype == np.float32
            assert array.flags.c_contiguous


def test_written_keys_are_those_of_the_public_checkpoints_and_bytes_repeat(file: Path, tmp_path: Path) -> None:
    keys = set(flat(file))
    assert {"cls", "embedding/kernel", POSITION, QUERY, "Transformer/encoder_norm/scale", "head/bias"} <= keys
    again = tmp_path / "again.npz"
    save_augreg(again, new_components())
    assert again.read_bytes() == file.read_bytes()


def test_numpy_savez_compressed_fortran_order_and_other_float_types(file: Path, tmp_path: Path) -> None:
    arrays = flat(file)
    other = tmp_path / "other.npz"
    changed: dict[str, Any] = {**arrays, QUERY: np.asfortranarray(arrays[QUERY]), "cls": arrays["cls"].astype(">f8")}
    np.savez_compressed(other, **changed)
    loaded, expected = load_augreg(other, DEMO, 2, 32), load_augreg(file, DEMO, 2, 32)
    block = "MultiHeadDotProductAttention_1/query/kernel"
    np.testing.assert_array_equal(loaded["encoderblock_0"][block], expected["encoderblock_0"][block])
    np.testing.assert_array_equal(loaded["cls"]["cls"], expected["cls"]["cls"])
    assert loaded["cls"]["cls"].dtype == np.dtype("float32")


def test_fewer_blocks_pre_logits_and_another_image_size(file: Path, tmp_path: Path) -> None:
    arrays = flat(file)
    path = tmp_path / "with.npz"
    pre_logits: dict[str, Any] = {"pre_logits/kernel": np.zeros((64, 64)), "pre_logits/bias": np.zeros(64)}
    np.savez(path, **arrays, **pre_logits)
    loaded = load_augreg(path, DEMO, 1, 64)
    assert list(loaded) == list(path_names(1)[:-1])
    np.testing.assert_array_equal(
        loaded["posembed_input"]["pos_embedding"], resize_position_embedding(arrays[POSITION], 32, 64, 16)
    )
    assert inspect(path) == ("demo/16", 2)


def rewritten(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def apply(path: Path) -> None:
        arrays = flat(path)
        change(arrays)
        np.savez(path, **arrays)

    return apply


def drop(*keys: str) -> Callable[[Path], object]:
    return rewritten(lambda arrays: [arrays.pop(key) for key in keys])


def put(key: str, value: np.ndarray) -> Callable[[Path], object]:
    return rewritten(lambda arrays: arrays.update({key: value}))


def poison(arrays: dict[str, Any]) -> None:
    arrays[QUERY].flat[3] = np.nan


def huge_header(path: Path) -> None:
    """An array that says it has 4 TiB, and does not."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 20, 1 << 20)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("Transformer/encoderblock_0/extra.npy", header.getvalue() + bytes(16))


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    start = data.index(flat(path)["embedding/kernel"].tobytes())
    data[start + 1000] ^= 1
    path.write_bytes(bytes(data))


def pickled(path: Path) -> None:
    arrays = flat(path)
    np.savez(path, **{**arrays, "cls": np.array([{"a": 1}], dtype=object)})


DAMAGES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "missing": (drop("cls", QUERY), ["cls: is missing", f"{QUERY}: is missing", "demo/16 with 2 blocks"]),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-2000]) and None, ["not a whole .npz file"]),
    "empty": (lambda path: path.write_bytes(b"") and None, ["not a whole .npz file"]),
    "text": (lambda path: path.write_text("no checkpoint") and None, ["not a whole .npz file"]),
    "flipped bit": (flip_a_bit, ["damaged at embedding/kernel", "CRC"]),
    "pickle": (pickled, ["cls: holds pickled Python objects"]),
    "huge header": (huge_header, ["encoderblock_0/extra: the header says 4,398,046,511,104 bytes"]),
    "shape": (put("cls", np.zeros((1, 1, 9))), ["cls: shape (1, 1, 9), expected (1, 1, 64)"]),
    "integers": (put("cls", np.zeros((1, 1, 64), np.int32)), ["cls: type int32, expected one of float16"]),
    "position": (put(POSITION, np.zeros((1, 4, 64))), [f"{POSITION}: shape (1, 4, 64)", "square number"]),
    "position width": (put(POSITION, np.zeros((1, 5, 9))), [f"{POSITION}: shape (1, 5, 9), expected (1, 5, 64)"]),
    "position type": (put(POSITION, np.zeros((1, 5, 64), int)), [f"{POSITION}: type int64"]),
    "foreign name": (
        put("embeding/kernel", np.zeros(3)),
        ["embeding/kernel: has no place", "Did you mean 'embedding/kernel'"],
    ),
    "foreign leaf": (put("Transformer/encoderblock_1/gamma", np.zeros(3)), ["encoderblock_1/gamma: has no place"]),
    "nan": (rewritten(poison), [f"{QUERY}: holds NaN or infinite values"]),
    "infinite": (put("cls", np.full((1, 1, 64), 1e300)), ["cls: holds NaN or infinite values"]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_refused_and_what_is_said(file: Path, damage: str) -> None:
    spoil, expected = DAMAGES[damage]
    spoil(file)
    with pytest.raises(CheckpointError) as caught:
        load_augreg(file, DEMO, 2, 32)
    for text in [str(file), *expected]:
        assert text in str(caught.value)


def test_all_problems_in_one_sorted_message(file: Path) -> None:
    def change(arrays: dict[str, Any]) -> None:
        del arrays["embedding/bias"]
        arrays["cls"] = np.zeros((2, 2), np.int8)
        arrays["Transformer/encoder_norm/scale"] = np.zeros(3)
        arrays["zzz"] = np.zeros(1)

    rewritten(change)(file)
    with pytest.raises(CheckpointError) as caught:
        load_augreg(file, DEMO, 2, 32)
    problems = str(caught.value).split("\n  - ")[1:]
    assert [problem.split(":")[0] for problem in problems] == [
        "Transformer/encoder_norm/scale", "cls", "cls", "embedding/bias", "zzz"
    ]  # fmt: skip
    assert problems == sorted(problems)


def test_more_blocks_than_there_are(file: Path) -> None:
    with pytest.raises(CheckpointError, match="only 2 blocks are there: use num_blocks=2 or fewer") as caught:
        load_augreg(file, DEMO, 3, 32)
    assert "encoderblock_2/" not in str(caught.value)


def test_every_single_damaged_byte_of_the_headers_is_an_answer_not_a_crash(file: Path) -> None:
    data = file.read_bytes()
    generator = np.random.default_rng(0)
    # Headers lie around each "PK" signature and "NUMPY" magic; the directory at the end.
    places = [*range(0, 200), *range(len(data) - 4000, len(data))]
    for place in generator.choice(places, 150, replace=False):
        damaged = bytearray(data)
        damaged[place] ^= int(generator.integers(1, 256))
        file.write_bytes(bytes(damaged))
        try:
            load_augreg(file, DEMO, 2, 32)
        except CheckpointError:
            continue


def test_a_missing_file_names_the_nearest(file: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"There is no checkpoint .*rot\.npz\. Did you mean 'root\.npz'\?"):
        load_augreg(tmp_path / "rot.npz", DEMO, 2, 32)
    with pytest.raises(CheckpointError, match=r"folder .* does not exist"):
        inspect(tmp_path / "nowhere" / "root.npz")
    with pytest.raises(CheckpointError, match="cannot be opened"):
        inspect(tmp_path)


def test_inspect_refuses_what_is_no_vit_and_unknown_widths(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.npz"
    np.savez(foreign, weight=np.zeros(3))
    with pytest.raises(CheckpointError, match=r"no ViT in the augreg layout.*It holds: weight"):
        inspect(foreign)
    unknown: dict[str, Any] = {
        "embedding/kernel": np.zeros((16, 16, 3, 10), np.float32),
        "Transformer/encoderblock_0/MlpBlock_3/Dense_0/kernel": np.zeros((10, 40), np.float32),
    }
    np.savez(foreign, **unknown)
    with pytest.raises(CheckpointError, match=r"no known variant.*Known variants: demo/16, Ti/16"):
        inspect(foreign)


def test_low_rank_updates_are_merged_into_what_is_exported(tmp_path: Path) -> None:
    components = new_components()
    update = {f"{projection}/A": np.ones((64, 2), np.float32) for projection in ("query", "value")}
    update |= {f"{projection}/B": np.full((2, 2, 32), 0.5, np.float32) for projection in ("query", "value")}
    save_augreg(tmp_path / "x.npz", {**components, "lora_0": update})
    loaded = load_augreg(tmp_path / "x.npz", DEMO, 1)
    for projection, change in (("query", 1), ("key", 0), ("value", 1)):
        path = f"MultiHeadDotProductAttention_1/{projection}/kernel"
        np.testing.assert_allclose(
            loaded["encoderblock_0"][path], components["encoderblock_0"][path] + change, rtol=1e-6
        )


def test_adapters_cannot_be_exported(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no place for residual_adapter_0"):
        save_augreg(tmp_path / "x.npz", {**new_components(), "residual_adapter_0": {}})
    assert not (tmp_path / "x.npz").exists()


def test_the_demo_root_is_in_the_package_with_its_card() -> None:
    path = demo_root_path()
    assert path.stat().st_size < 1_000_000
    assert inspect(path) == ("demo/16", 3)
    components = load_augreg(path, DEMO, 3, 32)
    assert HEAD not in components
    card = path.with_suffix(".md").read_text()
    assert "munet pretrain --config=pretrain_demo" in card
    assert hashlib.sha256(path.read_bytes()).hexdigest() in card
    assert "199,680 parameters" in card
    assert sum(array.size for leaves in components.values() for array in leaves.values()) == 199_680
