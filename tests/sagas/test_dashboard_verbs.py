"""The verbs' pages: preview, reason, version, and who was faster."""

import json
import re
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils.html import format_html

from sagas import orchestrator
from sagas.dashboard.formats import named
from sagas.dashboard.markup import folded
from sagas.engine import Pump, claims
from sagas.models import OperatorAction, Saga
from tests.sagas import shop
from tests.sagas.pages import text
from tests.sagas.running import rest

pytestmark = pytest.mark.django_db(transaction=True)


def at(saga: Saga, verb: str, step: str = "") -> str:
    return reverse("saga-verb", args=[saga.pk, verb]) + (f"?step={step}" if step else "")


def form(saga: Saga, **more: Any) -> dict[str, Any]:
    return {"version": saga.version, "action_id": str(uuid4()), "reason": "because", **more}


def previewed(desk: Client, where: str, typed: dict[str, Any]) -> Any:
    """Look at what it would do, and send it; return the answer."""
    seen = desk.post(where, {**typed, "preview": "1"}).context["asking"]
    return desk.post(where, {**typed, "previewed": seen.written})


def test_the_preview_names_the_commands_and_their_keys(desk: Client, held: Saga) -> None:
    page = text(desk.get(at(held, "retry", "pay")))
    assert "PayService.Pay" in page
    assert f"{held.pk}:pay:do:2" in page  # rejected: a new generation
    assert "What this will do" in page


@pytest.mark.parametrize("verb", ["retry", "resolve"])
def test_who_tries_again_or_settles_sees_what_was_called_and_what_it_said(
    desk: Client, held: Saga, verb: str
) -> None:
    page = text(desk.get(at(held, verb, "pay")))
    key = f"{held.pk}:pay:do:1"
    assert f'<dt>Key of PayService.Pay</dt><dd><code class="key">{key}</code>' in page
    assert f'data-copy="{key}"' in page
    assert "<dt>Attempts</dt><dd>1 of 3</dd>" in page
    assert f"<dt>Last error</dt><dd>{orchestrator.snapshot(held)['steps'][1]['error']}</dd>" in page
    assert 'class="called"' not in text(desk.get(at(held, "pause")))


def test_whose_undo_fails_has_the_key_of_the_undo_first(
    desk: Client, errand: Any, world: shop.World, pump: Pump
) -> None:
    world.behaviour["FetchService.Return"] = shop.fail()
    world.behaviour["PayService.Pay"] = shop.reject("no money")
    saga = rest(pump, errand())
    page = text(desk.get(at(saga, "resolve", "fetch")))
    undo = page.index(f'<code class="key">{saga.pk}:fetch:undo:1</code>')
    assert undo < page.index(f'<code class="key">{saga.pk}:fetch:do:1</code>')
    assert "<dt>Last error</dt><dd>ConnectionError: the line is dead" in page


def test_a_verb_is_done_once_with_its_reason_and_leads_back(desk: Client, held: Saga) -> None:
    response = desk.post(at(held, "compensate"), form(held))
    assert (response.status_code, response.headers["Location"]) == (
        302,
        reverse("saga-detail", args=[held.pk]),
    )
    action = OperatorAction.objects.get()
    assert (action.verb, action.operator_name, action.reason, action.via) == (
        "compensate", "olga", "because", "desk",
    )  # fmt: skip


def test_what_was_done_and_what_comes_of_it_is_said_where_it_leads(desk: Client, held: Saga) -> None:
    page = text(desk.post(at(held, "retry"), form(held, step="pay"), follow=True))
    assert (
        "It is tried again. PayService.Pay is called for pay, under a new key. If every call succeeds" in page
    )
    saga = Saga.objects.get()
    page = text(desk.post(at(saga, "pause"), form(saga), follow=True))
    assert "The saga is paused. Nothing more is claimed for this saga, in either direction" in page


