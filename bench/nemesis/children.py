"""Processes under supervision: whatever ends is started again at once, for ever, and the journal knows why it ended."""

import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.nemesis.journal import Journal
from sagaproject.processes import die_with

#: Seconds between two starts of what ends at once.
REST = 0.5


class Child:
    """One place in the world, and whichever process fills it at this moment."""

    def __init__(
        self,
        name: str,
        command: Sequence[Any],
        log: Path,
        journal: Journal,
        *,
        env: Mapping[str, str],
        **options: Any,
    ) -> None:
        self.name = name
        self.pid = 0
        self.spoken_for = threading.Lock()
        """Held by the fault that is busy with it: two at once would not know who did what."""
        self._command, self._log, self._env, self._options = list(command), log, env, options
        self._journal = journal
        self._allowed = threading.Event()
        self._ended = False
        self._gone = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name=name, daemon=True)

    def start(self) -> None:
        """Start, and start again whenever it ends."""
        self._allowed.set()
        if not self._thread.is_alive():
            self._thread.start()

    def hold(self) -> None:
        """Let it stay away once it has ended, until it is started."""
        self._allowed.clear()

    def send(self, number: int) -> int:
        """Send a signal to the present process; return its pid, or 0 if there is none."""
        pid = self.pid
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
                return pid
        return 0

    def gone(self, within: float) -> bool:
        """Wait until the present process has ended."""
        return self._gone.wait(within)

    def squeeze(self, room: int) -> int:
        """Allow its address space to grow by so many bytes and no further; return its pid, or 0."""
        pid = self.pid
        with suppress(OSError, IndexError):
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
            limit = pages * resource.getpagesize() + room
            resource.prlimit(pid, resource.RLIMIT_AS, (limit, limit))
            return pid
        return 0

    def end(self, number: int = signal.SIGKILL) -> None:
        """End it for good."""
        self._ended = True
        self._allowed.set()
        self.send(signal.SIGCONT)
        self.send(number)
        if self._thread.is_alive():
            self._thread.join(10)
            self.send(signal.SIGKILL)
            self._thread.join(10)

    def _supervise(self) -> None:
        while True:
            self._allowed.wait()
            if self._ended:
                return
            began = time.monotonic()
            with self._log.open("ab") as log:
                process = self._spawn(log)
                self._gone.clear()
                self.pid = process.pid
                self._journal.write("began", child=self.name, pid=process.pid)
                code = process.wait()
            self.pid = 0
            self._gone.set()
            self._journal.write("ended", child=self.name, pid=process.pid, code=code)
            time.sleep(max(0.0, REST - (time.monotonic() - began)))

    def _spawn(self, log: Any) -> "subprocess.Popen[bytes]":
        # The parent of a process is the thread that started it: this one lives as long as we do.
        me = os.getpid()
        return subprocess.Popen(
            self._command,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: die_with(me),
            **self._options,
        )
