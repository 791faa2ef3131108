"""muNet on the 40 tasks of `gumbel:clusters_small`, so that what its models share can be compared with routed rows.

    munet evolve --config=clusters --config.data_dir=DIR      # mnist, fashion_mnist and cifar100_subset, from TFDS
    python -m benchmarks.task_clusters runs/clusters --data_dir=DIR

Twenty groups of five classes of CIFAR-100, MNIST and Fashion-MNIST each without one of its classes, ten times. The root
is the demo's, which has seen neither photographs nor these sets; the budget is that of a glance: 10,240 training images
a task, of which a quarter goes into asking which earlier models are good for it as they are.

Cost: some minutes on two CPU cores; docs/results/gumbel_clusters.md says what it took.
Expected result: a system in whose models a task shares components with tasks that it descends from; how well that tells
the three sets apart is in docs/results/gumbel_clusters.md.
"""

from __future__ import annotations

from munet.config import Config, Defaults, Experiment, SearchSpace
from munet.config.files import load_any_config


def get_config() -> Config:
    """The settings; whatever is not named here has its default in munet/config/evolve.py."""
    experiment = Experiment(
        tasks=load_any_config("gumbel:clusters_small").experiment.tasks,
        root="demo",
        variant="demo/16",
        num_blocks=3,
        num_task_iterations=1,
        num_generations=8,
        children_per_generation=2,
        cycles_per_child=1,
        batch_size=64,
        max_batches_per_cycle=10,
        min_batches_per_cycle=10,  # so that groups of 450 images are trained as long as the others
        max_validation_batches=4,
        mutation_probability=0.2,  # phases have a quarter of the paper's children
        max_seed_parents=4,
        seed_choice="fit",
        search_space=SearchSpace(
            learning_rate=(0.02, 0.05, 0.1),
            warmup_ratio=(0.1,),
            momentum=(0.9,),
            crop_area_min=(0.5, 1.0),
            flip=(False,),
            brightness_delta=(0.0,),
            contrast_delta=(0.0,),
            saturation_delta=(0.0,),
            hue_delta=(0.0,),
            image_size=(32,),  # one size, so that one program serves every task
        ),
        defaults=Defaults(learning_rate=0.05, crop_area_min=1.0, flip=False),
    )
    return Config(experiment)