def test_who_did_what_last_stands_by_the_line_that_says_why(desk: Client, held: Saga, pump: Pump) -> None:
    def why() -> str:
        page = text(desk.get(reverse("saga-detail", args=[held.pk])))
        return page[page.index('data-region="why"') : page.index('data-region="verbs"')]

    assert "why__last" not in why()
    desk.post(at(held, "retry"), form(held, step="pay", reason="the card works"))
    assert "<b>olga</b> chose retry pay <q>the card works</q>." in why()
    rest(pump, held)
    assert "<q>the card works</q>; the saga has gone on since" in why()
    assert "held for your decision" in why()
    assert "why__text--attention" in why(), "within what is replaced while the page is open"


def test_who_rolled_it_back_is_said_once(desk: Client, held: Saga, pump: Pump) -> None:
    desk.post(at(held, "compensate"), form(held, reason="gone"))
    page = text(desk.get(reverse("saga-detail", args=[rest(pump, held).pk])))
    assert "<span>It was rolled back by olga: gone.</span>" in page


def test_a_saga_that_asks_and_is_paused_says_both(desk: Client, held: Saga) -> None:
    page = text(desk.post(at(held, "pause"), form(held), follow=True))
    assert "It is held for your decision. It is paused, too" in page


def test_a_double_click_counts_once(desk: Client, held: Saga) -> None:
    sent = form(held, step="pay")
    desk.post(at(held, "retry"), sent)
    again = desk.post(at(held, "retry"), sent, follow=True)
    assert "already done" in text(again)
    assert OperatorAction.objects.count() == 1


def test_the_slower_of_two_operators_hears_who_was_faster(desk: Client, held: Saga) -> None:
    other = Client()
    other.force_login(get_user_model().objects.create_superuser("pavel"))
    other.post(at(held, "retry"), form(held, step="pay", reason="the card works again"))
    response = desk.post(at(held, "retry"), form(held, step="pay", reason="my own words"))
    page = text(response)
    assert response.status_code == 409
    for part in ["Nothing was done", "pavel", "the card works again", "my own words"]:
        assert part in page
    assert OperatorAction.objects.count() == 1


def test_the_faster_one_is_named_even_after_the_saga_went_on(desk: Client, held: Saga, pump: Pump) -> None:
    other = Client()
    other.force_login(get_user_model().objects.create_superuser("pavel"))
    stale = form(held, step="pay")
    other.post(at(held, "retry"), form(held, step="pay", reason="the card works again"))
    assert rest(pump, held).version > stale["version"] + 1
    response = desk.post(at(held, "retry"), stale)
    assert response.status_code == 409
    assert "the card works again" in text(response)


def test_after_a_conflict_the_same_words_can_be_sent_for_the_saga_as_it_is_now(
    desk: Client, held: Saga
) -> None:
    stale = form(held, reason="my own words", version=held.version - 1)
    response = desk.post(at(held, "compensate"), stale)
    asking = response.context["asking"]
    assert (response.status_code, asking.version, asking.reason) == (409, held.version, "my own words")
    assert asking.action_id != stale["action_id"]
    again = {"version": asking.version, "action_id": asking.action_id, "reason": asking.reason}
    assert desk.post(at(held, "compensate"), again).status_code == 302


def test_a_form_that_is_sent_once_more_with_something_else_in_it_was_not_done_already(
    desk: Client, held: Saga
) -> None:
    sent = form(held, data='{"item": "book", "note": "first"}')
    assert previewed(desk, at(held, "edit"), sent).status_code == 302
    response = previewed(desk, at(held, "edit"), {**sent, "data": '{"item": "book", "note": "second"}'})
    assert response.status_code == 409
    assert "Nothing was done" in text(response)
    assert "second" in text(response)
    assert response.context["asking"].action_id != sent["action_id"]
    held.refresh_from_db()
    assert held.data == {"item": "book", "note": "first"}


def test_data_that_was_emptied_is_not_taken_for_the_saga_s_own(desk: Client, held: Saga) -> None:
    response = desk.post(at(held, "edit"), form(held, data=""))
    assert response.status_code == 422
    held.refresh_from_db()
    assert not OperatorAction.objects.filter(saga_id=held.pk, verb="edit").exists()


