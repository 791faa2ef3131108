from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict
from jaxtyping import Array, UInt8

import munet
from munet.data.augment import prepare
from munet.data.images import squash
from munet.errors import CorruptionError, UserError
from munet.serving.prediction import Prediction
from munet.serving.predictor import BATCH_SIZES, batches
from munet.vit.architecture import get_variant, is_block
from munet.vit.forward import Params, logits
from tests.report.stored_run import write_run


@pytest.fixture
def opened(tmp_path: Path) -> munet.System:
    write_run(tmp_path, num_blocks=1, mutation_probability=0.6)
    return munet.open(str(tmp_path))


def pixels(*shape: int) -> UInt8[np.ndarray, "..."]:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def directly(opened: munet.System, task: str, images: UInt8[np.ndarray, "n h w c"]) -> Any:
    """Probabilities by one plain forward pass."""
    model = opened.models[task]
    params = {name: unflatten_dict(leaves, sep="/") for name, leaves in opened.load(task).items()}

    @jax.jit
    def forward(params: Params, images: Array) -> Array:
        ready = prepare(images, int(model.hyperparameters["image_size"]), False)
        return logits(get_variant("demo/16"), params, ready, num_blocks=sum(map(is_block, model.components)))

    exponentials = np.exp(np.asarray(forward(params, images), np.float64))
    return exponentials / exponentials.sum(1, keepdims=True)


def test_probabilities_are_those_of_the_model(opened: munet.System) -> None:
    images = pixels(5, 20, 24, 3)
    prediction = opened.predict("task1", images)
    assert prediction.probabilities.shape == (5, 5)
    np.testing.assert_allclose(prediction.probabilities, directly(opened, "task1", images), atol=1e-5)
    np.testing.assert_allclose(prediction.probabilities.sum(1), 1, rtol=1e-5)


def test_names_indices_and_confidences_agree() -> None:
    prediction = Prediction("t", ("a", "b", "c"), np.array([[0.1, 0.7, 0.2], [0.4, 0.4, 0.2]]))
    assert prediction.indices.tolist() == [1, 0]
    assert prediction.names == ["b", "a"]
    np.testing.assert_allclose(prediction.confidences, [0.7, 0.4])
    assert len(prediction) == 2


def test_a_list_of_images_of_many_shapes_keeps_its_order(opened: munet.System) -> None:
    images = [pixels(20, 24), pixels(20, 24, 3), pixels(20, 24, 1), 255 - pixels(20, 24, 4)]
    together = opened.predict("task1", images).probabilities
    for index in (1, 2, 3):
        np.testing.assert_allclose(
            together[index], opened.predict("task1", [images[index]]).probabilities[0], atol=1e-5
        )
    assert (together[0] == together[2]).all()  # the same pixels, with and without a channel
    assert not np.allclose(together[1], together[3], atol=1e-3)


def test_more_images_than_a_chunk(opened: munet.System, monkeypatch: pytest.MonkeyPatch) -> None:
    images = pixels(9, 20, 24, 3)
    whole = opened.predict("task1", images).probabilities
    monkeypatch.setattr("munet.serving.predictor.BATCH_SIZES", (1, 4))
    np.testing.assert_allclose(opened.predict("task1", images).probabilities, whole, atol=1e-5)


@pytest.mark.parametrize("count", [0, 1, 2, 5, 9, 20, 63, 256, 300, 1000])
def test_batches_are_filled_by_more_than_half(count: int) -> None:
    parts = list(batches(count))
    assert [number for start, stop in parts for number in range(start, stop)] == list(range(count))
    for start, stop in parts:
        assert any(stop - start <= size < 2 * (stop - start) for size in BATCH_SIZES)


def test_a_predictor_reads_its_components_once(opened: munet.System, monkeypatch: pytest.MonkeyPatch) -> None:
    images = pixels(3, 20, 24, 3)
    expected = opened.predict("task1", images).probabilities
    monkeypatch.setattr("munet.store.components.ComponentStore.get", lambda *_: pytest.fail("read again"))
    assert (opened.predict("task1", images).probabilities == expected).all()
    predictor = opened.predictor("task1")
    assert predictor is opened.predictor("task1")
    assert (predictor.classes, predictor.model) == (opened.task("task1").class_names, opened.models["task1"])
    np.testing.assert_allclose(predictor.logits(images).argmax(1), expected.argmax(1))


