"""Rows made up for tests of tables, figures and comparisons."""

from __future__ import annotations

from dataclasses import replace

from munet.suites.rows import Row

ROW = Row(
    method="full", title="Full fine-tuning", seed=0, task="mnist", task_index=0, uri="tfds:mnist",
    split="train[5%:], train[:5%], test", fingerprint="f" * 64, num_classes=10, num_train=900,
    num_validation=50, num_test=100, quality_metric="accuracy", validation_quality=0.8, validation_correct=40,
    validation_counted=50, validation_accuracy=0.8, test_quality=0.7, test_correct=70, test_counted=100,
    test_accuracy=0.7, model=3, num_layers=8, params=1000, accounted_params=1000.0, flops=2_000_000,
    image_steps=5000, num_children=8, num_kept=8, device_seconds=36.0, total_params=2000,
    params_per_task=1000.0, run_image_steps=10000, run_device_seconds=72.0, baseline="full", scale_factor=1.0,
    auto_tune=True, insert_adapters=True, variant="Ti/16", num_blocks=3, root_name="root.npz", root_sha256="a" *
    64, experiment_sha256="e" * 64, device="cpu", num_devices=1, munet_version="0.1.0", jax_version="0.10.2",
)  # fmt: skip


def rows(
    method: str, tests: list[list[float]], tasks: tuple[str, ...] = ("mnist", "digits"), **changes: object
) -> list[Row]:
    """Rows of a method: for each seed the test accuracy of each task."""
    return [
        replace(
            ROW, method=method, title=method.upper(), seed=seed, task=task, task_index=index, uri=f"tfds:{task}",
            test_quality=accuracy, validation_quality=accuracy + 0.01, **changes,  # type: ignore[arg-type]
        )
        for seed, accuracies in enumerate(tests)
        for index, (task, accuracy) in enumerate(zip(tasks, accuracies, strict=True))
    ]  # fmt: skip
