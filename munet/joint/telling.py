"""What is said of a training in its course: that it begins, how far it is, that it has diverged."""

from __future__ import annotations

from munet.errors import DivergedError
from munet.joint.job import Job
from munet.progress import events
from munet.progress.wording import describe_rate


def started(job: Job, workdir: str, step: int) -> events.TrainingStarted:
    """That a start begins, with so many rounds done before it."""
    return events.TrainingStarted(
        workdir=workdir,
        title=job.words.title,
        task_names=tuple(task.info.name for task in job.tasks),
        num_rounds=job.length.total,
        images_per_round=job.images_per_round * len(job.seeds),
        rounds_done=step,
        unit=job.words.unit,
        example=job.example,
    )


def progress(job: Job, step: int, rate: float) -> str:
    """How far it is, how fast it goes (in rounds a second), how long it will take."""
    speed = describe_rate(rate * job.images_per_round * len(job.seeds), (job.length.total - step) / rate, job.example)
    return f"{job.words.unit} {step:,} of {job.length.total:,}; {speed}"


def diverged(job: Job, workdir: str, step: int, replica: int, stream: str, loss: float) -> DivergedError:
    """That a loss is no longer finite, and what to change."""
    of = f" of {stream}" if len(job.streams) > 1 else ""
    by = f" (seed {job.seeds[replica]})" if len(job.seeds) > 1 else ""
    return DivergedError(
        f"Training diverged: at {job.words.unit} {step:,} of {job.length.total:,} the loss{of}{by} is {loss}. "
        f"{job.words.advice}, in another --workdir: nothing in {workdir} is of use."
    )
