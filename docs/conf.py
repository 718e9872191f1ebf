"""Sphinx's settings: `make docs` builds docs/ into build/docs."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from otoriscv import __version__  # noqa: E402  # found through the line above

project = "otoriscv"
author = "The otoriscv authors"
release = version = __version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "tools.docs_reference",
]
exclude_patterns = ["conf.py"]
default_role = "py:obj"  # docstrings refer to each other in single backquotes
nitpicky = False

myst_heading_anchors = 3
myst_links_external_new_tab = False
suppress_warnings = ["myst.header"]

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

html_theme = "alabaster"
html_theme_options = {
    "description": "A RISC-V emulator made for debugging",
    "fixed_sidebar": True,
    "page_width": "72em",
    "sidebar_width": "15em",
}
html_show_copyright = False
html_copy_source = False
