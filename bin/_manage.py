"""Runs manage.py as bin/dev would; stdout is all its."""

import contextlib
import os
import sys

from _setup import ROOT, RUNTIME, VENV_PYTHON, environment, prepare_data, virtual_environment

#: They work on code or on the schema itself, and must run while that is being changed.
WITHOUT_DATA = {
    "check",
    "help",
    "--help",
    "--version",
    "makemigrations",
    "migrate",
    "showmigrations",
    "sqlmigrate",
}

with contextlib.redirect_stdout(sys.stderr):
    virtual_environment(RUNTIME)
    env = environment()
    if sys.argv[1:] and sys.argv[1] not in WITHOUT_DATA:
        prepare_data(env, only_if_needed=True)
os.execve(VENV_PYTHON, [VENV_PYTHON, ROOT / "manage.py", *sys.argv[1:]], env)  # noqa: S606 - our own
