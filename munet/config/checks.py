"""What is refused in a config before anything is done with it: wrong fields, and fields that do not fit together.

What a field may be by itself is declared where it is defined; what must fit together is in its kind's `RULES`.
"""

from __future__ import annotations

import operator
from collections.abc import Collection
from typing import TypeVar

from munet import kinds
from munet.config.fields import field_problems
from munet.errors import ConfigError
from munet.kinds import AnyConfig

C = TypeVar("C", bound=AnyConfig)


def validate(config: C, unasked: Collection[str] = ()) -> C:
    """Checks everything that can be checked without data, and returns the config.

    Args:
      config: changed in place: where fields are so declared, `1` becomes `1.0` and lists become tuples, so that the
        journal does not tell them apart.
      unasked: full names of fields to which no rule is applied.

    Raises:
      ConfigError: all problems in one message.
    """
    mistyped, others = field_problems(config)
    problems = [*mistyped.values(), *others]
    for rule, *paths in kinds.of(config).rules:
        if not any(f"{path}.".startswith(f"{wrong}.") for path in paths for wrong in (*mistyped, *unasked)):
            problems += rule(*(operator.attrgetter(path)(config) for path in paths))
    if problems:
        raise ConfigError(problems)
    return config
