"""The documentation site's settings (Sphinx with MyST Markdown): `launch/docs.sh` builds it, a warning is an error."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))
os.environ["COLUMNS"] = "100"  # the width of help texts

from munet import __version__  # after the lines that the pages depend on

project = "munet"
author = "the munet authors"
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "munet_reference",
]
exclude_patterns = ["requirements.txt", "results/*.json"]

# Pages are Markdown that reads well on a code host too: links go to files, which MyST turns into pages.
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # a page may open at the second level where it is included
nb_execution_mode = "off"  # notebooks hold their outputs; a test runs them

autosummary_generate = True
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": False}
napoleon_google_docstring, napoleon_numpy_docstring = True, False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"munet {version}"
html_static_path = ["images"]
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f5fa8", "color-brand-content": "#1f5fa8"},
    "dark_css_variables": {"color-brand-primary": "#7fb4ef", "color-brand-content": "#7fb4ef"},
}
