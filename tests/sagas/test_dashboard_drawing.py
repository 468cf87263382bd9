"""The parts of pages that are computed: the lanes, the timeline, sentences, durations, filters."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import conditional_escape

from sagas import CANNOT_UNDO, SagaStep, approval, timer
from sagas.core.definition import SagaDefinition
from sagas.core.events import EVENT_TYPES
from sagas.core.ids import uuid7
from sagas.core.words import Attention, SagaState, StepStatus
from sagas.dashboard import formats, lines, markup, words
from sagas.dashboard.deeds import deed, deed_in_table
from sagas.dashboard.filters import Filters
from sagas.dashboard.graph import GAP_X, WIDTH, draw
from sagas.dashboard.log import Entry
from sagas.dashboard.nodes import said, with_asked
from sagas.dashboard.outline import Line, lines_of
from sagas.dashboard.overview import percentile
from sagas.dashboard.rows import StepLine, row
from sagas.dashboard.sentences import SENTENCES, sentence
from sagas.dashboard.timeline import timeline
from sagas.matching import first_id_at
from sagas.models import OperatorAction, Saga
from sagas.orchestrator.needing import ATTENTION
from sagas.orchestrator.why import _TIME, _in_utc

STATUSES = ("completed", "pending", "completed")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def step(name: str, *needs: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "needs": list(needs),
        "status": "pending",
        "attention": None,
        "standing": False,
        "dispatched_at": None,
        "compensation": f"S.Undo{name}",
        "cannot_undo": False,
        "pivot": False,
        "retriable": False,
        "hold": False,
        "direction": None,
        "attempt": 0,
        "error": None,
        "result": None,
        **more,
    }


def places(*steps: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {node.step["name"]: (node.column, node.row) for node in draw(steps, "pending").nodes}


def test_of_very_many_steps_the_latest_are_shown_and_how_many_came_before() -> None:
    few, many = markup.dots(("completed",) * 33), markup.dots(("completed",) * 34 + ("executing",))
    assert (few.count("<i"), "+" in few) == (33, False)
    assert (many.count("<i"), many.count("dot--executing")) == (markup.DOTS, 1)
    assert '"35 steps"' in many
    assert "+3<" in many


@pytest.mark.parametrize(("state", "shown"), [("completed", 2), ("pending", 3), ("failed", 3)])
def test_a_completed_choreography_lacks_nothing_that_was_never_asked_of_it(state: str, shown: int) -> None:
    saga = Saga(id=uuid7(), state=state, created_at=NOON)
    lines = [StepLine(saga.pk, n, s, None, 0, 0, None, 0, None) for n, s in zip("abc", STATUSES, strict=True)]
    assert len(row(saga, lines).dots) == shown


@pytest.mark.parametrize(
    ("number", "classes"), [(1, "row-1"), (20, "row-20"), (1408, "row-1000 row-400 row-8")]
)
def test_a_row_of_the_grid_is_named_by_its_digits(number: int, classes: str) -> None:
    assert markup.place(number, "row") == classes
    known = (settings.BASE_DIR / "sagas" / "static" / "sagas" / "grid.css").read_text()
    assert all(f".{name} {{" in known for name in classes.split())


def test_a_chain_is_one_row() -> None:
    assert places(step("a"), step("b", "a"), step("c", "b")) == {"a": (1, 1), "b": (2, 1), "c": (3, 1)}


def test_branches_share_a_column_and_never_a_cell() -> None:
    found = places(step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c"), step("e"))
    assert found == {"a": (1, 1), "e": (1, 2), "b": (2, 1), "c": (2, 2), "d": (3, 1)}


def test_a_step_stands_behind_all_that_it_needs() -> None:
    found = places(step("late", "a", "b"), step("a"), step("b", "a"))
    assert [found[name][0] for name in ("a", "b", "late")] == [1, 2, 3]


def test_the_undo_lane_lies_below_every_row_of_the_do_lane() -> None:
    graph = draw([step("a"), step("b", "a"), step("c", "a")], "pending")
    assert {node.undo_row for node in graph.nodes} == {3, 4}
    assert graph.width == 2 * WIDTH + GAP_X


def test_a_function_turns_back_where_its_step_was_refused() -> None:
    function = step("function", function=True, status="failed")
    steps = [function, step("a", "function", status="compensated"), step("b", "a", status="failed")]
    turns = [edge.path for edge in draw(steps, "failed").edges if edge.lane == "turn"]
    assert [path.startswith(f"M{2 * (WIDTH + GAP_X) + WIDTH // 2} ") for path in turns] == [True]


@pytest.mark.parametrize(("state", "turns"), [("pending", 0), ("completed", 0), ("failed", 1)])
def test_a_refusal_that_a_function_has_heard_of_turns_nothing_back(state: str, turns: int) -> None:
    heard, last = step("a", "function", status="failed"), step("b", "a", status="failed")
    steps = [step("function", function=True, status="completed"), heard, last]
    assert [edge.lane for edge in draw(steps, state).edges].count("turn") == turns


@pytest.mark.parametrize(
    ("first", "second", "third", "state", "here"),
    [
        ({}, {}, {}, "started", None),
        ({"status": "executing"}, {}, {}, "pending", "a"),
        ({"status": "completed"}, {"dispatched_at": NOON}, {}, "pending", "b"),
        ({"status": "executing"}, {"status": "completed"}, {"status": "failed"}, "pending", "c"),
        ({"status": "completed"}, {"attention": "held"}, {"status": "executing"}, "pending", "b"),
        ({"status": "completed"}, {"status": "compensating"}, {"status": "failed"}, "compensating", "b"),
        ({"attention": "misconfigured"}, {"status": "compensating"}, {}, "compensating", "a"),
        ({"status": "completed"}, {"status": "completed"}, {"status": "completed"}, "completed", None),
        ({"status": "compensated"}, {"status": "failed"}, {}, "failed", None),
    ],
)
def test_the_step_that_matters_is_named(
    first: dict[str, Any], second: dict[str, Any], third: dict[str, Any], state: str, here: str | None
) -> None:
    steps = [step("a", **first), step("b", "a", **second), step("c", "b", **third)]
    named = [node.step["name"] for node in draw(steps, state).nodes if node.here]
    assert named == ([here] if here else [])


@pytest.mark.parametrize(
    ("change", "state", "shows"),
    [
        ({}, "pending", "idle"),
        ({"compensation": None}, "pending", "none"),
        ({"cannot_undo": True}, "pending", "cannot"),
        (
            {"cannot_undo": True, "attention": "cannot_undo", "status": "completed"},
            "compensating",
            "attention",
        ),
        ({"status": "completed"}, "completed", "spared"),
        ({"status": "completed"}, "compensating", "owed"),
        ({"status": "failed"}, "compensating", "void"),
        ({"status": "compensating"}, "compensating", "moving"),
        ({"status": "compensating", "attention": "compensation_failed"}, "compensating", "attention"),
        ({"status": "compensated"}, "failed", "done"),
        ({"status": "completed", "standing": True}, "failed", "standing"),
        ({"status": "completed", "compensation": None}, "compensating", "standing"),
        ({"status": "completed", "compensation": None}, "completed", "none"),
        ({"status": "completed", "pivot": True}, "pending", "barred"),
        ({"status": "executing", "pivot": True}, "pending", "idle"),
    ],
)
def test_the_undo_lane_says_what_becomes_of_each_step(change: dict[str, Any], state: str, shows: str) -> None:
    [node] = draw([step("a", **change)], state).nodes
    assert node.undo == shows


@pytest.mark.parametrize(
    ("status", "state", "way"),
    [
        ("pending", "started", "open"),
        ("executing", "pending", "open"),
        ("completed", "pending", "passed"),
        ("completed", "completed", "passed"),
        ("failed", "compensating", "shut"),
        ("pending", "failed", "shut"),
    ],
)
def test_the_point_of_no_return_is_a_line_behind_the_pivot(status: str, state: str, way: str) -> None:
    graph = draw([step("a"), step("b", "a", pivot=True, status=status), step("c", "b")], state)
    assert graph.gate is not None
    assert graph.gate.word == way
    assert 2 * WIDTH + GAP_X < graph.gate.x < 2 * (WIDTH + GAP_X)


def test_without_a_pivot_there_is_no_such_line() -> None:
    assert draw([step("a")], "pending").gate is None


def test_marks_are_explained_where_they_occur() -> None:
    steps = [step("a", pivot=True), step("b", "a", retriable=True), step("c", "b", retriable=True)]
    assert draw(steps, "pending").marks == ("pivot", "retriable")


def test_a_step_says_what_it_waits_for_where_that_is_not_just_the_one_before() -> None:
    graph = draw([step("a"), step("b"), step("c", "a", "b"), step("d", "c")], "pending")
    assert [node.after for node in graph.nodes] == ["", "from the start", "after a, b", ""]


def test_an_edge_leads_around_what_stands_between() -> None:
    steps = [step("a"), step("b", "a"), step("c", "a", "b"), step("d"), step("e", "d", "c")]
    edges = draw(steps, "pending").edges
    around = [edge for edge in edges if "q" in edge.path]
    assert [edge.lane for edge in around] == ["do", "undo"]  # a to c, past b; d has nobody in its row
    assert around[0].path.startswith(f"M{WIDTH} ")
    assert around[0].path.endswith(f"H{2 * (WIDTH + GAP_X)}")


def test_turning_back_leads_past_the_neighbours() -> None:
    def turn(*steps: dict[str, Any]) -> str:
        return next(e.path for e in draw(list(steps), "compensating").edges if e.lane == "turn")

    failed = step("a", status="failed")
    assert turn(failed).startswith(f"M{WIDTH // 2} ")
    assert turn(failed, step("b", status="completed")).startswith(f"M{WIDTH} ")


def event(kind: str, at: float, **data: Any) -> dict[str, Any]:
    return {"type": kind, "step": "a", "at": (NOON + timedelta(seconds=at)).isoformat(), "data": data}


def bars(*events: dict[str, Any], end: float = 10) -> list[tuple[str, str, float, float]]:
    drawn = timeline(["a"], events, NOON, NOON + timedelta(seconds=end))
    return [(bar.look, bar.lane, bar.x, bar.width) for bar in drawn.lines[0].bars]


def test_the_runs_of_a_function_are_bars_and_what_it_waits_for_is_none_of_its_time() -> None:
    assert bars(
        event("FunctionDispatched", 0),
        event("FunctionWaits", 1),
        event("FunctionDispatched", 5),
        event("StepHeld", 6),
        end=10,
    ) == [("completed", "do", 0, 10), ("attention", "do", 50, 10)]


def test_attempts_are_bars_and_the_wait_between_them_is_hatched() -> None:
    due = (NOON + timedelta(seconds=4)).isoformat()
    assert bars(
        event("StepDispatched", 0),
        event("StepRescheduled", 2, due_at=due, attempt=2),
        event("StepCompleted", 5),
    ) == [("unknown", "do", 0, 20), ("waiting", "do", 20, 20), ("completed", "do", 40, 10)]


def test_what_still_runs_reaches_to_the_end_and_an_undo_has_its_own_lane() -> None:
    assert bars(event("StepDispatched", 0), event("StepCompleted", 5), event("UndoDispatched", 6)) == [
        ("completed", "do", 0, 50),
        ("running", "undo", 60, 40),
    ]


def test_a_wait_that_an_operator_cut_short_ends_where_he_did() -> None:
    due = (NOON + timedelta(seconds=60)).isoformat()
    now = (NOON + timedelta(seconds=4)).isoformat()
    assert bars(
        event("UndoDispatched", 0),
        event("UndoRescheduled", 2, due_at=due, attempt=2),
        event("UndoRescheduled", 4, due_at=now, attempt=2),
        event("StepCompensated", 6),
    ) == [("unknown", "undo", 0, 20), ("waiting", "undo", 20, 20), ("compensated", "undo", 40, 20)]


@pytest.mark.parametrize("seconds", [0, 0.01, 3, 100, 86_400, 10**8])
def test_the_axis_has_a_few_ticks_however_long_it_took(seconds: float) -> None:
    ticks = timeline(["a"], [], NOON, NOON + timedelta(seconds=seconds)).ticks
    assert 1 <= len(ticks) <= 8
    assert all(0 <= at <= 100 for at, _ in ticks)


@pytest.mark.parametrize(("untaken", "look"), [({"a"}, "waiting"), ({"b"}, "running"), ((), "running")])
def test_what_no_worker_has_taken_is_drawn_as_a_wait(untaken: Any, look: str) -> None:
    events = [event("StepDispatched", 0)]
    (line,) = timeline(["a"], events, NOON, NOON + timedelta(seconds=4), untaken).lines
    assert [(bar.look, bar.width) for bar in line.bars] == [(look, 100)]


def test_the_axis_ends_with_its_last_label() -> None:
    drawn = timeline(["a"], [], NOON, NOON + timedelta(seconds=4))
    axis = render_to_string("sagas/_timeline.html", {"timeline": drawn})
    assert '<text x="100.0%" y="12" text-anchor="end">4 s</text>' in axis
    assert axis.count("text-anchor") == 1


@pytest.mark.parametrize(
    ("more", "word", "note"),
    [
        ({}, "due", ""),
        ({"queue": "pay", "due_at": "2026-01-01"}, "due", "in queue pay since {2026-01-01}"),
        ({"claimed": True}, "executing", "running"),
        (
            {"claimed": True, "worker": "w-1", "claimed_at": "2026-01-01"},
            "executing",
            "since {2026-01-01} on w-1",
        ),
        ({"claimed": True, "silent_since": "2026-11-30T10:15:27+00:00"}, "executing", "its worker is silent"),
        ({"attempt": 2, "due_at": "2026-01-01"}, "executing", "try 2 of 5 at {2026-01-01}"),
        ({"waiting": "reply"}, "waiting", "for a reply"),
        (
            {"waiting": "reply", "claimed": True, "silent_since": "2026-11-30T10:15:27+00:00"},
            "waiting",
            "for a reply",
        ),
        ({"claimed": True, "attempt": 2}, "executing", "try 2 of 5, running"),
        ({"scheduled": False}, "executing", ""),
    ],
)
def test_a_step_that_no_worker_has_taken_is_due_and_not_executing(
    more: dict[str, Any], word: str, note: str
) -> None:
    dispatched = {"status": "executing", "direction": "do", "scheduled": True, "attempt": 1, "budget": 5}
    told = said(step("a", **dispatched | more))
    assert (told.word, told.note) == (word, note)


def test_what_the_attempt_before_came_to_makes_room_for_a_silent_worker() -> None:
    tried = {"attempt": 2, "budget": 5, "error": "the line broke"}
    failing = step("a", status="executing", direction="do", claimed=True, **tried)
    assert said(failing).told == "the line broke"
    lost = said({**failing, "silent_since": "2026-11-30T10:15:27+00:00"})
    assert (lost.note, lost.told) == ("its worker is silent", "")
    undoing = said({**failing, "status": "compensating", "silent_since": "2026-11-30T10:15:27+00:00"})
    assert (undoing.undo_note, undoing.undo_told) == ("its worker is silent", "")


HELD = [event("StepDispatched", 0), event("StepHeld", 1)]


@pytest.mark.parametrize(
    ("events", "more", "note"),
    [
        ([event("StepDispatched", 0), event("StepCompleted", 2)], {}, "2.0 s"),
        (
            [*HELD, event("StepDispatched", 7201), event("StepCompleted", 7202)],
            {},
            "2.0 s, 2 h for a person",
        ),
        (
            [event("StepDispatched", 0), event("StepOutcomeUnknown", 3), event("StepCompleted", 603, by_hand=True)],
            {},
            "3.0 s, 10 min for a person",
        ),
        (
            [event("StepDispatched", 0), event("StepCompleted", 2), event("StepHeld", 9), event("UndoDispatched", 99)],
            {"executed": 2},
            "2.0 s",
        ),
        ([event("StepDispatched", 0), event("StepCompleted", 600)], {"approval": True}, "10 min for a person"),
    ],
)  # fmt: skip
def test_what_a_step_waited_for_a_person_is_not_the_time_that_it_took(
    events: list[dict[str, Any]], more: dict[str, Any], note: str
) -> None:
    end = (
        events[-1]["at"]
        if "executed" not in more
        else (NOON + timedelta(seconds=more["executed"])).isoformat()
    )
    done = step("a", status="completed", dispatched_at=NOON.isoformat(), executed_at=end, **more)
    assert said(with_asked([done], events)[0]).note == note


def test_every_event_has_a_sentence() -> None:
    assert SENTENCES.keys() == EVENT_TYPES.keys()
    for kind in EVENT_TYPES:
        tone, told = sentence({"type": kind, "step": "a", "data": {"error": "no", "attempt": 2, "budget": 5}})
        assert told.endswith(".")
        assert tone


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        ("no van.", "had no effect: no van."),
        ("waiting...", "had no effect: waiting..."),
        ("open ../stock", "had no effect: open ../stock."),
        ("from 3..5", "had no effect: from 3..5."),
    ],
)
def test_a_participants_words_are_repeated_as_they_are(error: str, ends: str) -> None:
    failed = {"type": "StepFailed", "step": "a", "data": {"error": error}}
    assert sentence(failed)[1].endswith(ends)


def test_every_word_of_the_core_has_words_here() -> None:
    assert words.STATES.keys() == set(SagaState)
    assert ATTENTION.keys() == set(Attention)
    assert words.STATUS_GLYPHS.keys() == set(StepStatus)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "–"),
        (0.08, "80 ms"),
        (1.24, "1.2 s"),
        (42, "42 s"),
        (99, "99 s"),
        (100, "1 min 40 s"),
        (250, "4 min 10 s"),
        (3_600, "60 min"),
        (11_100, "3 h 5 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_durations_are_said_with_their_units(seconds: float | None, said: str) -> None:
    assert formats.span(seconds) == said


def test_times_say_how_far_away_they_are() -> None:
    assert formats.relative(NOON, NOON) == "now"
    assert formats.relative(NOON - timedelta(seconds=12), NOON) == "12 s ago"
    assert formats.relative(NOON + timedelta(minutes=5), NOON) == "in 5 min"


def test_times_in_sentences_become_elements_and_the_rest_stays_text() -> None:
    said = markup.timed("<b> due at {2026-01-01T12:00:00+00:00}, {not this}")
    assert "&lt;b&gt; due at <time" in said
    assert "{not this}" in said
    edge = "{0001-01-01T00:00:00+01:00} {9999-12-31T23:59:59-01:00}"
    assert markup.timed(edge) == edge, "no calendar has these in UTC"
    assert _TIME.sub(_in_utc, edge) == edge


def test_what_people_wrote_is_text_in_every_part_of_a_line() -> None:
    evil = '<b>"quoted"</b>'
    saga = Saga(id=uuid7(), saga_type=evil, correlation_id=evil, state="failed", version=3)
    saga.created_at = saga.updated_at = NOON
    named = StepLine(saga.pk, evil, "failed", None, 1, 1, None, 0, None)
    acted = OperatorAction(operator_name=evil, verb="retry", step=evil, reason=evil, at=NOON)
    shown = [
        lines.saga_line(row(saga, [named])),
        lines.log_line(Entry(NOON, "failed", evil, 3, 7, evil, detail={evil: evil})),
        lines.log_line(Entry(NOON, "person", "", 3, action=acted)),
    ]
    for line, times in zip(shown, (5, 4, 3), strict=True):
        assert (line.count("&lt;b&gt;"), line.count('"quoted"')) == (times, 0)


def test_a_line_of_the_log_says_what_there_is_to_say() -> None:
    plain = lines.log_line(Entry(NOON, "pending", "It is due.", 12, 34))
    assert "It is due." in plain
    assert "v 12</span>" in plain
    assert "<details" not in plain, "nothing is behind it"
    assert (
        '<details class="more" id="e34"><summary title="Details">34–36<span class="sr-only">'
        in lines.log_line(Entry(NOON, "pending", "It is due.", 12, 34, "34–36", detail={"attempt": 1}))
    )


@pytest.mark.parametrize(
    ("done", "said"),
    [
        ({"verb": "skip", "step": "pay"}, "skip pay"),
        ({"verb": "resolve", "step": "pay", "request": {"outcome": "done"}}, "resolve pay: done"),
        ({"verb": "edit", "request": {"changed": ["a", "b"]}}, "edit · a, b"),
        (
            {"verb": "start_batch", "request": {"of": "retry", "sagas": 5, "per_second": 2.5}},
            "start batch: retry of 5, 2.5 a second",
        ),
        ({"verb": "resume_queue", "request": {"per_second": 5}}, "resume queue, 5 a second"),
        ({"verb": "take_alert", "request": {"alert": 1, "hours": 4.0}}, "take alert for 4 h"),
    ],
)
def test_a_deed_is_told_alike_everywhere(done: dict[str, Any], said: str) -> None:
    action = OperatorAction(operator_name="olga", reason="so", at=NOON, **done)
    assert deed(action) == said
    assert re.sub("<[^>]+>", "", deed_in_table(action)) == said
    assert f"<b>olga</b>: {said} <q>so</q>" in lines.log_line(Entry(NOON, "person", "", 3, action=action))


def test_names_break_behind_underscores_and_stay_text() -> None:
    assert markup.breakable("a_b") == "a_<wbr>b"
    assert conditional_escape(markup.breakable("<_>")) == "&lt;_<wbr>&gt;"
    assert markup.breakable("SendCancellationNotice") == "Send<wbr>Cancellation<wbr>Notice"
    assert markup.breakable("HTTPService_") == "HTTPService_"


def test_percentiles_are_values_that_occurred() -> None:
    assert percentile([], 95) is None
    assert percentile([1.0], 95) == 1.0
    assert percentile([float(n) for n in range(1, 101)], 95) == 95.0


def test_a_saga_is_known_by_the_name_it_was_given_or_else_by_the_end_of_its_id() -> None:
    assert formats.known_as("ORD-7") == "ORD-7"
    assert formats.known_as("01a22153-d239-736f-91b4-2afa2c0b190b") == "…2c0b190b"
    assert (
        formats.known_as("order-01a22153-d239-736f-91b4-2afa2c0b190b")
        == "order-01a22153-d239-736f-91b4-2afa2c0b190b"
    )


def test_filters_keep_their_order_in_links_and_drop_what_is_empty() -> None:
    filters = Filters.read({"type": " T ", "state": "failed", "after": "x", "nonsense": "y"})
    assert filters.query == "state=failed&type=T"
    assert filters.without_state == "type=T"


def test_ids_from_a_time_sort_like_ids_made_then() -> None:
    now = datetime.now(UTC)
    assert first_id_at(now - timedelta(seconds=1)) < uuid7() < first_id_at(now + timedelta(hours=1))


def test_of_a_document_that_no_person_would_read_the_beginning_is_shown() -> None:
    shown = formats.pretty({"text": "x" * 500_000})
    assert len(shown) < 101_000
    assert "more characters" in shown


def test_a_document_is_shown_indented_and_its_numbers_whole() -> None:
    assert formats.pretty({"b": [1, {"ä": None}], "a": {}}) == (
        '{\n  "b": [\n    1,\n    {\n      "ä": null\n    }\n  ],\n  "a": {}\n}'
    )
    assert formats.pretty({"cents": 10**30}) == f'{{\n  "cents": {10**30}\n}}'


@pytest.mark.parametrize(
    ("state", "word"), [("pending", "pending"), ("compensating", "never ran"), ("failed", "never ran")]
)
def test_what_a_rollback_found_waiting_never_ran(state: str, word: str) -> None:
    assert draw([step("a"), step("b", "a")], state).nodes[1].said.word == word


def test_what_was_due_and_nobody_had_begun_with_was_withdrawn() -> None:
    (node,) = draw([{**step("a"), "dispatched_at": NOON}], "failed").nodes
    assert node.said.word == "withdrawn"


def test_a_time_of_another_day_says_which_without_javascript_too() -> None:
    now = timezone.now()
    assert f">{now:%H:%M:%S}<" in markup.clock(now)
    later = now + timedelta(days=7)
    assert f">{later:%Y-%m-%d %H:%M:%S} UTC<" in markup.clock(later)


def line(step: SagaStep) -> Line:
    (found,) = lines_of(SagaDefinition("Trial", (step,)))
    return found


def test_a_type_says_of_each_step_what_it_has_and_nothing_else() -> None:
    called = line(SagaStep("pay", "PayService.Pay", "PayService.Refund"))
    assert (called.tries, called.undo_tries, called.limit, called.fails) == (5, 10, "5 min", "rolls back")
    rests = line(timer("rest", wait=timedelta(days=3)))
    assert (rests.action, rests.limit, rests.fails) == ("waits 3 d", "", "")
    assert (rests.tries, rests.undo_tries) == (None, None)
    assert line(timer("rest", until="contract.begins")).action == "waits until contract.begins of the data"
    assert line(timer("rest", until=NOON)).action == "waits until 2026-01-01 12:00 UTC"
    asks = line(approval("ok", by="group:boss", people=2, deadline=timedelta(days=7), otherwise="reject"))
    assert asks.action == "asks 2 people of the group boss"
    assert (asks.tries, asks.limit) == (None, "7 d, then rejected")
    assert line(approval("ok", by="perm:shop.refund")).limit == ""
    stuck = line(SagaStep("fly", "FlightService.Fly", CANNOT_UNDO))
    assert (stuck.undo, stuck.undo_tries) == ("cannot be undone", None)