def test_what_was_typed_stays_though_a_worker_is_calling_at_this_moment(
    desk: Client, held: Saga, errand: Any
) -> None:
    """A claim makes no version: nobody could have told the operator before."""
    busy = errand()
    (work,) = claims.claim(["fetch"], 1, "a worker")
    assert work.saga_id == busy.pk
    typed = form(busy, data='{"item": "a long story"}')
    refused = desk.post(at(busy, "edit"), typed)
    assert refused.status_code == 409
    page = text(refused)
    assert "is being executed right now" in page
    assert "What you wrote is still here" in page
    assert "a long story" in page
    assert f'name="version" value="{busy.version}"' in page
    claims._held([work]).update(**claims._FREE)
    assert previewed(desk, at(busy, "edit"), typed | {"action_id": str(uuid4())}).status_code == 302
    busy.refresh_from_db()
    assert busy.data == {"item": "a long story"}


def test_a_saga_that_moves_on_all_the_time_can_be_paused(desk: Client, held: Saga, pump: Pump) -> None:
    assert 'id="moved-on"' not in desk.get(at(held, "pause")).content.decode()
    seen = form(held, reason="let me look")
    desk.post(at(held, "retry"), form(held, step="pay"))
    rest(pump, held)
    assert desk.post(at(held, "pause"), seen).status_code == 302
    held.refresh_from_db()
    assert held.paused
    assert desk.post(at(held, "pause"), form(held)).status_code == 409, "it is already"


def test_a_verb_that_does_not_apply_says_why(desk: Client, held: Saga) -> None:
    response = desk.get(at(held, "resume"))
    assert response.status_code == 409
    assert "not paused" in text(response)
    assert f'<a href="{at(held, "resume")}">Look again</a>' in text(response), (
        "there is no form to send again"
    )


@pytest.mark.parametrize(
    ("verb", "fields", "says"),
    [
        ("compensate", {"reason": "  "}, "is required"),
        ("compensate", {"reason": "x" * 3000}, "at most"),
        ("compensate", {"version": "many"}, "whole number"),
        ("retry", {"step": ""}, "step"),
        ("retry", {"step": "nope"}, "nope"),
        ("resolve", {"step": "pay", "outcome": "maybe"}, "outcome"),
        ("resolve", {"step": "pay", "outcome": "done", "result": "{"}, "is not JSON"),
        ("edit", {"data": "[1]"}, "must be a JSON object"),
        ("edit", {"data": "{nope}"}, "is not JSON"),
        ("edit", {"data": "[" * 100_000}, "is not JSON"),
    ],
)
def test_bad_input_is_named_and_does_nothing(
    desk: Client, held: Saga, verb: str, fields: dict[str, str], says: str
) -> None:
    response = desk.post(at(held, verb), {**form(held), **fields})
    assert response.status_code == 422
    assert says in text(response)
    assert not OperatorAction.objects.exists()


def test_without_the_permission_a_verb_is_refused_before_and_at_the_post(client: Client, held: Saga) -> None:
    reader = get_user_model().objects.create_user("reader")
    reader.user_permissions.add(Permission.objects.get(codename="view_saga"))
    client.force_login(reader)
    assert client.get(at(held, "pause")).status_code == 403
    assert client.post(at(held, "pause"), form(held)).status_code == 403
    assert not OperatorAction.objects.exists()


def test_a_saga_or_verb_that_is_not_there_is_404(desk: Client, held: Saga) -> None:
    assert desk.get(reverse("saga-verb", args=[uuid4(), "pause"])).status_code == 404
    assert desk.get(f"/sagas/{held.pk}/explode/").status_code == 404


