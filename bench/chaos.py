"""Runs everything for real, breaks it, and has the invariants checked by a process that shares no code with the engine.

Exit 1 on any violation, 2 if it could not be run; what is needed to look into it is kept then.
"""

import argparse
import json
import secrets
import shutil
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

from bench.nemesis import picture, storm, wire
from bench.nemesis.plan import OVER, SETTLE, STEADY, STORM, Plan
from bench.nemesis.probe import Probe
from bench.nemesis.tap import Tap
from bench.nemesis.tidy import settle
from bench.nemesis.world import World
from bench.servers import ROOT
from tests import servers
from tests.bugs.catalogue import BUGS

#: Seconds: how long pages may take to recover, and then must keep up; how long everything may take to end.
GRACE, CALM, WITHIN = 20.0, 12.0, 60.0
#: The exit code that says nothing about the invariants.
NOT_RUN = 2


def main() -> int:
    asked = _arguments()
    folder = servers.short_folder("sagadesk-chaos-")
    plan = Plan(
        folder=str(folder),
        minutes=asked.minutes,
        seed=asked.seed,
        database=asked.database,
        lease=asked.lease,
        workers=asked.workers,
        bug=asked.bug,
        without=asked.without,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"  {plan.again}\n  journals: {folder}", flush=True)
    code = NOT_RUN
    try:
        code = _run(plan, asked)
    except Exception:
        traceback.print_exc()
    finally:
        if code or asked.keep:
            print(f"  kept: {folder}", flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return code


def _run(plan: Plan, asked: argparse.Namespace) -> int:
    """Storm, calm, judgement."""
    world = World(plan)
    try:
        world.start()
        plan = world.plan
        probe, tap = Probe(world), Tap(world)
        for client in ("starters", "bots", "sockets"):
            world.client(client)
        _say(plan, STORM)
        storm.rage(world, plan.seconds)
        wire.ask(plan.ledger, {"ask": "calm"})
        _say(plan, STEADY)
        time.sleep(GRACE + CALM)
        _say(plan, SETTLE)
        took = settle(plan, world.journal, probe.unfinished, WITHIN)
        world.journal.write("settled", seconds=took, left=probe.unfinished(), within=WITHIN)
        plan.enter(OVER)
        probe.over.set()
        tap.over.set()
        return _judge(plan, asked)
    finally:
        world.stop()


def _say(plan: Plan, phase: str) -> None:
    plan.enter(phase)
    print(f"  {time.strftime('%H:%M:%S')}  {phase}", flush=True)


def _judge(plan: Plan, asked: argparse.Namespace) -> int:
    done = subprocess.run([sys.executable, "-m", "bench.nemesis.checker", plan.folder], cwd=ROOT, check=False)
    found = Path(plan.folder) / "findings.json"
    if asked.json and found.exists():
        shutil.copy(found, asked.json)
    if asked.write and found.exists():
        picture.write(plan, json.loads(found.read_text()))
    return done.returncode if found.exists() else NOT_RUN


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/chaos", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0, help="how long the faults last")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(10**6), help="of every die that is cast"
    )
    parser.add_argument("--database", choices=["postgres", "sqlite"], default="postgres")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--lease", type=float, default=4.0, help="seconds; short, so that much is recovered")
    parser.add_argument("--without", default="", metavar="F11,F12", help="leave these kinds of faults out")
    parser.add_argument(
        "--bug",
        choices=sorted(BUGS),
        metavar="NAME",
        help="plant a bug of bench/bugs in the desk's processes: then it has to fail",
    )
    parser.add_argument("--json", metavar="FILE", help="write the findings there")
    parser.add_argument("--keep", action="store_true", help="keep the journals even if all is well")
    parser.add_argument("--write", action="store_true", help="draw the run for docs/reliability")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
