"""Another command of ours is run as a process of its own: with these settings, whatever the file or environment says today."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from command.load_settings import ENV_PREFIX, NOT_SETTINGS
from contract.sections.modules import LOCAL


@contextlib.contextmanager
def write_settings(settings: Mapping[str, Any]) -> Iterator[str]:
    """Writes settings for `--config`: a stage uses them, whatever the file or environment says today.

    They may be a run's, from the bucket; so those that are this machine's own are left out.
    """
    with tempfile.TemporaryDirectory(prefix="trueup-") as folder:
        path = Path(folder, "trueup.yaml")
        path.write_text(json.dumps({name: value for name, value in settings.items() if name not in LOCAL}))
        yield str(path)


def make_environment() -> dict[str, str]:
    """Returns our environment without settings, which are given, and with this checkout on the path."""
    kept = {name: value for name, value in os.environ.items() if not is_setting(name)}
    here = str(Path(__file__).resolve().parents[1])
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, (here, kept.get("PYTHONPATH"))))}


def is_setting(name: str) -> bool:
    """Says whether an environment variable is a setting of ours."""
    return name.startswith(ENV_PREFIX) and name not in NOT_SETTINGS
