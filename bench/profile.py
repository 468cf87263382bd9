"""Where a worker's time goes while sagas are started one by one: a flame graph."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.engines import driver
from bench.local import sagadesk
from bench.peers import FOLDER, Unavailable, profiler
from bench.report import PAGES, arguments

HERTZ = 100
#: How many sagas are started at a time; one such lot follows the other while the profiler looks.
LOT = 500


def main() -> int:
    parser = arguments("profile", str(__doc__))
    told = "look at the workers of another checkout, with the same tables (as profile-before)"
    parser.add_argument("--checkout", type=Path, default=driver.ROOT, metavar="FOLDER", help=told)
    asked = parser.parse_args()
    checkout = asked.checkout.resolve()
    if not (checkout / "manage.py").exists():
        parser.error(f"there is no manage.py in {checkout}")
    name = "profile" if checkout == driver.ROOT else "profile-before"
    picture = (PAGES if asked.write else FOLDER / "profile") / f"{name}.svg"
    seconds = 4 if asked.quick else 8
    try:
        program = profiler()
        picture.parent.mkdir(exist_ok=True)
        with (
            sagadesk("profile", "A worker's time") as (engine, report),
            engine.workers(checkout=checkout) as processes,
        ):
            engine.many("happy", LOT)
            report.numbers = _record(program, processes[0].pid, picture, seconds, engine)
        _sign(picture, checkout)
    except Unavailable as why:
        print(f"There is no flame graph: {why}", file=sys.stderr)
        return 1
    seen = report.numbers
    report.say(
        f"One of two workers, looked at {HERTZ} times a second for {seconds} seconds without being stopped, while"
        f" {seen['sagas']:,} sagas were started one by one: {seen['samples']:,} samples, {seen['errors']:,} unreadable."
        " What waits is not counted; the wider, the more time."
    )
    report.say(f"![A worker's flame graph]({picture.name if asked.write else picture})")
    report.hand_over(asked, picture.with_suffix(".md"))
    return 0


def _record(program: Path, pid: int, picture: Path, seconds: int, engine: Any) -> dict[str, int]:
    """Have the profiler draw a process while sagas run; tell how much it saw."""
    command = [program, "record", "--nonblocking", "--format", "flamegraph", "--rate", str(HERTZ)]
    command += ["--duration", str(seconds), "--pid", str(pid), "--output", picture]
    sagas = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as recorder:
        while recorder.poll() is None:
            engine.many("happy", LOT)
            sagas += LOT
        said = recorder.stdout.read() if recorder.stdout else ""
    found = re.search(r"Samples: (\d+) Errors: (\d+)", said)
    if recorder.returncode or not found:
        raise Unavailable(f"py-spy could not look: {said.strip()}")
    return {"sagas": sagas, "samples": int(found[1]), "errors": int(found[2])}


def _sign(picture: Path, checkout: Path) -> None:
    """Entitle it with what it shows, not with the command that drew it; places on this machine do not belong there."""
    drawn = re.sub(
        r'(<text id="title"[^>]*>)[^<]*',
        r"\1A worker while sagas are started one by one",
        picture.read_text(),
    )
    picture.write_text(drawn.replace(f"{checkout}/", ""))


if __name__ == "__main__":
    sys.exit(main())
