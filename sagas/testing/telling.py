"""Tells what happened to a saga, a line each, for a tired person to read."""

from collections.abc import Iterator, Sequence

from sagas.core import events as e
from sagas.core import messages as m
from sagas.core.plain import printable
from sagas.testing.play import Line, Play

#: Changes of one call that a trace tells.
_MOST = 8
#: A line, and how often it was repeated at once.
_Run = tuple[Line, int]
#: What happens so often in a row is told once, with its count; what happens twice is quicker read than counted.
_OFTEN = 3
#: Lines of the longest round that is looked for.
_LONG = 8


def told(lines: Sequence[Line]) -> Iterator[str]:
    """Yield what happened, a line each; what goes round and round is told once, with its count."""
    told_lines = [line for line in lines if line.what]
    width = max((len(line.step) for line in told_lines), default=0)
    what = max((len(_what(line)) for line in told_lines if line.step), default=0)
    for rounds in _rounds(list(_runs(told_lines))):
        for line, times in rounds[0]:
            mark = "▸" if line.marked else " "
            again = f"  (× {times})" if times > 1 else ""
            said = f"{mark} {_clock(line)}  {line.step:{width}}  {_what(line):{what}}  {line.became}{again}"
            yield said.rstrip()
            yield from (f"{'':{width + 14}}{note}" for note in line.notes[:_MOST])
            if len(line.notes) > _MOST:
                yield f"{'':{width + 14}}… and {len(line.notes) - _MOST} more"
        if len(rounds) > 1:
            last, _ = rounds[-1][-1]
            yield f"  {_clock(last)}  … and so on: these {len(rounds[0])} lines {len(rounds)} times in all"


def _what(line: Line) -> str:
    return f"undo: {line.what}" if line.undo else line.what


def _clock(line: Line) -> str:
    seconds = int(line.at.total_seconds())
    if seconds < 3600:
        return f"{seconds // 60:4}:{seconds % 60:02}"
    days, hours = divmod(seconds // 3600, 24)
    return f"{days:3}d{hours:02}h" if days else f"{hours:4}h{seconds % 3600 // 60:02}"


def _runs(lines: Sequence[Line]) -> Iterator[_Run]:
    """Yield each line with how often it was repeated at once."""
    last, times = None, 0
    for line in lines:
        if last is not None and not line.notes and _same(last, line):
            times += 1
            continue
        if last is not None:
            yield last, times
        last, times = line, 1
    if last is not None:
        yield last, times


def _same(one: Line, other: Line) -> bool:
    return (one.step, one.what, one.became, one.undo) == (other.step, other.what, other.became, other.undo)


def _rounds(runs: Sequence[_Run]) -> Iterator[Sequence[Sequence[_Run]]]:
    """Yield the lines, each by itself, or where they go round and round, all the rounds."""
    at = 0
    while at < len(runs):
        found = (_rounds_of(runs, at, n) for n in range(2, _LONG + 1))
        rounds = next((each for each in found if len(each) >= _OFTEN), [runs[at : at + 1]])
        yield rounds
        at += len(rounds) * len(rounds[0])


def _rounds_of(runs: Sequence[_Run], at: int, n: int) -> list[Sequence[_Run]]:
    """Return how often the next ``n`` lines follow one another in the same words."""
    first, rounds = runs[at : at + n], []
    while len(each := runs[at : at + n]) == n and all(map(_alike, first, each)):
        rounds.append(each)
        at += n
    return rounds


def _alike(one: _Run, other: _Run) -> bool:
    (line, times), (again, as_often) = one, other
    calm = not (line.notes or again.notes or line.marked or again.marked)
    return calm and times == as_often and _same(line, again)


def note(play: Play, event: e.Event) -> None:
    """Note what the saga itself did."""
    match event:
        case e.SagaCompensating(error=error):
            play.say("", "the saga rolls back", error)
        case e.StepHeld(step=step, code=code, error=error) | e.UndoHeld(step=step, code=code, error=error):
            play.say(step, f"a person is asked: {code}", error)
        case e.SagaExpired():
            play.say("", "the saga's deadline passed")
        case e.StepLeftStanding(step=step):
            play.say(step, "is left standing")
        case e.SagaCompleted():
            play.say("", "the saga is completed")
        case e.SagaFailed():
            play.say("", "the saga has failed")


def said(reply: m.Reply) -> str:
    """Return what a reply says, in few words."""
    match reply:
        case m.Completed():
            return "completed"
        case m.Rejected(reason=reason):
            return f"rejected: {reason}"
        case m.Unknown(error=error):
            return f"failed: {printable(error, 200)}"
        case m.Later(within=None):
            return "taken on: to be answered, however long it takes"
        case m.Later(within=within):
            return f"promised to answer within {within:g} s"
        case m.NoSuchCommand():
            return "nothing has arrived so far"
        case m.Unserved(error=error):
            return f"nobody did it: {error}"
        case _:
            return ""
