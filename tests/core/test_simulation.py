"""Five thousand sagas, each with ten faults or more; what was ever found; and whether the oracle would notice."""

import json
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest

import bench.simulate
from tests.simulation.case import Case
from tests.simulation.chance import LEAST, draw
from tests.simulation.faults import FAULTS
from tests.simulation.figures import ALL_TRANSITIONS, Figures, simulate
from tests.simulation.play import Found, play
from tests.simulation.shrink import shrink
from tests.simulation.trace import trace

from .breaking import BUGS, break_core

SEEDS = (1, 2, 3, 4, 10)
SAGAS = 1_000
#: More than the rarest of the bugs takes to be found.
PATIENCE = 1_500
#: Seeds that find rare bugs sooner than the first one does, which needs five hundred sagas and more.
SOONER = {
    "an action is given up before its time is over": 2,
    "a function goes on without a step, and that is skipped": 8,
    "choreography: a new name is no remedy on the way back": 2,
    "an approval is given behind the end of the way forward": 7,
}
FOUND = sorted((Path(__file__).parent / "found").glob("*.json"))


@pytest.fixture(scope="module")
def runs() -> dict[int, Figures]:
    """The sagas of each seed, simulated once."""
    return {seed: simulate(seed, range(SAGAS)) for seed in SEEDS}


@pytest.fixture(scope="module")
def figures(runs: dict[int, Figures]) -> Figures:
    """The figures of all seeds together."""
    total = Figures()
    for run in runs.values():
        total += run
    return total


def test_no_saga_breaks_a_rule_whatever_it_suffers(runs: dict[int, Figures]) -> None:
    broken = [
        f"{rule}: bench/simulate --seed {seed} --only {number} --trace"
        for seed, run in runs.items()
        for number, rule in run.violations.items()
    ]
    assert not broken


def test_every_saga_suffers_and_ends(figures: Figures) -> None:
    assert figures.sagas == sum(figures.ends.values()) == len(SEEDS) * SAGAS
    assert min(figures.least) >= LEAST


def test_every_fault_happens(figures: Figures) -> None:
    assert {*FAULTS} == figures.faults.keys()


def test_every_transition_of_the_table_is_used(figures: Figures) -> None:
    assert figures.transitions.keys() >= ALL_TRANSITIONS


def test_zombies_speak_and_are_not_heard(figures: Figures) -> None:
    assert figures.superseded
    assert figures.late


def test_the_same_number_of_a_seed_is_the_same_saga() -> None:
    first, second = (play(*draw(7, 11)) for _ in range(2))
    assert first.schedule == second.schedule
    assert first.world.log == second.world.log
    assert first.world.log != play(*draw(7, 12)).world.log


@pytest.mark.parametrize("number", [8, 9, 11], ids=["choreography", "function", "steps"])
def test_a_case_that_is_kept_is_the_same_case(number: int) -> None:
    case, suffering = draw(7, number)
    played = play(case, suffering)
    kept = Case.from_document(json.loads(case.with_schedule(played.schedule).text(found="by chance")))
    assert play(kept).world.log == played.world.log


def document(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text()))


@pytest.mark.parametrize("file", FOUND, ids=lambda file: file.stem)
def test_what_was_found_once_is_mended(file: Path) -> None:
    play(Case.from_document(document(file)))


@pytest.mark.parametrize("file", [f for f in FOUND if "bug" in document(f)], ids=lambda file: file.stem)
def test_what_was_found_once_would_be_found_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = document(file)
    break_core(monkeypatch, kept["bug"])
    with pytest.raises(Found) as found:
        play(Case.from_document(kept))
    assert found.value.rule == kept["breaks"]


@pytest.mark.parametrize("bug", BUGS)
def test_a_broken_core_is_found_out(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    break_core(monkeypatch, bug)
    assert simulate_until_found(SOONER.get(bug, SEEDS[0]), bug)


def simulate_until_found(seed: int, bug: str) -> Found | None:
    """Simulate sagas that have what the bug is about; the others could not tell."""
    drawn = (draw(seed, number) for number in count())
    for case, suffering in islice((each for each in drawn if concerns(bug, each[0])), PATIENCE):
        try:
            play(case, suffering)
        except Found as found:
            return found
    return None


def concerns(bug: str, case: Case) -> bool:
    definition = case.definition
    of_one_kind = {"choreography": definition.flow is not None, "a function": case.script is not None}
    if any(bug.startswith(kind) is not fits for kind, fits in of_one_kind.items()):
        return False
    if "approv" in bug:
        return any(step.approval for step in definition.steps)
    if "child" in bug:
        return any(step.child for step in definition.steps)
    return "deadline" not in bug or definition.deadline is not None


def test_a_violation_is_shrunk_to_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    break_core(monkeypatch, "a late effect is ignored")
    found = simulate_until_found(SEEDS[0], "a late effect is ignored")
    assert found
    small = shrink(found)
    schedule = small.case.schedule
    assert small.rule == found.rule
    assert (len(small.case.minds), len(schedule) < len(found.case.schedule)) == (1, True)
    for place in range(len(schedule)):
        play(small.case.with_schedule(schedule[:place] + schedule[place + 1 :]))
    assert f"VIOLATION {small.rule}" in [*trace(small.case)]


def test_the_command_tells_what_it_did(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    figures = tmp_path / "figures.json"
    said = _command(monkeypatch, capsys, 0, "--sagas", "30", "--json", str(figures))
    assert "30 sagas of seed 3" in said
    assert "violations: 0" in said
    assert document(figures)["sagas"] == 30
    said = _command(monkeypatch, capsys, 0, "--only", "7", "--trace")
    assert "SagaStarted" in said
    assert "saga 7 of seed 3 breaks no rule" in said


def test_the_command_shows_a_violation_and_how_to_see_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(bench.simulate, "KEPT", tmp_path)
    break_core(monkeypatch, "what may have had its effect is withdrawn")
    said = _command(monkeypatch, capsys, 1, "--sagas", "60", "--keep")
    assert "VIOLATION C7: what was sent is awaited, not withdrawn" in said
    again = said.partition("all of it: bench/simulate --seed 3 ")[2].partition("\n")[0].split()
    assert "VIOLATION" in _command(monkeypatch, capsys, 1, *again)
    for kept in tmp_path.iterdir():
        with pytest.raises(Found):
            play(Case.from_document(document(kept)))


def _command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int, *arguments: str
) -> str:
    """Run bench/simulate in this process; return what it says."""
    monkeypatch.setattr("sys.argv", ["simulate", "--seed", "3", "--processes", "1", *arguments])
    assert bench.simulate.main() == code
    return capsys.readouterr().out
