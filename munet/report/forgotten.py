"""What forgetting a task changes, for people, before and after it is done."""

from __future__ import annotations

from collections.abc import Iterator

from munet.run.forget import Forgetting
from munet.text import count

UNKNOWN = "for its long descent names the newest tasks only"  # why nobody knows what a component was trained on
_MOST = 12  # components and tasks that are listed one by one


def describe(planned: Forgetting) -> Iterator[str]:
    """Line by line: what goes, what stays and why, and what becomes of the other tasks' accounts."""
    system, task = planned.system, planned.task
    if planned.entry is None:
        yield f"{system.workdir} has forgotten {task} before."
    else:
        params = sum(record.num_params for record in planned.removed.values())
        yield (
            f"{system.workdir}: model {planned.entry.retained} of {task} goes, with "
            f"{count(len(planned.removed), 'component')} that only it used ({params:,} parameters)."
        )
    yield from _seen(planned)
    if planned.entry is not None:
        yield from _accounts(planned)


def _seen(planned: Forgetting) -> Iterator[str]:
    """Which of the components that stay have seen the task's images, and who uses them."""
    seen, task = planned.seen, planned.task
    if not seen:
        yield f"Nothing that stays was trained on images of {task}."
        return
    yield (
        f"{count(len(seen), 'component')} that other tasks use {'was' if len(seen) == 1 else 'were'} trained on images "
        f"of {task} and {'stays' if len(seen) == 1 else 'stay'}; to be rid of them too, forget these tasks and train "
        "them again:"
    )
    paths = [id for other in planned.others for id in planned.system.model(other).components.values()]
    in_order = {id: seen[id] for id in (*paths, *seen) if id in seen}  # of a model from input to output; bases behind
    for id, cycles in list(in_order.items())[:_MOST]:
        name = planned.after.components[id].name
        how = f"{count(cycles, 'cycle')} on {task}" if cycles else f"perhaps, {UNKNOWN}"
        yield f"  {name} {id[:12]}: {how}; used by {', '.join(planned.users(id))}"
    if len(seen) > _MOST:
        yield f"  and {len(seen) - _MOST:,} more"


def _accounts(planned: Forgetting) -> Iterator[str]:
    """Tasks that pay for more of what they shared, or score otherwise."""
    lines = []
    for task in planned.others:
        (old, new), (before, after) = planned.accounted_params(task), planned.scores(task)
        if round(old) != round(new) or before != after:
            score = f"; score {before:.2%} -> {after:.2%}" if before != after else "; its score stays"
            lines.append(f"  {task}: accounted parameters {old:,.0f} -> {new:,.0f}{score}")
    if lines:
        yield "What was shared is divided among fewer tasks:"
        yield from lines[:_MOST]
        if len(lines) > _MOST:
            yield f"  and {len(lines) - _MOST:,} more"
    else:
        yield "No other task's accounts change."
