"""What a joint training's work directory says of its system: the same view that an evolved run has.

Its models are children of the root, one a task; what they share they share by component ids, as everywhere. So status,
graph, prediction, verification and roots read both kinds in the same way.
"""

from __future__ import annotations

from munet.config.differences import to_json
from munet.config.train import METHODS, TrainExperiment, as_run
from munet.evolution.search_space import default_hyperparameters
from munet.evolution.state import State
from munet.joint.records import JointResult, ReplicaResult
from munet.joint.workdir import TRAIN, Workdir
from munet.store import Store, codec
from munet.store.journal import FORMAT_VERSION
from munet.system.joint_record import JointRecord
from munet.system.replay import RunState
from munet.system.view import RunView
from munet.types import ROOT_MODEL, ModelRecord, PhaseEntry, Position, StartEntry


def is_joint(workdir: str) -> bool:
    """Whether there is a joint training in `workdir`."""
    return TRAIN.is_begun(workdir)


def open_joint(workdir: str, replica: int = 0) -> RunView:
    """A view of the joint training in `workdir`, which may be going on: its models are there when it is complete.

    Args:
      workdir: of the training.
      replica: of which seed, from the first.

    Raises:
      WorkdirError: it was written by a newer version.
      CorruptionError: one of its files is damaged.
    """
    place = Workdir(workdir, TRAIN)
    beginning, result = place.beginning(), place.result()
    if beginning is None:
        raise ValueError(f"no joint training in {workdir}")
    if result is not None and not isinstance(result, JointResult):
        raise TypeError("the result of a joint training is of another kind")
    where = f"The settings in {place.location(TRAIN.start)}"
    experiment = codec.from_json(TrainExperiment, beginning.experiment, where)
    points = place.curve()
    record = JointRecord(
        title=METHODS[experiment.method],
        rounds=points[-1].step if points else 0,
        num_rounds=result.num_rounds if result else experiment.num_rounds,
        replicas=experiment.replicas,
        seed=experiment.seed + replica,
        seconds=result.seconds if result else points[-1].seconds if points else 0.0,
        settings=beginning.experiment,
        closed={} if result is None else _closed(result.replicas[replica]),
    )
    start = StartEntry(
        format_version=FORMAT_VERSION,
        experiment=to_json(as_run(experiment)),
        tasks=beginning.tasks,
        root=_root(experiment, result),
        published={} if result is None else result.published,
        root_checkpoint=beginning.root,
        versions={name: str(version) for name, version in beginning.versions.items()},
        layout=beginning.layout,
        folder=beginning.folder,
    )
    store = Store(place.path)
    return RunView(store, start, _run_state(experiment, start, result, replica), record)


def _root(experiment: TrainExperiment, result: JointResult | None) -> ModelRecord:
    components = {} if result is None else result.root
    return ModelRecord(ROOT_MODEL, None, None, default_hyperparameters(as_run(experiment)), components)


def _run_state(experiment: TrainExperiment, start: StartEntry, result: JointResult | None, replica: int) -> RunState:
    models = {ROOT_MODEL: start.root}
    retained = {}
    if result is not None:
        for id, (task, found) in enumerate(result.replicas[replica].tasks.items(), start=1):
            retained[task] = id
            models[id] = ModelRecord(
                id,
                task,
                ROOT_MODEL,
                start.root.hyperparameters,
                found.components,
                quality=found.validation,
                test_quality=found.test,
            )
    used = {id for model in models.values() for id in model.components.values()}
    state = State.of(
        position=Position(1 if result else 0, 0, 0),
        models=models,
        # Of other replicas there are components, too, which are on no path of this system.
        components={id: record for id, record in start.published.items() if id in used or record.is_root},
        retained=retained,
        active=(),
        seeds=(),
        next_model_id=len(models),
    )
    return RunState(state, image_steps=result.image_steps * experiment.replicas if result else 0)


def _closed(result: ReplicaResult) -> dict[str, PhaseEntry]:
    """What the end of a phase would say of each task."""
    return {
        task: PhaseEntry(
            Position(0, index, 0),
            task,
            index + 1,
            found.test,
            found.test_correct_per_class,
            found.test_counted_per_class,
        )
        for index, (task, found) in enumerate(result.tasks.items())
    }
