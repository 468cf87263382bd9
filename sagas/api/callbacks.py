"""Where participants elsewhere answer what takes longer: signed, fresh, and by the number of the command."""

import time
from typing import Any

from django.http import HttpRequest

from sagas import orchestrator
from sagas.api.problems import Problem
from sagas.api.reading import parse_object, read_raw
from sagas.api.schemas import CallbackBody
from sagas.conf import HttpService, settings
from sagas.core import messages as m
from sagas.core.plain import printable
from sagas.transports import signing


def answer(request: HttpRequest, service: str, saga_id: str, number: str) -> dict[str, Any]:
    """Take a participant's answer; ``late`` says that nobody waits for it any more. Either way it is told for good."""
    known = settings().HTTP.get(service)
    raw = read_raw(request)
    _verify(request, known, raw)
    assert known is not None  # nobody can sign for a service that has no keys
    body = CallbackBody.model_validate(parse_object(raw))
    late = orchestrator.call_back(saga_id, service, _reply(body, int(number), inbox=known.inbox))
    return {"late": late}


def _verify(request: HttpRequest, known: HttpService | None, raw: bytes) -> None:
    keys = known.secrets if known is not None else ()
    try:
        signing.verify(keys, "POST", request.get_full_path(), request.headers, raw, time.time())
    except signing.BadSignature as wrong:
        challenge = {"WWW-Authenticate": "Saga-Signature"}
        raise Problem(401, "bad_signature", str(wrong), headers=challenge) from None


def _reply(body: CallbackBody, number: int, *, inbox: bool) -> m.Completed | m.Rejected:
    if body.outcome == "completed":
        return m.Completed(number, body.result, inbox)
    return m.Rejected(number, printable(body.reason) or "rejected", inbox)
