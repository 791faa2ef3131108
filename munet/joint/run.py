"""`munet pretrain`: how a training is started, gone on with and finished.

Everything is checked before the work directory is touched. Killed at any moment, the same command goes on from the last
saved state and ends, on one layout, bit for bit as if nothing had happened.
"""

from __future__ import annotations

import hashlib
import io

import numpy as np
from flax.traverse_util import flatten_dict

from munet import intervals
from munet.config import to_json
from munet.config.pretrain import PretrainConfig
from munet.joint import dry_run
from munet.joint.examples import shifted
from munet.joint.held_out import measure
from munet.joint.loop import Say, Trained, Training
from munet.joint.preparation import JointSetup
from munet.joint.saving import JointSaves
from munet.joint.workdir import Result, Workdir, check_same, recipe_differences
from munet.methods.pretraining import card
from munet.run import start
from munet.text import count, with_interval
from munet.types import Quality, TaskName
from munet.vit.architecture import HEAD
from munet.vit.augreg import Components, save_augreg


def pretrain(config: PretrainConfig, workdir: str, say: Say, command: str = "", is_dry_run: bool = False) -> None:
    """Trains a root from scratch, or goes on where training was interrupted.

    Args:
      config: validated settings.
      workdir: where everything is kept.
      say: told what happens, a line each time.
      command: what does this, for the root's card.
      is_dry_run: only tell what would be done and how long it would take; nothing is written.

    Raises:
      UserError: the input cannot be used; nothing is written then.
      DivergedError: the loss is no longer finite.
    """
    if is_dry_run:
        for line in dry_run.describe(JointSetup.prepare(config, say)):
            say(line)
        return
    place = Workdir(workdir)
    if _is_complete(config, place, say):
        return
    setup = JointSetup.prepare(config, say)
    with place.lock():
        _begin_or_resume(setup, place, say)
        saving = JointSaves(place.in_training, config.runtime.checkpoint_minutes, say)
        result = place.result()  # there if only the data's places have changed
        if result is None:
            say(_headline(setup))
            trained = Training(setup, place, saving, say).run()
            result = _finish(setup, place, trained, command)
        _tell(result, place, say)
        saving.clear()


def _is_complete(config: PretrainConfig, place: Workdir, say: Say) -> bool:
    """Whether a training of this very recipe is complete, which is said then; its data are not needed."""
    beginning, experiment = place.beginning(), to_json(config.experiment)
    if beginning is None or beginning.experiment["tasks"] != experiment["tasks"]:
        return False
    if recipe_differences(beginning.experiment, experiment) or (result := place.result()) is None:
        return False
    with place.lock():
        JointSaves(place.in_training, 0, say).clear()  # what a start that was killed at its very end left
    say(f"The training in {place.path} is complete; nothing is left to do.")
    _tell(result, place, say)
    return True


def _begin_or_resume(setup: JointSetup, place: Workdir, say: Say) -> None:
    """Writes what the training begins with, or compares it with what is there.

    Raises:
      WorkdirError: another recipe, or other data.
    """
    found, wanted = place.beginning(), setup.beginning
    if found is None:
        place.begin(wanted)
        return
    check_same(found, wanted, place.path)
    for note in start.notes_on_layout(found, wanted):
        say(note)


def _headline(setup: JointSetup) -> str:
    device = setup.layout.devices[0].platform
    return (
        f"{setup.num_images:,} training images of {setup.examples.num_classes:,} classes from "
        f"{count(len(setup.tasks), 'task')}; {count(setup.num_steps, 'step')} of {setup.batch_size:,} on "
        f"{count(len(setup.layout.devices), f'{device} device')}"
    )


def _finish(setup: JointSetup, place: Workdir, trained: Trained, command: str) -> Result:
    """Measures the test splits, this once, and puts the root and its card in place."""
    config = setup.config
    components: Components = {
        name: {leaf: np.asarray(array) for leaf, array in flatten_dict(tree, sep="/").items()}
        for name, tree in trained.state.params.items()
    }
    head_params = _num_params({HEAD: components[HEAD]})
    test = _test(setup, trained)
    if not config.runtime.keep_head:
        del components[HEAD]
    file = io.BytesIO()
    save_augreg(file, components)
    result = Result(
        file=card.file_name(config.experiment),
        sha256=hashlib.sha256(file.getbuffer()).hexdigest(),
        test=test,
        num_params=_num_params(components) - (head_params if config.runtime.keep_head else 0),
        head_params=head_params,
        num_images=setup.num_images,
        num_steps=setup.num_steps,
        seconds=trained.seconds,
    )
    infos = [task.info for task in setup.tasks]
    place.finish(result, file.getvalue(), card.card(config, infos, result, command, setup.layout.describe()))
    return result


def _test(setup: JointSetup, trained: Trained) -> dict[TaskName, Quality]:
    test = {}
    for task in setup.tasks:
        with task.testing():
            split = shifted(task.split("test"), setup.examples.offsets[task.info.name])
        test[task.info.name] = measure(setup.config.experiment, trained.state.params, split).quality
        task.release()
    return test


def _num_params(components: Components) -> int:
    return sum(array.size for leaves in components.values() for array in leaves.values())


def _tell(result: Result, place: Workdir, say: Say) -> None:
    for name, quality in result.test.items():
        shown = with_interval(quality.value, intervals.of_quality(quality))
        say(f"test accuracy of {name}: {shown}, {quality.correct:,} of {quality.counted:,}")
    say(f"root, with its card beside it: {place.location(result.file)}")
