"""What a figure was measured on. Figures of different machines, or days, are not to be compared."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.servers import syncs_per_second

#: A load average above which something else is running: figures are worth little then.
BUSY = 0.7


def machine(folder: Path) -> dict[str, Any]:
    """Describe this machine and moment; ``folder`` is on the disk that is written to."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "cores": os.cpu_count(),
        "cpu": _cpu(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "syncs_per_second": round(syncs_per_second(folder)),
        "load_before": round(os.getloadavg()[0], 2),
    }


def sentence(of: dict[str, Any]) -> str:
    """Say it in a line."""
    return (
        f"{of['date']}; {of['cores']} cores, {of['cpu']}, {of['kernel']}, Python {of['python']};"
        f" the disk takes {of['syncs_per_second']:,} synchronous writes of 8 KiB per second"
    )


def warn_if_busy() -> None:
    """Say so if something else is running."""
    load = os.getloadavg()[0]
    if load > BUSY:
        print(f"  The machine is busy already (load {load:.1f}): take the figures as noisy.\n", flush=True)


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
