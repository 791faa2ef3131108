"""Which columns of a Hugging Face set are the image and the label: found where it is clear, asked for where not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from munet.data.labels import ONE_CLASS
from munet.errors import DataError, nearest

_SEVERAL = f"holds several labels an image (multi-label), and {ONE_CLASS}"
_IMAGE_NAMES = ("image", "img")
_LABEL_NAMES = ("label", "labels", "class", "target", "category", "y")


def image_column(uri: str, features: Mapping[str, Any], chosen: str | None) -> str:
    """The column of images: the chosen one, the only one, or the one that is called so.

    Args:
      uri: the task, for messages.
      features: the feature of each column.
      chosen: the user's choice, if any.

    Raises:
      DataError: there is none, or several.
    """
    images = [name for name, feature in features.items() if _is_image(feature)]
    if chosen is not None:
        if chosen not in images:
            raise DataError(f"{uri}: there is no column of images {chosen!r}. {nearest(chosen, images)}")
        return chosen
    if not images:
        raise DataError(f"{uri}: no image classification set: none of its columns is an Image ({_list(features)}).")
    named = [name for name in _IMAGE_NAMES if name in images]
    if len(images) > 1 and not named:
        raise DataError(f"{uri}: which column holds the image? Say ?image=NAME; there are {_list(images)}.")
    return named[0] if named else images[0]


def label_column(uri: str, features: Mapping[str, Any], chosen: str | None) -> str:
    """The column of labels: the chosen one; the only ClassLabel; one that is called so; the only one of whole numbers.

    Args:
      uri: the task, for messages.
      features: the feature of each column.
      chosen: the user's choice, if any.

    Raises:
      DataError: there is none, several, or it holds several labels an image.
    """
    classes = [name for name, feature in features.items() if _kind(feature) == "ClassLabel"]
    numbers = [name for name, feature in features.items() if _is_value(feature, ("int", "uint"))]
    truths = [name for name, feature in features.items() if _is_value(feature, ("bool",))]
    texts = [name for name, feature in features.items() if _is_value(feature, ("string", "large_string"))]
    lists = [name for name, feature in features.items() if _is_list(feature)]
    candidates = [*classes, *numbers, *truths, *texts]
    if chosen is not None:
        if chosen in lists:
            raise DataError(f"{uri}: column {chosen!r} {_SEVERAL}. {_choose(candidates)}")
        if chosen not in candidates:
            raise DataError(f"{uri}: there is no column of labels {chosen!r}. {nearest(chosen, candidates)}")
        return chosen
    if len(classes) == 1:
        return classes[0]
    for names in (classes, [*numbers, *truths, *texts]):
        named = [name for name in _LABEL_NAMES if name in names]
        if named:
            return named[0]
    if classes:
        raise DataError(f"{uri}: which column holds the label? {_choose(classes)}")
    several = [name for name in lists if name in _LABEL_NAMES or _holds_classes(features[name])]
    if several:
        raise DataError(f"{uri}: column {several[0]!r} {_SEVERAL}. {_choose(candidates)}")
    if len(numbers) == 1:
        return numbers[0]
    raise DataError(f"{uri}: no column is clearly the label. {_choose(candidates)}")


def _is_image(feature: Any) -> bool:
    """Whether a column is an Image, or what one is in a file that does not say so: `{bytes, path}`."""
    if isinstance(feature, dict):
        return feature.keys() == {"bytes", "path"} and _is_value(feature["bytes"], ("binary", "large_binary"))
    return _kind(feature) == "Image"


def _kind(feature: Any) -> str:
    return type(feature).__name__


def _is_value(feature: Any, kinds: tuple[str, ...]) -> bool:
    return _kind(feature) == "Value" and str(feature.dtype).rstrip("0123456789") in kinds


def _is_list(feature: Any) -> bool:
    return _kind(feature) in ("List", "LargeList", "Sequence") or isinstance(feature, list | dict)


def _holds_classes(feature: Any) -> bool:
    """Whether a ClassLabel is somewhere inside: labels of an image, or of the objects in it."""
    inner = feature if isinstance(feature, dict) else getattr(feature, "feature", None)
    parts = inner.values() if isinstance(inner, dict) else [inner] if inner is not None else []
    return any(_kind(part) == "ClassLabel" or _holds_classes(part) for part in parts)


def _choose(candidates: list[str]) -> str:
    if not candidates:
        return "There is no column of class numbers or names."
    return f"Say ?label=NAME; there {'are' if len(candidates) > 1 else 'is'} {_list(candidates)}."


def _list(names: Mapping[str, Any] | list[str]) -> str:
    return ", ".join(map(repr, names))
