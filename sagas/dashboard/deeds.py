"""What operators did, as the audit trail, a saga's log and the line of why tell it."""

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from sagas.dashboard.formats import known_as, named, words
from sagas.dashboard.markup import address, breakable
from sagas.models import OperatorAction


def deed(action: OperatorAction) -> str:
    """Say what was done: "skip pay", "edit · amount", "resolve pay: done"."""
    return f"{words(action.verb)}{f' {action.step}' if action.step else ''}{_how(action)}"


def deed_in_table(action: OperatorAction) -> SafeString:
    """Say the same where there is little room, and the step is looked for."""
    step = format_html(" <b>{}</b>", breakable(action.step)) if action.step else ""
    return format_html("{}{}{}", words(action.verb), step, _how(action))


def _how(action: OperatorAction) -> str:
    """Say what else was asked for, each with what sets it off."""
    asked, told = action.request, ""
    if of := asked.get("of"):
        told += f": {words(of)} of {asked.get('sagas')}"
    if pace := asked.get("per_second"):
        told += f", {pace:g} a second"
    if hours := asked.get("hours"):
        told += f" for {hours:g} h"
    if outcome := asked.get("outcome"):
        told += f": {outcome}"
    if changed := named(asked.get("changed")):
        told += f" · {changed}"
    return told


def deed_to(action: OperatorAction) -> SafeString:
    """Say to what it was done, with a link to what is still there; of an action of the audit trail."""
    asked = action.request
    if action.saga_id is not None:
        return _saga(action)
    if action.batch_id is not None:
        return _link(reverse("saga-batch", args=[action.batch_id]), f"batch {action.batch_id}")
    if queue := asked.get("queue"):
        return format_html('<span class="muted">queue</span> {}', queue)
    if alert := asked.get("alert"):
        return _link(reverse("saga-alerts"), f"alert {alert}")
    return format_html('<span class="muted">{} sagas</span>', action.removed)  # type: ignore[attr-defined]


def _saga(action: OperatorAction) -> SafeString:
    saga, pk = action.saga, action.saga_id
    if saga is not None:
        name = saga.correlation_id
        return format_html('<a href="{}" title="{}">{}</a>', address(saga.pk), name, known_as(name))
    pruned = action.pruned or pk  # type: ignore[attr-defined]
    there = '<span class="actions__gone">{}</span> <span class="muted" title="{}">pruned</span>'
    return format_html(there, pruned, pk)


def _link(to: str, text: str) -> SafeString:
    return format_html('<a href="{}">{}</a>', to, text)
