"""The participants' queues: how they stand, and pausing and resuming one."""

from typing import Any

from django.http import HttpRequest

from sagas import orchestrator
from sagas.api.endpoint import needs
from sagas.api.problems import not_found
from sagas.api.reading import read_body
from sagas.api.schemas import QueueBody


@needs("view_saga")
def queue_list(request: HttpRequest) -> dict[str, Any]:
    """Return every queue that has work, handlers or workers."""
    return {"items": [queue.document() for queue in orchestrator.queues()]}


@needs("view_saga")
def queue_verb(request: HttpRequest, queue: str, verb: str) -> dict[str, Any]:
    """Pause or resume a queue, or say what that would do. Its own permission is checked by the orchestrator."""
    if verb not in orchestrator.QUEUE_VERBS:
        known = ", ".join(orchestrator.QUEUE_VERBS)
        raise not_found(f"There is no verb {verb[:50]!r} for queues; there are {known}.")
    body = QueueBody.model_validate(read_body(request))
    asked = orchestrator.Asked(
        operator=request.user, via="api", reason=body.reason, version=body.pause, action_id=body.action_id
    )
    if body.dry_run:
        plan = orchestrator.preview_queue(queue, verb, asked, body.per_second)
        return {"verb": verb, "queue": plan.queue.document(), "sentences": list(plan.sentences)}
    answer = orchestrator.act_on_queue(queue, verb, asked, body.per_second)
    return {**answer.queue, "action": {"verb": verb, "repeated": answer.repeated}}
