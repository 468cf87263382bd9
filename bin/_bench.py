"""Runs a module of bench/ in the virtual environment."""

import os
import sys

from _setup import DEVELOPMENT, ROOT, VENV_PYTHON, need_programs, virtual_environment

#: Modules that run no server.
PURE = {"simulate"}

module, *arguments = sys.argv[1:]
virtual_environment(DEVELOPMENT)
if module not in PURE:
    need_programs("postgresql")
os.chdir(ROOT)
os.execv(VENV_PYTHON, [VENV_PYTHON, "-m", f"bench.{module}", *arguments])  # noqa: S606 - our own
