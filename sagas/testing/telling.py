"""Tells what happened to a saga, a line each, for a tired person to read."""

from collections.abc import Iterator, Sequence

from sagas.core import events as e
from sagas.core import messages as m
from sagas.core.plain import printable
from sagas.testing.play import Line, Play

#: Changes of one call that a trace tells.
_MOST = 8


def told(lines: Sequence[Line]) -> Iterator[str]:
    """Yield what happened, a line each; an attempt that went like the one before it is only counted."""
    told_lines = [line for line in lines if line.what]
    width = max((len(line.step) for line in told_lines), default=0)
    what = max((len(_what(line)) for line in told_lines if line.step), default=0)
    for line, times in _runs(told_lines):
        mark = "▸" if line.marked else " "
        again = f"  (× {times})" if times > 1 else ""
        said = f"{mark} {_clock(line)}  {line.step:{width}}  {_what(line):{what}}  {line.became}{again}"
        yield said.rstrip()
        yield from (f"{'':{width + 14}}{note}" for note in line.notes[:_MOST])
        if len(line.notes) > _MOST:
            yield f"{'':{width + 14}}… and {len(line.notes) - _MOST} more"


def _what(line: Line) -> str:
    return f"undo: {line.what}" if line.undo else line.what


def _clock(line: Line) -> str:
    seconds = int(line.at.total_seconds())
    if seconds < 3600:
        return f"{seconds // 60:4}:{seconds % 60:02}"
    days, hours = divmod(seconds // 3600, 24)
    return f"{days:3}d{hours:02}h" if days else f"{hours:4}h{seconds % 3600 // 60:02}"


def _runs(lines: Sequence[Line]) -> Iterator[tuple[Line, int]]:
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
