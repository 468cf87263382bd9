"""An app, as SAGADESK_APPS adds it: its process is killed after its next commit, if the test says so.

That is the moment at which a command is carried out, and nobody has been told.
"""

import os
import signal
from pathlib import Path
from typing import Any

from sagas.signals import committed

FOLDER = Path(os.environ.get("ERRANDS", "/nonexistent"))


def _die(**_: Any) -> None:
    if (FOLDER / "die").exists():
        (FOLDER / "die").unlink()
        os.kill(os.getpid(), signal.SIGKILL)


committed.connect(_die)
