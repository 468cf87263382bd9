"""Tells whoever added an app what is wrong with it, by the lines of the app itself."""

import sysconfig
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Files that whoever added an app did not write: ours, Python's and its packages'.
FOREIGN = (str(ROOT), sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), "<frozen ")


def own_lines(fault: Exception) -> str:
    """Tell an error with the lines of the added apps that lead to it, and none of ours."""
    told = traceback.TracebackException.from_exception(fault)
    own = [frame for frame in told.stack if not frame.filename.startswith(FOREIGN)]
    told.stack = traceback.StackSummary.from_list(own)
    return "".join(told.format(chain=False)).strip()
