"""Draws the lifecycle in docs/concepts.md from the machine's own tables.

python docs/lifecycle.py          prints it
python docs/lifecycle.py --write  puts it into the page
"""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sagas.core.machine import STEP_TRANSITIONS, TRANSITIONS
from sagas.core.words import TERMINAL, SagaState

PAGE = Path(__file__).with_name("concepts.md")
BLOCK = re.compile(r"(<!-- lifecycle: (\w+) -->\n```mermaid\n).*?(```\n)", re.DOTALL)


def saga() -> str:
    """Return the diagram of a saga's states."""
    return _diagram(TRANSITIONS, first=SagaState.STARTED, last=TERMINAL)


def step() -> str:
    """Return the diagram of a step's statuses; late effects, which change none, are left out."""
    return _diagram(STEP_TRANSITIONS, first=None, last=())


def _diagram(table, first, last) -> str:
    arrows: dict[tuple[str, str], list[str]] = {}
    for (here, event), there in table.items():
        if here is not there:
            arrows.setdefault((here.value, there.value), []).append(event.__name__)
    lines = ["stateDiagram-v2", *([f"    [*] --> {first.value}"] if first else [])]
    lines += [f"    {here} --> {there}: {' · '.join(events)}" for (here, there), events in arrows.items()]
    lines += [f"    {state.value} --> [*]" for state in sorted(last)]
    return "\n".join(lines) + "\n"


def drawn(page: str) -> str:
    """Return a page with its diagrams drawn anew."""
    return BLOCK.sub(lambda found: found[1] + {"saga": saga, "step": step}[found[2]]() + found[3], page)


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(drawn(PAGE.read_text()))
    else:
        print(saga(), step(), sep="\n")
