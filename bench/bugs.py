"""Does the suite bite? Plants each seeded bug (``tests/bugs``), has the tests look for it, and says what found it."""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bench.peers import ROOT
from tests.bugs.bug import Bug

#: Where a bug is looked for if the files that should find it did not.
FOLDERS = ("tests/core", "tests/sagas", "tests/participants", "tests/acceptance")
#: Seconds after which a run of some files, and of the folders, counts as hung.
PATIENCE, LONG_PATIENCE = 180.0, 1200.0
PASSED, FAILED = 0, 1
_FOUND = re.compile(r"^(?:FAILED|ERROR) (\S+::.+?)(?: - .*)?$", re.MULTILINE)
_GOOD = re.compile(r"^(tests/\S+::.+?) PASSED", re.MULTILINE)
_BEGUN = re.compile(r"^(tests/\S+::.+?) $", re.MULTILINE)


class Unusable(RuntimeError):
    """The tests could not be run at all: the bug no longer fits, say. Its text has pytest's last words."""


@dataclass(frozen=True)
class Verdict:
    """What became of one bug."""

    name: str
    sentence: str
    database: str
    caught_by: str | None
    """The test that failed with the bug, and passed without."""
    seconds: float


def main() -> int:
    catalogue = _catalogue()
    asked = _arguments(catalogue)
    chosen = [catalogue[name] for name in asked.only or catalogue]
    if asked.list:
        for bug in chosen:
            print(f"{bug.name}  ({_where(bug)})\n    {bug.sentence}")
        return 0
    began = time.monotonic()
    verdicts = _without_bugs([_look(bug, quick=asked.quick) for bug in chosen])
    caught = sum(verdict.caught_by is not None for verdict in verdicts)
    print(f"\n{caught} of {len(verdicts)} bugs are caught, in {(time.monotonic() - began) / 60:.1f} min")
    if asked.json:
        asked.json.write_text(json.dumps([asdict(verdict) for verdict in verdicts], indent=1) + "\n")
    return 0 if caught == len(verdicts) else 1


def _catalogue() -> dict[str, Bug]:
    from tests.bugs.catalogue import BUGS

    return BUGS


def _arguments(catalogue: dict[str, Bug]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/bugs", description=__doc__)
    parser.add_argument(
        "--list",
        action="store_true",
        help="name the bugs, and those that chaos should find, too; run nothing",
    )
    parser.add_argument(
        "--only", action="append", choices=catalogue, metavar="NAME", help="only this bug; may be repeated"
    )
    parser.add_argument("--quick", action="store_true", help="only the test files that should find each")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found to this file")
    return parser.parse_args()


def _where(bug: Bug) -> str:
    return f"{bug.database}, chaos" if bug.chaos else bug.database


def _look(bug: Bug, *, quick: bool) -> Verdict:
    """Have the tests look for a bug, those first that should find it."""
    print(f"{bug.name}  ({_where(bug)})\n    {bug.sentence}", flush=True)
    began = time.monotonic()
    found, said = None, "NOT CAUGHT"
    try:
        # One after the other: pytest-django would sort them, and run what needs no database last.
        found = next((test for file in bug.tests if (test := _failing(bug, [file], PATIENCE))), None)
        if found is None and not quick:
            found = _failing(bug, FOLDERS, LONG_PATIENCE, HYPOTHESIS_PROFILE="ci")
    except Unusable as fault:
        said = f"NOT CAUGHT: {fault}"
    seconds = round(time.monotonic() - began, 1)
    print(f"    {'caught by ' + found if found else said}  {seconds:.0f} s", flush=True)
    return Verdict(bug.name, bug.sentence, bug.database, found, seconds)


def _failing(bug: Bug, tests: Sequence[str], patience: float, **env: str) -> str | None:
    """Return the first of these tests that fails with the bug."""
    code, said = _pytest(["-x", *tests], patience, bug.database, SAGADESK_BUG=bug.name, **env)
    if code == PASSED:
        return None
    found = _FOUND.findall(said) if code == FAILED else _BEGUN.findall(said)[-1:] if code is None else []
    if not found:
        raise Unusable(f"pytest ended with {code}:\n{said[-3000:]}")
    return found[0]


def _without_bugs(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Run all that found something once more, without any bug: a test that fails then, too, has found nothing."""
    sound: set[str] = set()
    for database in sorted({verdict.database for verdict in verdicts}):
        tests = sorted({v.caught_by for v in verdicts if v.caught_by and v.database == database})
        said = _pytest(tests, LONG_PATIENCE, database, SAGADESK_BUG="")[1] if tests else ""
        sound |= {f"{database} {test}" for test in _GOOD.findall(said)}
    doubted = [v for v in verdicts if v.caught_by and f"{v.database} {v.caught_by}" not in sound]
    for verdict in doubted:
        print(f"{verdict.name}: {verdict.caught_by} does not pass without the bug, either", flush=True)
    return [replace(v, caught_by=None) if v in doubted else v for v in verdicts]


def _pytest(words: Sequence[str], patience: float, database: str, **env: str) -> tuple[int | None, str]:
    """Run tests; return the exit code, or None if they hung, and what pytest said."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-v",
        "--tb=short",
        "-p",
        "no:randomly",
        "--color=no",
        *words,
    ]
    planted = {"SAGADESK_TEST_DATABASE": database, "SAGADESK_APPS": "tests.bugs"}
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | planted | env,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code: int | None = process.wait(patience)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        log.seek(0)
        return code, log.read()


if __name__ == "__main__":
    sys.exit(main())
