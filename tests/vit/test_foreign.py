"""ViTs of timm and transformers as roots, judged by timm and transformers; and those that are refused, by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

import munet
from munet import roots
from munet.errors import CheckpointError
from munet.vit.foreign import describe_tensors, load_tensors
from tests.vit import foreign_weights as weights
from tests.vit.make_timm_golden import images

GOLDEN = Path(__file__).parent / "golden" / "foreign_features.npz"
State = dict[str, Any]


def write_timm(folder: Path, state: State | None = None, **config: Any) -> Path:
    folder.mkdir(exist_ok=True)
    safetensors.numpy.save_file(weights.timm_state() if state is None else state, str(folder / "model.safetensors"))
    (folder / "config.json").write_text(json.dumps({"architecture": "vit", **config}))
    return folder


def write_transformers(folder: Path, activation: str, prefix: str = "vit.", **config: Any) -> Path:
    folder.mkdir(exist_ok=True)
    safetensors.numpy.save_file(weights.transformers_state(prefix), str(folder / "model.safetensors"))
    (folder / "config.json").write_text(json.dumps(weights.transformers_config(activation) | config))
    return folder


def judged(name: str) -> Any:
    with np.load(GOLDEN) as golden:
        return golden[name]


def features(path: Path) -> Any:
    return munet.load_root(path).features(images())


@pytest.mark.parametrize("prefix", ["vit.", ""])
def test_transformers_features(tmp_path: Path, prefix: str) -> None:
    folder = write_transformers(tmp_path / "model", "gelu_pytorch_tanh", prefix)
    # 1e-4: its norms have an epsilon of 1e-12, ours 1e-6; with the same one they agree to 2e-6.
    np.testing.assert_allclose(features(folder), judged("transformers_tanh"), atol=1e-4)
    found = roots.find(folder)
    assert (found.facts.layout, found.variant.name, found.num_blocks) == ("transformers", "demo/16", 2)
    assert found.facts.num_classes == (weights.CLASSES if prefix else 0)
    assert found.facts.notes == ()


def test_timm_features_from_a_folder_and_from_a_lone_file(tmp_path: Path) -> None:
    folder = write_timm(tmp_path / "model", model_args={"act_layer": "gelu_tanh"})
    np.testing.assert_allclose(features(folder), judged("timm_tanh"), atol=2e-5)
    lone = (folder / "model.safetensors").rename(tmp_path / "vit.safetensors")
    np.testing.assert_allclose(features(lone), judged("timm_tanh"), atol=2e-5)
    assert any("no config.json" in note for note in roots.find(lone).facts.notes)


def test_the_exact_gelu_differs_a_little_and_is_said(tmp_path: Path) -> None:
    for folder, name in [
        (write_timm(tmp_path / "timm"), "timm_exact"),
        (write_transformers(tmp_path / "hf", "gelu"), "transformers_exact"),
    ]:
        difference = np.abs(features(folder) - judged(name)).max()
        assert 1e-4 < difference < 5e-3
        assert any("tanh form" in note for note in roots.find(folder).facts.notes)


def test_another_scaling_of_pixels_is_put_into_the_embedding(tmp_path: Path) -> None:
    scaling = {"mean": list(weights.IMAGENET_MEAN), "std": list(weights.IMAGENET_STD)}
    folder = write_timm(tmp_path / "a", pretrained_cfg=scaling, model_args={"act_layer": "gelu_tanh"})
    np.testing.assert_allclose(features(folder), judged("timm_imagenet"), atol=5e-5)
    plain = write_timm(tmp_path / "b", model_args={"act_layer": "gelu_tanh"})
    assert roots.find(folder).sha256 != roots.find(plain).sha256  # the same file, another root
    hf = write_transformers(tmp_path / "c", "gelu_new")
    (hf / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": scaling["mean"], "image_std": scaling["std"]})
    )
    assert any("0.485, 0.456, 0.406" in note for note in roots.find(hf).facts.notes)
    (hf / "preprocessor_config.json").write_text(json.dumps({"image_mean": [1, 2], "image_std": 0}))
    with pytest.raises(CheckpointError, match=r"normalisation .* is unusable"):
        roots.find(hf)


def test_a_file_of_any_name_is_read_with_the_config_beside_it(tmp_path: Path) -> None:
    """With its scaling of pixels, or features are off by up to 1.4."""
    scaling = {"mean": list(weights.IMAGENET_MEAN), "std": list(weights.IMAGENET_STD)}
    folder = write_timm(tmp_path / "a", pretrained_cfg=scaling, model_args={"act_layer": "gelu_tanh"})
    tiny = (folder / "model.safetensors").rename(folder / "deit_tiny.safetensors")
    np.testing.assert_allclose(features(tiny), judged("timm_imagenet"), atol=5e-5)
    assert not any("no config.json" in note for note in roots.find(tiny).facts.notes)
    shutil.copy(tiny, folder / "other.safetensors")
    with pytest.raises(
        CheckpointError, match=r"may describe deit_tiny.safetensors or other.*name it deit_tiny\.config"
    ):
        roots.find(tiny)
    (folder / "config.json").rename(folder / "deit_tiny.config.json")
    np.testing.assert_allclose(features(tiny), judged("timm_imagenet"), atol=5e-5)
    assert any("no config.json" in note for note in roots.find(folder / "other.safetensors").facts.notes)


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"image_size": [64, 16]}, r"images of 64 x 16 pixels in config.json, so 4 x 1 patches, but .* for 4"),
        ({"image_size": 48}, r"images of 48 x 48 pixels in config.json, so 3 x 3 patches"),
        ({"patch_size": 8}, r"patches of 8 x 8 pixels in config.json, but of 16 in its arrays"),
        ({"image_size": "big"}, r"config.json is unusable: a size in pixels of 'big'"),
    ],
)
def test_a_root_whose_config_and_arrays_disagree_about_its_images_is_refused(
    config: Any, problem: str, tmp_path: Path
) -> None:
    """Four patches may be 2 x 2 or 4 x 1: that is not guessed."""
    with pytest.raises(CheckpointError, match=problem):
        roots.find(write_transformers(tmp_path / "hf", "gelu_new", **config))
    if "image_size" in config and config["image_size"] != "big":
        sizes = config["image_size"] if isinstance(config["image_size"], list) else [48, 48]
        timm = write_timm(tmp_path / "timm", pretrained_cfg={"input_size": [3, *sizes]})
        with pytest.raises(CheckpointError, match=problem):
            roots.find(timm)
        write_timm(tmp_path / "timm", pretrained_cfg={"input_size": [3, *sizes]}, model_args={"img_size": 32})
        assert roots.find(timm).facts.image_size == 32


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ml_dtypes.bfloat16])
def test_other_float_types_become_float32(tmp_path: Path, dtype: Any) -> None:
    state = {key: array.astype(dtype) for key, array in weights.timm_state().items()}
    folder = write_timm(tmp_path / "model", state)
    loaded = load_tensors(folder / "model.safetensors", 2)
    expected = state["blocks.1.attn.qkv.weight"][64:128].astype(np.float32).T.reshape(64, 2, 32)
    got = loaded["encoderblock_1"]["MultiHeadDotProductAttention_1/key/kernel"]
    np.testing.assert_array_equal(got, expected)
    assert got.dtype == np.float32
    assert got.flags.c_contiguous


def test_a_prefix_that_not_all_tensors_have(tmp_path: Path) -> None:
    state = weights.timm_state()
    state["model.patch_embed.proj.weight"] = state.pop("patch_embed.proj.weight")
    folder = write_timm(tmp_path / "model", state)
    plain = write_timm(tmp_path / "plain")
    mixed, usual = (load_tensors(place / "model.safetensors", 2) for place in (folder, plain))
    for name, arrays in usual.items():
        for path, array in arrays.items():
            np.testing.assert_array_equal(mixed[name][path], array)
    safetensors.numpy.save_file(
        state | {"model.norm.bias": np.zeros(64, np.float32)}, str(folder / "model.safetensors")
    )
    with pytest.raises(CheckpointError, match=r"of the same name with and without 'model\.'"):
        load_tensors(folder / "model.safetensors", 2)


def test_fewer_blocks_another_size_and_model_prefix(tmp_path: Path) -> None:
    state = {f"model.{key}": array for key, array in weights.timm_state().items()}
    folder = write_timm(tmp_path / "model", state)
    loaded = load_tensors(folder / "model.safetensors", 1, 48)
    assert list(loaded) == ["embedding", "cls", "posembed_input", "encoderblock_0", "encoder_norm"]
    assert loaded["posembed_input"]["pos_embedding"].shape == (1, 10, 64)
    with pytest.raises(CheckpointError, match="only 2 blocks are there: use num_blocks=2"):
        load_tensors(folder / "model.safetensors", 3)


def put(**arrays: Any) -> Callable[[State], None]:
    return lambda state: state.update({name.replace("__", "."): array for name, array in arrays.items()})


def drop(*keys: str) -> Callable[[State], None]:
    def apply(state: State) -> None:
        for key in keys:
            del state[key]

    return apply


def resize(key: str, *shape: int) -> Callable[[State], None]:
    return lambda state: state.update({key: np.zeros(shape, np.float32)})


ONE = np.ones(3, np.float32)
REFUSED: dict[str, tuple[Callable[[State], None], str]] = {
    "distilled": (put(dist_token=ONE), "a distillation token"),
    "registers": (put(reg_token=ONE), "register tokens"),
    "LayerScale": (put(blocks__0__ls1__gamma=ONE), "LayerScale"),
    "qk-norm": (put(blocks__0__attn__q_norm__weight=ONE), "qk-norm"),
    "pooling": (put(fc_norm__weight=ONE), "average pooling"),
    "no class token": (drop("cls_token"), "no class token"),
    "no place for it": (resize("pos_embed", 1, 4, 64), "without a place for the class token"),
    "no position": (drop("pos_embed"), "no learned position embedding"),
    "patch 14": (resize("patch_embed.proj.weight", 64, 3, 14, 14), "patches of 14 pixels"),
    "width": (resize("patch_embed.proj.weight", 100, 3, 16, 16), "width 100"),
    "channels": (resize("patch_embed.proj.weight", 64, 1, 16, 16), r"a patch embedding of shape \(64, 1, 16, 16\)"),
    "missing": (drop("blocks.1.norm2.bias"), r"blocks\.1\.norm2\.bias: is missing"),
    "no bias": (drop("blocks.0.attn.qkv.bias"), r"qkv\.bias: is missing"),
    "shape": (resize("norm.bias", 9), r"norm\.bias: shape \(9,\), expected \(64,\)"),
    "integers": (put(norm__bias=np.zeros(64, np.int32)), r"norm\.bias: type I32, expected one of F64"),
    "nan": (put(norm__bias=np.full(64, np.nan, np.float32)), r"norm\.bias: holds NaN"),
    "foreign": (put(blocks__0__extra__weight=ONE), r"blocks\.0\.extra\.weight: has no place"),
}


@pytest.mark.parametrize("change", REFUSED)
def test_what_is_refused_and_what_is_said(tmp_path: Path, change: str) -> None:
    spoil, expected = REFUSED[change]
    state = weights.timm_state()
    spoil(state)
    folder = write_timm(tmp_path / "model", state)
    with pytest.raises(CheckpointError, match=expected) as caught:
        load_tensors(folder / "model.safetensors", 2)
    assert str(folder) in str(caught.value)


def test_a_config_can_say_what_the_arrays_do_not(tmp_path: Path) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"num_attention_heads": 4}, "4 attention heads instead of 2"),
        ({"hidden_act": "quick_gelu"}, "the activation 'quick_gelu' instead of GELU"),
        ({"global_pool": "avg"}, "features pooled by 'avg'"),
    ]
    for config, expected in cases:
        folder = write_transformers(tmp_path / "model", "gelu", **config)
        with pytest.raises(CheckpointError, match=expected):
            roots.find(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json is damaged"):
        roots.find(folder)


def test_other_models_and_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "resnet.safetensors"
    safetensors.numpy.save_file({"conv1.weight": ONE}, str(path))
    with pytest.raises(CheckpointError, match=r"no ViT of timm or transformers.*It holds: conv1\.weight"):
        describe_tensors(path)
    for data in (b"", b"\x10", b"\xff" * 80, (1 << 40).to_bytes(8, "little"), (2).to_bytes(8, "little") + b"[]"):
        path.write_bytes(data)
        with pytest.raises(CheckpointError, match="not a whole safetensors file"):
            describe_tensors(path)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"dtype": "F32", "shape": [1 << 40, 1 << 40], "data_offsets": [0, 12]}, "in 12 bytes"),
        ({"dtype": "F32", "shape": [-3], "data_offsets": [0, 12]}, "no valid shape"),
        ({"dtype": "F32", "shape": [3.0], "data_offsets": [0, 12]}, "no valid shape"),
        ({"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}, "no valid shape"),
        ({"dtype": "F128", "shape": [3], "data_offsets": [0, 12]}, "type F128"),
        ({"dtype": "F32", "shape": [3], "data_offsets": [4, 16]}, "overlap with others or leave a gap"),
        ({"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "cut off or damaged"),
        ({"dtype": "F32", "shape": [3]}, "no dtype, shape and data_offsets"),
        ([], "no dtype, shape and data_offsets"),
    ],
)
def test_headers_that_lie(tmp_path: Path, entry: Any, expected: str) -> None:
    header = json.dumps({"x": entry}).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(12))
    with pytest.raises(CheckpointError, match=expected):
        describe_tensors(path)


def version_5(state: State) -> State:
    """As transformers 5 names its own modules."""
    names = {
        "encoder.layer.": "layers.", ".attention.attention.query": ".attention.q_proj",
        ".attention.attention.key": ".attention.k_proj", ".attention.attention.value": ".attention.v_proj",
        ".attention.output.dense": ".attention.o_proj", ".intermediate.dense": ".mlp.fc1", ".output.dense": ".mlp.fc2",
    }  # fmt: skip
    renamed = {}
    for key, array in state.items():
        for old, new in names.items():
            key = key.replace(old, new)
        renamed[key] = array
    return renamed


def save(path: Path, state: State) -> Path:
    safetensors.numpy.save_file(state, str(path))
    return path


def assert_same_root(path: Path, usual: Path) -> None:
    expected, found = (load_tensors(place, 2) for place in (usual, path))
    assert found.keys() == expected.keys()
    for name, arrays in expected.items():
        for leaf, array in arrays.items():
            np.testing.assert_array_equal(found[name][leaf], array)


@pytest.mark.parametrize("prefix", ["vit.", ""])
def test_the_names_of_transformers_5(tmp_path: Path, prefix: str) -> None:
    usual = save(tmp_path / "usual.safetensors", weights.transformers_state(prefix))
    new = save(tmp_path / "new.safetensors", version_5(weights.transformers_state(prefix)))
    assert_same_root(new, usual)
    assert describe_tensors(new)[0].layout == "transformers"
    state = version_5(weights.transformers_state(prefix))
    for key, what in (("distillation_token", "distillation"), ("register_tokens", "register tokens")):
        spoilt = save(tmp_path / "spoilt.safetensors", state | {f"{prefix}embeddings.{key}": ONE})
        with pytest.raises(CheckpointError, match=what):
            describe_tensors(spoilt)


PREFIXES = (
    "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.", "_fsdp_wrapped_module.", "_forward_module.model.",
    "state_dict.backbone.", "student.", "encoder.vit.",
)  # fmt: skip


@pytest.mark.parametrize("prefix", PREFIXES)
def test_what_compilers_and_wrappers_put_before_names(tmp_path: Path, prefix: str) -> None:
    for name, state in (("timm", weights.timm_state()), ("hf", weights.transformers_state(""))):
        usual = save(tmp_path / f"{name}.safetensors", state)
        path = save(tmp_path / "wrapped.safetensors", {prefix + key: array for key, array in state.items()})
        assert_same_root(path, usual)
    spoilt = {prefix + key: array for key, array in (weights.timm_state() | {"dist_token": ONE}).items()}
    with pytest.raises(CheckpointError, match="a distillation token"):
        describe_tensors(save(tmp_path / "spoilt.safetensors", spoilt))


def test_wrappers_inside_of_names(tmp_path: Path) -> None:
    """As of blocks that are compiled or checkpointed one by one."""
    usual = save(tmp_path / "timm.safetensors", weights.timm_state())
    for wrapper in ("_orig_mod", "_checkpoint_wrapped_module"):
        state = {
            key.replace("blocks.1.", f"blocks.1.{wrapper}.").replace(".attn.", f".attn.{wrapper}."): array
            for key, array in weights.timm_state().items()
        }
        assert_same_root(save(tmp_path / "wrapped.safetensors", state), usual)
    twice = weights.timm_state() | {"_orig_mod.norm.bias": np.zeros(64, np.float32)}
    with pytest.raises(CheckpointError, match="of the same name with and without"):
        describe_tensors(save(tmp_path / "twice.safetensors", twice))


HEADS = ("head.fc.weight", "head.0.weight", "head.mlp.2.bias", "heads.birds.weight", "classifier.1.bias", "fc.weight",
         "task_head.layers.0.weight", "classifiers.3.weight")  # fmt: skip


@pytest.mark.parametrize("head", HEADS)
def test_heads_of_any_kind_are_left_out(tmp_path: Path, head: str) -> None:
    for name, state in (("timm", weights.timm_state()), ("hf", weights.transformers_state("vit."))):
        usual = save(tmp_path / f"{name}.safetensors", state)
        assert_same_root(save(tmp_path / "headed.safetensors", state | {head: ONE}), usual)


def test_two_models_in_a_file_are_told_apart_by_the_user(tmp_path: Path) -> None:
    both = {f"{which}.{key}": array for key, array in weights.timm_state().items() for which in ("student", "teacher")}
    with pytest.raises(CheckpointError, match=r"holds 2 ViTs, under 'student\.' and 'teacher\.'"):
        describe_tensors(save(tmp_path / "both.safetensors", both))
