"""supervisord, of which two things are changed: it starts all at once, and that dies with it, even by kill -9."""

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from supervisor import supervisord
from supervisor.options import ServerOptions

from sagaproject.processes import die_with


class Options(ServerOptions):
    supervisor = os.getpid()

    def setpgrp(self) -> None:
        """Run in the child, between fork and exec."""
        die_with(self.supervisor)
        super().setpgrp()


def not_waiting_first(poller: Any) -> None:
    """Let the first look for news not wait for any: it comes before the first start, and would take a second."""
    poll = poller.poll

    def first(timeout: float) -> Any:
        poller.poll = poll
        return poll(0)

    poller.poll = first


options = Options()
options.realize(sys.argv[1:])
not_waiting_first(options.poller)
options.first, options.test = True, False
supervisord.go(options)
