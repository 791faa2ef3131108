"""What a network costs, counted in its traced program."""

from __future__ import annotations

import math
from typing import Any

from munet.joint.traced_memory import inner_programs


def products(jaxpr: Any) -> int:
    """Floating-point operations of all products in a traced program, two for each multiplication; loops unrolled."""
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            shape = equation.invars[0].aval.shape
            total += 2 * math.prod(equation.outvars[0].aval.shape) * math.prod(shape[at] for at in contracted)
        times = equation.params.get("length", 1) if equation.primitive.name == "scan" else 1
        total += times * sum(map(products, inner_programs(equation)))
    return total
