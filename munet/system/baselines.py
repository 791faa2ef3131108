"""Where the baselines of a run are kept, each a run of its own below it."""

from __future__ import annotations

from munet.config.evolve import BASELINES
from munet.store import Store


def baseline_workdir(workdir: str, kind: str) -> str:
    """Where the baseline `kind` of a run is kept."""
    return f"{workdir.rstrip('/')}/baselines/{kind}"


def baselines(workdir: str) -> dict[str, str]:
    """The baselines of a run that have begun: where each is kept, by what is tuned, in their order."""
    places = {kind: baseline_workdir(workdir, kind) for kind in BASELINES if kind}
    return {kind: place for kind, place in places.items() if Store(place).has_begun}
