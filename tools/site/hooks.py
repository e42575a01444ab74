"""What the site needs beyond Markdown: reference pages from the code, and fences and links as GitHub reads them.

mkdocs calls the functions by their names; mkdocs.yml lists this file.
"""

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tools.site import reference  # noqa: E402  (the repository is no installed package where mkdocs runs)

# Files of the repository that pages name and the site has not: they are shown as text, without a link.
OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+(?!decisions|images|reference)[^)]*\)")
TAG = re.compile(r"^(\s*```\w+) (?:run|slow|show|output)\b.*$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the reference pages."""
    for page, write in reference.PAGES.items():
        files.append(File.generated(config, page, content=write()))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Takes the tests' tags from fences, and links that lead out of the documentation."""
    return OUTSIDE.sub(r"\1", TAG.sub(r"\1", markdown))
