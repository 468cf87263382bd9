"""The outpost: a participant elsewhere, reached by HTTP, in a process of its own. Its books are the ledger's.

It is killed, paused and cut off like the others; and while the storm lasts it has moods of its own: it says 202 and
answers later, or twice, or lets a stranger answer with a key that is not its own, or says nothing for a while.
"""

import http.client
import json
import os
import random
import socketserver
import sys
import threading
import time
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.request import urlopen

from bench.nemesis import wire
from bench.nemesis.journal import Journal
from bench.nemesis.plan import STORM, Plan
from participants.carrier.saga_participant import BadSignature, Command, Reply, callback

SECRET = "the outpost's own key, which nobody else has"  # noqa: S105 - of a run on this machine
#: Seconds that an attempt may take.
TIMEOUT = 6.0
#: What may become of a command, and how often, each in a hundred.
MOODS = {"later": 12, "twice": 6, "forged": 6, "never": 2, "slow": 4, "busy": 4}
#: Seconds until it answers what it answers later, at most.
FAR = 2.0


class Outpost(BaseHTTPRequestHandler):
    """One command."""

    plan: Plan
    journal: Journal
    chance = random.Random()
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Take a command in, if it is one of Sagadesk's."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            command = Command.read([SECRET], "POST", self.path, dict(self.headers.items()), body)
        except BadSignature as wrong:
            self._answer(401, {"error": str(wrong)})
            return
        self._answer(*self._in_mood(command))

    def _in_mood(self, command: Command) -> Reply:
        mood = self._mood()
        if mood == "busy":
            return 503, {"error": "not now"}
        if mood == "slow":
            time.sleep(self.chance.uniform(0, FAR))
        if mood in (None, "slow"):
            return self._do(command)
        threading.Thread(target=self._later, args=(command, mood), daemon=True).start()
        return 202, {"later": True}

    def _mood(self) -> str | None:
        drawn, sum_ = self.chance.uniform(0, 100), 0
        for mood, share in MOODS.items():
            sum_ += share
            if drawn < sum_ and self.plan.phase == STORM:
                self.journal.write("fault", kind=mood)
                return mood
        return None

    def _do(self, command: Command) -> Reply:
        """Ask the ledger, which knows the key, and say what it says."""
        try:
            answer = wire.ask(self.plan.ledger, self._question(command))
        except OSError as fault:
            return 503, {"error": f"the ledger: {fault}"}
        match answer.get("verdict"):
            case "completed":
                return 200, answer["result"]
            case "rejected":
                return 409, {"reason": answer["reason"]}
            case _:
                return 503, {"error": f"the ledger says {answer}"}

    def _question(self, command: Command) -> dict[str, Any]:
        claimed_at = datetime.fromisoformat(self.headers["saga-deadline"]) - timedelta(seconds=TIMEOUT)
        return {
            "ask": "call",
            "key": command.key,
            "undoes": command.undoes,
            "saga": self.headers["saga-id"],
            "step": self.headers["saga-step"],
            "attempt": command.attempt,
            "pid": os.getpid(),
            "claimed_at": claimed_at.isoformat(),
            "plain": False,
            "refusable": True,
        }

    def _later(self, command: Command, mood: str) -> None:
        """Answer from outside, as the mood has it."""
        time.sleep(self.chance.uniform(0, FAR))
        if mood == "forged":  # a stranger, who says yes to what was never done
            self._call_back(
                command, 200, {"effect": "forged"}, "a key of thirty-two letters, and not its own"
            )
        if mood == "never":
            return
        status, document = self._do(command)
        for _ in range(2 if mood == "twice" else 1):
            if status in (200, 409):
                self._call_back(command, status, document, SECRET)

    def _call_back(self, command: Command, status: int, document: Any, key: str) -> None:
        try:
            with urlopen(callback(command, status, document, key), timeout=5) as answer:  # noqa: S310 - as told
                code = answer.status
        except OSError as refused:
            code = getattr(refused, "code", 0)
        except http.client.HTTPException:
            code = 0
        self.journal.write("called back", key=command.key, forged=key != SECRET, code=code)

    def _answer(self, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of each request: the ledger has the calls."""


class Server(socketserver.ThreadingTCPServer):
    """A thread for each connection."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


def main() -> None:
    """Serve until killed."""
    Outpost.plan = Plan.load(sys.argv[1])
    Outpost.journal = Journal(Outpost.plan.path / "outpost.jsonl")
    with Server(("127.0.0.1", Outpost.plan.outpost), Outpost) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