@pytest.mark.parametrize(
    ("setting", "value"),
    [("jax_numpy_dtype_promotion", "strict"), ("jax_numpy_rank_promotion", "raise"), ("jax_enable_x64", True)],
)
def test_settings_of_jax_are_munets_own(opened: munet.System, setting: str, value: object) -> None:
    """A program that looks for mistakes of its own may have set them; munet relies on the defaults."""
    before = getattr(jax.config, setting)
    jax.config.update(setting, value)
    try:
        assert np.isfinite(opened.predict("task1", pixels(3, 20, 24, 3)).probabilities).all()
        assert opened.predictor("task1").params["head"]["kernel"].dtype == np.float32
        assert getattr(jax.config, setting) == before
    finally:
        jax.config.update(setting, before)


def test_a_warm_predictor_compiles_nothing(opened: munet.System) -> None:
    from munet.serving import predictor as module

    predictor = opened.predictor("task1")
    predictor.warm_up((20, 24, 3), sizes=(1, 4))
    before = module._resize_and_forward._cache_size()  # type: ignore[attr-defined]  # of jit
    for count in (1, 3, 4, 5):
        assert len(predictor.predict(pixels(count, 20, 24, 3))) == count
    assert module._resize_and_forward._cache_size() == before  # type: ignore[attr-defined]


def test_tasks_share_what_is_on_the_device(opened: munet.System) -> None:
    paths = [opened.models[task].components for task in ("task0", "task1")]
    shared = [name for name, identity in paths[0].items() if paths[1].get(name) == identity]
    assert shared
    for name in shared:
        assert opened.predictor("task0").params[name] is opened.predictor("task1").params[name]


def test_the_top_classes_are_in_order() -> None:
    prediction = Prediction("t", ("a", "b", "c"), np.array([[0.1, 0.7, 0.2], [0.4, 0.4, 0.2]]))
    assert prediction.top(2) == [[("b", 0.7), ("c", 0.2)], [("a", 0.4), ("b", 0.4)]]
    assert [len(best) for best in prediction.top(9)] == [3, 3]
    with pytest.raises(UserError, match=r"top\(-1\): at least 1 class"):
        prediction.top(-1)


def test_photos_are_squashed_as_in_training(opened: munet.System) -> None:
    photo, canvas = pixels(300, 200, 3), 2 * 64  # twice the largest image size
    expected = opened.predict("task1", [squash(photo, canvas)]).probabilities
    assert (opened.predict("task1", [photo]).probabilities == expected).all()


def test_no_images_give_no_predictions(opened: munet.System) -> None:
    prediction = opened.predict("task0", [])
    assert (len(prediction), prediction.names, prediction.confidences.tolist()) == (0, [], [])
    assert prediction.probabilities.shape == (0, 3)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((4, 8, 8, 3), np.float32), "Image 0 cannot be used: it is float32; expected uint8"),
        (np.zeros(8, np.uint8), r"shape \(8,\); expected \[n, h, w, c\]"),
        ([np.zeros((8, 8), np.uint8), np.zeros((8, 8, 2), np.uint8)], r"Image 1 cannot .* it has shape \(8, 8, 2\)"),
        ([np.zeros((0, 8, 3), np.uint8)], "Image 0 cannot be used: it has shape"),
        (["a.png"], r"Image 0 \(a.png\) cannot be used: cannot be read: No such file"),
        ([b"hello"], "Image 0 cannot be used: no image in a known format"),
        (7, "was given a int; expected paths"),
        ([None], "Image 0 cannot be used: it is a NoneType; expected a path"),
    ],
)
def test_what_are_no_images_is_refused(opened: munet.System, images: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        opened.predict("task0", images)


def test_an_unknown_task_is_refused(opened: munet.System) -> None:
    with pytest.raises(UserError, match="Did you mean"):
        opened.predict("task9", pixels(1, 8, 8, 1))


def test_a_damaged_component_is_never_used(opened: munet.System) -> None:
    file = Path(opened.workdir) / "components" / f"{opened.models['task0'].components['head']}.safetensors"
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(CorruptionError, match="hash of"):
        opened.predict("task0", pixels(1, 8, 8, 1))
