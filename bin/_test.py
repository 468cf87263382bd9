"""Runs everything that tells whether Sagadesk works.

That is the checks, all tests on SQLite, and those that touch the database on PostgreSQL.
"""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from _setup import DEVELOPMENT, ROOT, VENV_PYTHON, need_programs, say, virtual_environment

Stage = tuple[str, str, tuple[str, ...]]

NOTHING_COLLECTED = 5
#: Of the drill only what shows that each way's handlers leave nothing behind: it decides in memory.
ON_BOTH = (
    "tests/sagas",
    "tests/participants",
    "tests/testing/test_drill.py",
    "tests/testing/test_drill_command.py",
)
#: Real processes, which mostly wait for each other, or for a lease to end.
REAL = ("tests/acceptance",)
#: In processes of their own: their shop's handlers and saga types are registered for good.
DEATHS = ("tests/crashpoints",)
#: Lanes run side by side, each with its niceness: one waits for what should happen soon, and the others, which
#: compute, have what it leaves of two cores. A lane runs its stages in turn: (name, database, folders).
LANES = (
    (
        0,
        (
            ("real", "sqlite", REAL),
            ("pg real", "postgres", REAL),
            ("browser", "sqlite", ("tests/browser",)),
            ("system", "sqlite", ("tests/system",)),
        ),
    ),
    (
        5,
        (
            ("core", "sqlite", ("tests/core",)),
            ("sqlite", "sqlite", ("tests/sagas", "tests/participants")),
            ("drill", "sqlite", ("tests/testing", "tests/test_docs.py", "tests/test_bugs.py")),
        ),
    ),
    (
        5,
        (
            ("postgres", "postgres", ON_BOTH),
            ("pg deaths", "postgres", DEATHS),
            ("deaths", "sqlite", DEATHS),
        ),
    ),
)
SPEAKING = threading.Lock()


def main() -> int:
    began, arguments = time.monotonic(), sys.argv[1:]
    print("Sagadesk's tests", flush=True)
    virtual_environment(DEVELOPMENT)
    need_programs("chromium", "postgresql")
    results = {"checks": subprocess.run([VENV_PYTHON, ROOT / "bin" / "_check.py"], check=False).returncode}
    with ThreadPoolExecutor(len(LANES)) as pool:
        for done in pool.map(lambda lane: _lane(*lane, arguments), LANES):
            results |= done
    print("\nSummary", flush=True)
    for name, code in results.items():
        say(name, "no test asked for" if code == NOTHING_COLLECTED else f"FAILED ({code})" if code else "ok")
    say("time", f"{(time.monotonic() - began) / 60:.1f} min")
    return _verdict(results)


def _verdict(results: dict[str, int]) -> int:
    """Fail if anything did; a choice of tests may leave stages out, but not all of them."""
    if any(code not in (0, NOTHING_COLLECTED) for code in results.values()):
        return 1
    tests = [code for name, code in results.items() if name != "checks"]
    return NOTHING_COLLECTED if all(code == NOTHING_COLLECTED for code in tests) else 0


def _lane(nice: int, stages: tuple[Stage, ...], arguments: list[str]) -> dict[str, int]:
    return {stage[0]: _pytest(nice, *stage, arguments) for stage in stages}


def _pytest(nice: int, name: str, database: str, folders: tuple[str, ...], arguments: list[str]) -> int:
    """Run a stage: all of its folders, or what of them is asked for; what it printed is shown when it ends."""
    asked = [word for word in arguments if (ROOT / word.split("::")[0]).exists()]
    options = [word for word in arguments if word not in asked]
    chosen = [word for word in asked if word.startswith(folders)] if asked else _present(folders)
    chosen += [folder for folder in folders if folder not in chosen and _below(folder, asked)]
    if not chosen:
        return NOTHING_COLLECTED
    env = {**os.environ, "SAGADESK_TEST_DATABASE": database}
    env.setdefault("HYPOTHESIS_PROFILE", "ci")
    # The tests start hundreds of processes: what they import is compiled once, not by each of them.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.monotonic()
    done = subprocess.run(
        ["nice", "-n", str(nice), VENV_PYTHON, "-m", "pytest", *options, *chosen],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    with SPEAKING:
        print(f"\n--- {name}: {time.monotonic() - began:.0f} s\n{done.stdout}", flush=True)
    return done.returncode


def _present(folders: tuple[str, ...]) -> list[str]:
    return [folder for folder in folders if (ROOT / folder).exists()]


def _below(folder: str, asked: list[str]) -> bool:
    """Whether a folder lies in one that is asked for: ``bin/test tests`` means all of them."""
    return any(folder.startswith(word.rstrip("/") + "/") for word in asked)


if __name__ == "__main__":
    sys.exit(main())
