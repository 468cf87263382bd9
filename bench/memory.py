"""Whether a worker's memory stays flat over many sagas."""

import sys
from pathlib import Path

from bench.local import sagadesk
from bench.report import arguments

LOOKS = 10


def main() -> int:
    parser = arguments("memory", str(__doc__))
    parser.add_argument("--sagas", type=int, default=100_000)
    asked = parser.parse_args()
    count = (20_000 if asked.quick else asked.sagas) // LOOKS
    with sagadesk("memory", "Memory of a worker") as (engine, report), engine.workers() as processes:
        engine.many("happy", 500)
        seen = [_resident(process.pid for process in processes[: engine.WORKERS])]
        for _ in range(LOOKS):
            engine.make_wait(count)
            engine.driver.until(engine.all_ended, count)
            seen.append(_resident(process.pid for process in processes[: engine.WORKERS]))
    report.numbers = {"sagas": count * LOOKS, "megabytes": seen}
    report.say(f"{engine.WORKERS} workers; the larger one's resident memory, after so many sagas.")
    report.table(
        ("sagas", "MB"),
        [(f"{n * count:,}", f"{megabytes:.0f}") for n, megabytes in enumerate(seen)],
    )
    report.hand_over(asked)
    return 0


def _resident(pids: object) -> float:
    """Return the resident memory of the largest of these processes, in MB."""
    found = []
    for pid in pids:  # type: ignore[attr-defined]
        status = Path(f"/proc/{pid}/status").read_text()
        kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
        found.append(int(kilobytes) / 1000)
    return max(found)


if __name__ == "__main__":
    sys.exit(main())
