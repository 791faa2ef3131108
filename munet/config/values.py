"""What a setting may be, and how a value that was given for it, in Python or as text, becomes one of its type."""

from __future__ import annotations

import dataclasses
import math
import typing
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from munet.config.lists import split
from munet.errors import nearest


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`, both included unless one of them is `excluded`.

    `zero` and `one` are what 0 and 1 mean.
    """

    low: float
    high: float = math.inf
    excluded: float | None = None
    zero: str = ""
    one: str = ""

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high and value != self.excluded

    def __str__(self) -> str:
        if self.high < math.inf:
            words = f"{self.low:g} to {self.high:g}" + ("" if self.excluded is None else f", not {self.excluded:g}")
            return f"{words}; 1: {self.one}" if self.one else words
        if self.excluded == self.low:
            return f"above {self.low:g}"
        zero = f" ({self.zero})" if self.zero else ""
        return f"0{zero} or more" if self.low == 0 else f"at least {self.low:g}"


NonNegative = Annotated[int, Range(0)]
Automatic = Annotated[int, Range(0, zero="automatic")]
Positive = Annotated[int, Range(1)]
Width = Annotated[int, Range(1, 1 << 16)]  # of an inserted layer
Share = Annotated[float, Range(0, 1)]
Factor = Annotated[float, Range(0, 1, excluded=0, one="no penalty")]
Rate = Annotated[float, Range(0, 100, excluded=0)]  # of learning
Momentum = Annotated[float, Range(0, 1, excluded=1)]  # of an optimiser, which at 1 forgets nothing
CropShare = Annotated[float, Range(1e-6, 1)]  # no image is cropped to nothing
HueShare = Annotated[float, Range(0, 0.5)]  # half a turn in either direction reaches every hue

# What a value is called where it is written in Python, as text, and as text for a list.
EXPECTED = {
    bool: ("True or False", "true or false", "true or false, separated by commas"),
    int: ("a whole number", "a whole number", "whole numbers separated by commas, such as 16,32"),
    float: ("a finite number", "a number", "numbers separated by commas, such as 0.1,0.2"),
    str: ("text", "text", "names separated by commas"),
}


@dataclass(frozen=True)
class Setting:
    """What one field of a config may be.

    Attributes:
      path: its full name, such as `experiment.search_space.momentum`.
      owner: the class that it is a field of.
      kind: bool, int, float or str, of its value or of each element of it; a class of settings if it is a group.
      is_tuple: whether its value is a tuple of such elements.
      limits: in which numbers must be; None: any are allowed.
      choices: among which texts must be; (): any are allowed.
    """

    path: str
    owner: type[Any]
    kind: type[Any]
    is_tuple: bool = False
    limits: Range | None = None
    choices: tuple[str, ...] = ()

    @classmethod
    def declared(cls, path: str, owner: type[Any], annotation: Any) -> Setting:
        """The setting of a field with an annotation such as `tuple[Annotated[int, Range(1)], ...]`."""
        is_tuple = typing.get_origin(annotation) is tuple
        kind, limits = typing.get_args(annotation)[0] if is_tuple else annotation, None
        if typing.get_origin(kind) is Annotated:
            kind, limits = typing.get_args(kind)
        choices = typing.get_args(kind) if typing.get_origin(kind) is Literal else ()
        return cls(path, owner, str if choices else kind, is_tuple, limits, choices)

    @property
    def name(self) -> str:
        """Its name in its class."""
        return self.path.rpartition(".")[2]

    @property
    def is_group(self) -> bool:
        """Whether it has settings of its own."""
        return dataclasses.is_dataclass(self.kind)

    @property
    def allowed(self) -> str:
        """The limits or the choices, for people; "" where all values of the type are allowed."""
        return str(self.limits or ", ".join(choice or '""' for choice in self.choices))

    @property
    def as_text(self) -> str:
        """What is expected of it on the command line: `a number`, `names separated by commas`."""
        return EXPECTED[self.kind][2 if self.is_tuple else 1]

    def typed(self, value: Any) -> Any:
        """The value in the type of the field: `1` as `1.0` and a list as a tuple, where the field has those.

        Raises:
          ValueError: the value is of another type; the message says what was expected.
        """
        if self.is_group:
            if type(value) is not self.kind:
                raise ValueError(f"{self.path} is a {type(value).__name__}: expected a {self.kind.__name__}(...).")
            return value
        try:
            if not self.is_tuple:
                return self._element(value)
            if isinstance(value, str):
                example = _tuple_of(value) if self.kind is str else "(1, 2)"
                raise ValueError(f"expected a tuple, not one string; write {example}.")
            if not isinstance(value, tuple | list):
                expected = EXPECTED[self.kind][0]
                raise ValueError(f"expected a tuple, each element {expected}; got {type(value).__name__}.")
            return tuple(self._element(element) for element in value)
        except ValueError as error:
            raise ValueError(f"{self.path} = {value!r}: {error}") from error

    def problems(self, value: Any) -> list[str]:
        """What is wrong with a value of the right type: a sentence for each problem."""
        elements = value if self.is_tuple else (value,)
        if self.limits and not all(element in self.limits for element in elements):
            each = "" if not self.is_tuple else "each from " if self.limits.high < math.inf else "each "
            return [f"{self.path} = {value!r}: expected {each}{self.limits}."]
        says = f"{self.path} names" if self.is_tuple else f"{self.path} ="
        wrong = dict.fromkeys(element for element in elements if self.choices and element not in self.choices)
        return [f"{says} {element!r}. {nearest(element, self.choices)}" for element in wrong]

    def _element(self, value: Any) -> Any:
        # True is an int to Python, but no number to anybody who writes a config.
        kind, expected = self.kind, EXPECTED[self.kind][0]
        if not isinstance(value, int | float if kind is float else kind) or isinstance(value, bool) != (kind is bool):
            raise ValueError(f"expected {expected}, got {type(value).__name__} {value!r}.")
        if kind is float and not math.isfinite(value):
            raise ValueError(f"expected {expected}, got {value!r}.")
        return kind(value)


def _tuple_of(text: str) -> str:
    """How the tuple is written in Python that the text means on the command line: `a,b` is `('a', 'b')`."""
    try:
        return str(tuple(split(text)) or (text,))
    except ValueError:  # a quote or a bracket that is not closed
        return str((text,))
