"""Makes the virtual environment and prepares the data.

Standard library only: this runs before anything is installed.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
RUNTIME = ("requirements.lock",)
DEVELOPMENT = ("requirements.lock", "requirements-dev.lock")

sys.path.insert(0, str(ROOT))
from sagaproject.data import Unusable, data_dir, redis_url  # noqa: E402 - the path comes first


def say(topic: str, text: str) -> None:
    """Tell what is being done, if somebody still listens."""
    with contextlib.suppress(BrokenPipeError):
        print(f"  {topic:<10}{text}".rstrip(), flush=True)


def fail(text: str) -> None:
    """End with a message instead of a traceback."""
    sys.exit(f"\n{text}")


def data_folder() -> Path:
    """Return the data folder, in which we may write; or end with what is wrong with it."""
    try:
        data = data_dir()
        if not os.access(data, os.R_OK | os.W_OK | os.X_OK):
            raise Unusable(data, "you may not write there")
    except Unusable as wrong:
        fail(str(wrong))
    return data


def virtual_environment(locks: tuple[str, ...]) -> None:
    """Make .venv hold what these lock files say; quick when it does already."""
    if _usable() and not _changed(locks):
        return
    was_whole = _is_whole()
    with _one_at_a_time():
        # Whoever had the lock before us may have made it meanwhile, and runs from it by now.
        if not _usable() and (was_whole or not _is_whole() or not _is_of(platform.python_version())):
            _make_venv()
        for lock in _changed(locks):
            say("packages", f"installing {lock} into .venv")
            _pip("--requirement", str(ROOT / lock))
            _stamp(lock).write_text(_digest(ROOT / lock))


def environment() -> dict[str, str]:
    """Return the environment that every process of this installation shares."""
    data = data_folder()
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "sagaproject.settings",
        "SAGADESK_DATA": str(data),
        "REDIS_URL": redis_url(data),
        "PYTHONUNBUFFERED": "1",
    }
    if os.environ.get("SAGADESK_APPS"):  # they may lie where the caller stands
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(Path.cwd())]))
    return env


def prepare_data(env: dict[str, str], *, only_if_needed: bool = False) -> None:
    """Apply migrations, make operator and managers, stock the demo shops."""
    stamp = Path(env["SAGADESK_DATA"]) / "prepared"
    wanted = _data_digest(env)
    if only_if_needed and _prepared(stamp, wanted, env):
        return
    with _one_at_a_time():
        if only_if_needed and _prepared(stamp, wanted, env):
            return
        done = subprocess.run(
            [VENV_PYTHON, ROOT / "bin" / "_prepare.py"], env=env, stdout=sys.stdout, check=False
        )
        if done.returncode:
            fail("The data could not be prepared: the message above says why.")
        stamp.write_text(wanted)


def need_programs(*packages: str) -> None:
    """Install what of these Debian packages is missing: ``chromium``, ``postgresql``."""
    purposes = {"chromium": "the browser tests drive it", "postgresql": "tests and benchmarks run on it"}
    missing = {name: purposes[name] for name in packages if not _has_programs_of(name)}
    if missing:
        install_system_packages(missing)


def install_system_packages(packages: dict[str, str]) -> None:
    """Install Debian packages, each with what it is for; where we may not, say what to do."""
    names = list(packages)
    for name, purpose in packages.items():
        say("system", f"{name} is missing ({purpose}): installing it with apt-get")
    apt = _apt_get()
    if not apt:
        fail(f"Please install {' and '.join(names)}, as an administrator: apt-get install {' '.join(names)}")
    # RUNLEVEL=1 keeps a server's package from starting the server.
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    options = ["--quiet=2", "--no-install-recommends", "--option=Dpkg::Use-Pty=0"]
    with open(data_folder() / "apt.log", "w") as log:
        for words in (["update"], ["install", "--yes", *options, *names]):
            if subprocess.run([*apt, *words], env=quiet, stdout=log, stderr=log, check=False).returncode:
                fail(f"apt-get {words[0]} failed; {log.name} says why. Needed: {' '.join(names)}")


def _has_programs_of(package: str) -> bool:
    if package == "chromium":
        return bool(shutil.which("chromium"))
    return bool(shutil.which("initdb") or list(Path("/usr/lib/postgresql").glob("*/bin/initdb")))


def _changed(locks: tuple[str, ...]) -> list[str]:
    return [lock for lock in locks if _text(_stamp(lock)) != _digest(ROOT / lock)]


def _stamp(lock: str) -> Path:
    """Name the note that says which state of a lock file .venv holds."""
    return VENV / f"{lock}.installed"


def _usable() -> bool:
    """Tell whether .venv runs, and has the version that PYTHON asks for."""
    if not _is_whole():
        return False
    if VENV.samefile(sys.prefix):
        return True  # it is running this
    return bool(os.environ.get("PYTHON")) and _is_of(platform.python_version())


def _is_whole() -> bool:
    """Tell whether .venv was made to its end; pip comes last, and takes the longest."""
    return VENV_PYTHON.exists() and (VENV_PYTHON.parent / "pip").exists()


def _is_of(version: str) -> bool:
    return f"version = {version}\n" in _text(VENV / "pyvenv.cfg")


def _make_venv() -> None:
    if not importlib.util.find_spec("ensurepip"):  # Debian packs it apart from Python
        install_system_packages({f"python3.{sys.version_info.minor}-venv": "it makes virtual environments"})
    say("python", f"making .venv with Python {platform.python_version()}")
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    if subprocess.run(command, stdout=sys.stdout, check=False).returncode:
        fail("The virtual environment could not be made: the message above says why.")


def _pip(*words: str) -> None:
    command = [
        VENV_PYTHON,
        "-m",
        "pip",
        "install",
        "-qq",  # errors only
        "--disable-pip-version-check",
        "--no-input",
        "--no-deps",
    ]
    if subprocess.run([*command, *words], stdout=sys.stdout, check=False).returncode:
        fail("pip could not install the packages: the message above says why. Run this again to try again.")


def _prepared(stamp: Path, wanted: str, env: dict[str, str]) -> bool:
    embedded = not env.get("DATABASE_URL")
    return _text(stamp) == wanted and not (embedded and not (stamp.parent / "db.sqlite3").exists())


def _data_digest(env: dict[str, str]) -> str:
    """Change when our migrations, the added apps or the database do."""
    names = ("DATABASE_URL", "SAGADESK_APPS", "PYTHONPATH")
    settings = repr([env.get(name) for name in names]).encode()
    return _digest(ROOT / "requirements.lock", *sorted(ROOT.glob("*/migrations/*.py")), more=settings)


def _digest(*files: Path, more: bytes = b"") -> str:
    digest = hashlib.sha256(more)
    for file in files:
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def _text(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text()
    return ""


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Hold a lock on the checkout itself: no file to leave behind."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _apt_get() -> list[str]:
    if not shutil.which("apt-get"):
        return []
    if os.geteuid() == 0:
        return ["apt-get"]
    sudo = shutil.which("sudo")
    if sudo and not subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode:
        return [sudo, "-n", "apt-get"]
    return []
