"""Makes requirements.lock and requirements-dev.lock anew: exact versions, and the hash of each wheel we may meet.

Run it by hand, inside .venv, when a range in pyproject.toml changes or to take newer versions in:
    .venv/bin/python bin/_lock.py
"""

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.11", "3.12", "3.13")
MACHINES = ("x86_64", "aarch64")
GLIBCS = range(40, 16, -1)  # newest first, as pip prefers; a wheel for an old one runs on all newer ones

#: What pip overlooks, since it reads markers for the Python that runs it: redis needs this on Debian 12's 3.11.2.
ALSO = {"async-timeout": 'python_full_version < "3.11.3"'}

#: package name -> (version, hashes, the Pythons that need it)
Pins = dict[str, tuple[str, set[str], set[str]]]


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    runtime = [*project["dependencies"], *ALSO]
    everything = _pins([*runtime, *project["optional-dependencies"]["dev"]])
    needed = _pins(runtime, {name: version for name, (version, *_) in everything.items()})
    _write("requirements.lock", needed)
    _write("requirements-dev.lock", {name: pin for name, pin in everything.items() if name not in needed})


def _pins(wanted: list[str], known: dict[str, str] | None = None) -> Pins:
    """Resolve for each Python and machine, the later ones bound to the versions of the earlier ones."""
    pins: Pins = {}
    for python in PYTHONS:
        for machine in MACHINES:
            versions = (known or {}) | {name: version for name, (version, *_) in pins.items()}
            for item in _resolve(wanted, versions, python, machine):
                name = item["metadata"]["name"].lower().replace("_", "-").replace(".", "-")
                _, hashes, pythons = pins.setdefault(name, (item["metadata"]["version"], set(), set()))
                hashes.add(item["download_info"]["archive_info"]["hashes"]["sha256"])
                pythons.add(python)
    return pins


def _resolve(wanted: list[str], versions: dict[str, str], python: str, machine: str) -> list[dict]:
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in GLIBCS] + [f"manylinux2014_{machine}"]
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder, "constraints.txt")
        constraints.write_text("".join(f"{name}=={version}\n" for name, version in versions.items()))
        command = [sys.executable, "-m", "pip", "install", "-qq", "--dry-run", "--ignore-installed"]
        command += ["--target", folder, "--only-binary=:all:", "--report", f"{folder}/report.json"]
        command += ["--constraint", str(constraints), "--python-version", python]
        command += [word for platform in platforms for word in ("--platform", platform)]
        subprocess.run([*command, *wanted], check=True)
        return json.loads(Path(folder, "report.json").read_text())["install"]


def _marker(pythons: set[str]) -> str:
    """Name the Pythons that need a package, unless all do."""
    return "" if pythons == set(PYTHONS) else f' ; python_version in "{" ".join(sorted(pythons))}"'


def _write(name: str, pins: Pins) -> None:
    lines = ["# Made by bin/_lock.py from pyproject.toml: Linux, CPython 3.11 to 3.13, x86_64 and aarch64.\n"]
    for package, (version, hashes, pythons) in sorted(pins.items()):
        marker = f" ; {ALSO[package]}" if package in ALSO else _marker(pythons)
        lines += [
            f"{package}=={version}{marker}",
            *(f" \\\n    --hash=sha256:{each}" for each in sorted(hashes)),
            "\n",
        ]
    (ROOT / name).write_text("".join(lines))


if __name__ == "__main__":
    main()
