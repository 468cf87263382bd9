"""supervisord, of which one thing is changed: what it starts dies with it, even by kill -9."""

import os
import sys
from pathlib import Path

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


options = Options()
options.realize(sys.argv[1:])
options.first, options.test = True, False
supervisord.go(options)
