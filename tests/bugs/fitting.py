"""``python -m tests.bugs.fitting`` plants each bug in a process of its own, and names those that no longer fit."""

import os
import sys

import django


def main() -> int:
    django.setup()
    from tests.bugs.catalogue import BUGS

    return sum(_misfits(name) for name in BUGS)


def _misfits(name: str) -> bool:
    from tests.bugs.catalogue import BUGS

    child = os.fork()
    if child == 0:
        try:
            BUGS[name].plant()
        except BaseException as fault:
            print(f"{name}: {type(fault).__name__}: {fault}", flush=True)
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] != 0


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