def test_a_preview_of_typed_data_changes_nothing_and_keeps_it(desk: Client, held: Saga) -> None:
    data = json.dumps({**held.data, "item": "lamp"})
    response = desk.post(at(held, "edit"), {**form(held), "data": data, "preview": "1"})
    assert response.status_code == 200
    assert response.context["asking"].data_text == data
    held.refresh_from_db()
    assert held.data["item"] == "book"
    assert "moved on since you began" not in response.content.decode()
    previewed(desk, at(held, "edit"), {**form(held), "data": data})
    held.refresh_from_db()
    assert held.data["item"] == "lamp"


@pytest.mark.parametrize(
    ("verb", "typed", "other"),
    [
        ("edit", {"data": '{"item": "pen"}'}, {"data": '{"item": "lamp"}'}),
        ("resolve", {"step": "pay", "outcome": "done"}, {"result": '{"paid": 1}'}),
    ],
)
def test_nothing_is_done_that_was_not_previewed(
    desk: Client, held: Saga, verb: str, typed: dict[str, str], other: dict[str, str]
) -> None:
    sent = form(held, **typed)
    unseen = desk.post(at(held, verb), sent)
    assert "What this will do" in text(unseen)
    seen = unseen.context["asking"].written
    changed = desk.post(at(held, verb), {**sent, "previewed": seen, **other})
    assert "What this will do" in text(changed)
    assert not OperatorAction.objects.exists()
    assert desk.post(at(held, verb), {**sent, "previewed": seen}).status_code == 302


def test_settling_by_hand_shows_no_button_before_it_is_said_as_what(desk: Client, held: Saga) -> None:
    page = text(desk.get(at(held, "resolve", "pay")))
    assert 'id="do"' not in page
    page = text(desk.post(at(held, "resolve"), form(held, step="pay", outcome="done", preview="1")))
    assert 'id="do"' in page


def test_a_preview_says_that_somebody_was_there_meanwhile(desk: Client, held: Saga) -> None:
    began = form(held)
    previewed(desk, at(held, "edit"), {**began, "data": json.dumps({**held.data, "item": "lamp"})})
    mine = {**began, "action_id": "another", "data": json.dumps({**held.data, "item": "pen"}), "preview": "1"}
    page = desk.post(at(held, "edit"), mine).content.decode()
    assert "moved on since you began" in page
    assert "would be changed back" in page


def test_settling_by_hand_offers_only_what_can_be(
    desk: Client, held: Saga, pump: Pump, world: shop.World
) -> None:
    page = desk.get(at(held, "resolve", "pay"))
    assert list(page.context["outcomes"]) == ["done"], "that it had no effect is known"
    assert 'name="result"' in page.content.decode()
    sent = form(held, step="pay", outcome="done", result='{"receipt": 7}', evidence="ticket 12")
    assert previewed(desk, at(held, "resolve"), sent).status_code == 302
    assert rest(pump, held).state == "completed"
    assert held.steps.get(name="pay").result == {"receipt": 7}
    assert "ticket 12" in text(desk.get(reverse("saga-audit")))


def test_what_became_of_an_unknown_action_can_be_told_either_way(
    desk: Client, errand: Any, pump: Pump, world: shop.World
) -> None:
    world.behaviour["PayService.Pay"] = shop.fail()
    unknown = rest(pump, errand(hold=True))
    assert list(desk.get(at(unknown, "resolve", "pay")).context["outcomes"]) == ["done", "none"]
    denied = form(unknown, step="pay", outcome="none")
    assert previewed(desk, at(unknown, "resolve"), denied).status_code == 302


def test_a_restart_leads_to_the_new_saga(desk: Client, held: Saga, pump: Pump) -> None:
    desk.post(at(held, "compensate"), form(held))
    failed = rest(pump, held)
    response = desk.post(at(failed, "restart"), form(failed))
    created = Saga.objects.exclude(pk=held.pk).get()
    assert response.headers["Location"] == reverse("saga-detail", args=[created.pk])
    assert "Restart of" in text(desk.get(response.headers["Location"]))


