"""What the quality of a task is told in: of losses, or counted; and whether more of it is better."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from munet.types import Unit

_MOST = 700.0  # nats; the exponential of more is no number of a float


class Metric(NamedTuple):
    """How a quality is told.

    Attributes:
      of_loss: from a mean loss; None: a share of predictions that are right, which is counted.
      is_higher_better: else lower is.
      digits: after the point, for people; of shares, in percent.
    """

    of_loss: Callable[[float], float] | None
    is_higher_better: bool = False
    digits: int = 4

    @property
    def words(self) -> str:
        """For people: `the lower the better`."""
        return f"the {'higher' if self.is_higher_better else 'lower'} the better"

    def text(self, value: float) -> str:
        """A quality for people."""
        return f"{value:.2%}" if self.of_loss is None else f"{value:.{self.digits}f}"


METRICS: Mapping[str, Metric] = {
    "accuracy": Metric(None, is_higher_better=True, digits=2),
    "RMSE": Metric(math.sqrt),
    "MSE": Metric(float),
    "bits a byte": Metric(lambda loss: loss / math.log(2)),
    "perplexity": Metric(lambda loss: math.exp(min(loss, _MOST)), digits=2),
}
METRIC_OF_UNIT: Mapping[Unit, str] = {"bytes": "bits a byte", "words": "perplexity"}  # of texts