def test_the_audit_filters_and_pages(desk: Client, held: Saga) -> None:
    for _ in range(30):
        for verb in ("pause", "resume"):
            held.refresh_from_db()
            desk.post(at(held, verb), form(held))
    first = desk.get(reverse("saga-audit"))
    assert len(first.context["page"].rows) == 50
    assert len(desk.get(reverse("saga-audit") + first.context["page"].older).context["page"].rows) == 10
    assert {a.verb for a in desk.get(reverse("saga-audit"), {"verb": "pause"}).context["page"].rows} == {
        "pause"
    }
    for nothing in (
        {"operator": "nobody"},
        {"since": "nonsense"},
        {"until": "2020-01-01T00:00"},
        {"since": "0001-01-01T00:00:00+14:00"},
    ):
        assert not desk.get(reverse("saga-audit"), nothing).context["page"].rows


def test_a_paused_saga_is_not_said_to_be_called_at_once(desk: Client, held: Saga, operator: Any) -> None:
    orchestrator.act(held.pk, "pause", orchestrator.Asked(operator=operator, via="desk", reason="wait"))
    held.refresh_from_db()
    page = text(desk.get(at(held, "retry", "pay")))
    assert "Called when it is resumed" in page
    assert "<b>pending</b>, and paused as it was" in page
    told = text(desk.post(at(held, "retry"), form(held, step="pay"), follow=True))
    assert "The saga is paused, still" in told
    assert "Called at once" in text(desk.get(at(held, "resume")))


def test_what_is_left_standing_on_ones_word_is_not_said_to_be_so_by_nature(
    desk: Client, errand: Any, pump: Pump, world: shop.World
) -> None:
    world.behaviour |= {"PayService.Pay": shop.reject("broke"), "FetchService.Return": shop.reject("no")}
    stuck = rest(pump, errand())
    page = text(desk.post(at(stuck, "resolve"), form(stuck, step="fetch", outcome="waived", preview="1")))
    assert "Left standing, on your word: fetch." in page


def test_the_preview_of_an_edit_says_what_it_changes(desk: Client, held: Saga) -> None:
    data = {key: value for key, value in held.data.items() if key != "hold"}
    data |= {"item": "lamp", "note": "<b>" + "x" * 500}
    page = text(desk.post(at(held, "edit"), form(held, data=json.dumps(data), preview="1")))
    assert "<del>&quot;book&quot;</del> → <ins>&quot;lamp&quot;</ins>" in page
    assert 'hold</code> <span class="muted">removed:</span> <del>true</del>' in page
    assert 'note</code> <span class="muted">added:</span> <ins>&quot;&lt;b&gt;xxx' in page
    assert "x" * 100 + "…" not in page, "a long value is shortened"
    same = text(desk.post(at(held, "edit"), form(held, data=json.dumps(held.data), preview="1")))
    assert "Nothing: it is as it was." in same
    many = {**held.data, **{f"field_{n}": n for n in range(23)}}
    page = text(desk.post(at(held, "edit"), form(held, data=json.dumps(many), preview="1")))
    assert "field_19</code>" in page
    assert "field_20</code>" not in page
    assert "and 3 more" in page


def test_the_trail_names_the_paths_that_an_edit_changed_and_not_their_values(
    desk: Client, held: Saga
) -> None:
    data = {**held.data, "item": "a secret lamp"}
    sent = form(held, data=json.dumps(data))
    assert previewed(desk, at(held, "edit"), sent).status_code == 302
    assert OperatorAction.objects.get().request["changed"] == ["item"]
    again = previewed(desk, at(held, "edit"), sent)
    assert again.status_code == 302, "what was found there is no part of what was asked for"
    assert "edit · item" in text(desk.get(reverse("saga-audit")))
    people = text(desk.get(reverse("saga-detail", args=[held.pk])))
    people = people[people.index('data-region="people"') : people.index('data-region="raw"')]
    assert "edit · item" in people
    assert "secret" not in people


def test_of_many_changed_paths_the_trail_names_three() -> None:
    assert named([f"p{n}" for n in range(7)]) == "p0, p1, p2 and 4 more"
    assert named({"redacted": "array"}) == named(None) == ""


def test_a_long_reason_is_folded_wherever_it_is_told(desk: Client, held: Saga) -> None:
    reason = "The bank says <nothing>. " * 70
    desk.post(at(held, "pause"), form(held, reason=reason))
    folds = r'<details class="folded" id="long-([a-z]*)\d*"><summary><span class="folded__text">'
    page = desk.get(reverse("saga-detail", args=[held.pk])).content.decode()
    assert re.findall(folds, page) == ["last", "r", ""], "the line above, the log, the people"
    assert "The bank says &lt;nothing&gt;." in page
    held.refresh_from_db()
    desk.post(at(held, "compensate"), form(held, reason=reason))
    page = desk.get(reverse("saga-detail", args=[held.pk])).content.decode()
    assert "t" in re.findall(folds, page), "the event that says why"
    assert re.findall(folds, desk.get(reverse("saga-audit")).content.decode()) == ["", ""]
    assert folded("x" * 320, 1) == "x" * 320
    assert folded(format_html("<b>{}</b>", "x" * 320), 1) == "<b>" + "x" * 320 + "</b>"
    assert folded("<" + "x" * 400 + ">", 1).startswith("<details"), "what stands between brackets is text"


def test_long_evidence_is_folded_in_the_trail(desk: Client, held: Saga) -> None:
    typed = form(held, step="pay", outcome="done", evidence="Tickets 4711 & 4712. " * 20)
    previewed(desk, at(held, "resolve"), typed)
    trail = desk.get(reverse("saga-audit")).content.decode()
    assert re.findall(r'id="long-\d+(-evidence)"><summary>', trail) == ["-evidence"]
    assert "Tickets 4711 &amp; 4712." in trail


def test_what_was_typed_wrongly_is_not_put_down_to_who_acted_last(desk: Client, held: Saga) -> None:
    stale = form(held, step="pay", outcome="waived")
    desk.post(at(held, "pause"), form(held, reason="hands off"))
    held.refresh_from_db()
    for sent in ({"preview": "1"}, {}):
        response = desk.post(at(held, "resolve"), form(held, step="pay", outcome="waived", **sent))
        page = text(response)
        assert response.status_code == 409
        assert (
            "Only an undo can be waived; resolve an action as done or none. What you wrote is still" in page
        )
        assert "olga did that" not in page
    moved = text(desk.post(at(held, "resolve"), {**stale, "preview": "1"}))
    assert "olga did that: pause, &#x27;hands off&#x27;" in moved, "since the operator looked"


@pytest.mark.parametrize("verb", ["retry", "resolve"])
def test_without_a_step_the_only_one_is_meant(desk: Client, held: Saga, verb: str) -> None:
    page = desk.get(at(held, verb))
    assert page.status_code == 200
    assert page.context["asking"].step == "pay"
    assert '<input type="hidden" name="step" value="pay">' in page.content.decode()


def test_without_a_step_it_is_asked_which_one_where_several_can_be_meant(desk: Client, held: Saga) -> None:
    page = desk.get(at(held, "skip"))
    assert page.status_code == 200
    links = re.findall(r'href="\?step=([a-z]+)"', page.content.decode())
    assert links == page.context["steps"]
    assert len(links) > 1
    assert 'id="do"' not in page.content.decode()
    assert desk.get(at(held, "skip") + f"?step={links[1]}").context["asking"].step == links[1]


def test_without_a_step_it_is_said_why_none_can_be_meant(desk: Client, errand: Any, pump: Pump) -> None:
    done = rest(pump, errand())
    for verb in ("retry", "skip", "resolve", "approve"):
        page = desk.get(at(done, verb))
        assert page.status_code == 409, verb
        assert "Back to the saga" in text(page)
        assert 'id="do"' not in page.content.decode()


def test_without_a_step_and_without_the_permission_it_is_refused(client: Client, held: Saga) -> None:
    reader = get_user_model().objects.create_user("reader")
    reader.user_permissions.add(Permission.objects.get(codename="view_saga"))
    client.force_login(reader)
    assert client.get(at(held, "retry")).status_code == 403
