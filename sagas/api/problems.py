"""Every answer that is not a success, and which exception becomes which of them.

All have one shape: ``{"error": {"code", "message", …}, …}``; the details stand inside ``error``
and, for those who only want the ``field`` and the ``reason``, beside it.
"""

import logging
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, InternalError, OperationalError
from django.http import Http404, JsonResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from pydantic import ValidationError

from sagas import orchestrator
from sagas.engine import is_full
from sagas.signals import no_room

log = logging.getLogger(__name__)

#: The largest body that is read.
MAX_BODY = 1024 * 1024


class Problem(Exception):
    """An answer that is not a success."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        saga: Mapping[str, Any] | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers
        self.saga = saga
        """The saga's snapshot, where the problem is that it is not as the caller thought."""
        self.details = details

    def response(self) -> JsonResponse:
        """Return the problem as it is sent."""
        body = {"error": {"code": self.code, "message": str(self), **self.details}, **self.details}
        if self.saga is not None:
            body["saga"] = self.saga
        return JsonResponse(body, status=self.status, headers=self.headers)


def malformed(message: str) -> Problem:
    """The request is not what it claims to be: no field can be blamed."""
    return Problem(400, "malformed", message)


def invalid(field: str, reason: str, **details: Any) -> Problem:
    """One field of a well-formed request cannot be accepted."""
    return Problem(422, "invalid", f"{field}: {reason}", field=field, reason=reason, **details)


def too_large() -> Problem:
    """The body is over the limit; it was not read."""
    return Problem(413, "too_large", f"The body must not be larger than {MAX_BODY} bytes.")


def not_found(message: str) -> Problem:
    """There is nothing at this address."""
    return Problem(404, "not_found", message)


def problem_for(raised: Exception) -> Problem:
    """Return what a caller is told about an exception; one that nobody foresaw goes to the log instead."""
    match raised:
        case Problem():
            return raised
        case ValidationError():
            return _many_invalid(raised)
        case orchestrator.Invalid():
            return invalid(raised.field, raised.reason)
        case orchestrator.Conflict():
            return _conflict(raised)
        case orchestrator.KeyTaken():
            return Problem(409, "key_taken", str(raised), saga_id=str(raised.saga_id))
        case orchestrator.Refused():
            return Problem(409, "conflict", str(raised))
        case orchestrator.NotFound() | Http404():
            return not_found(str(raised))
        case orchestrator.Forbidden() | PermissionDenied():
            return Problem(403, "forbidden", str(raised) or "You may not do this.")
        case RequestDataTooBig():
            return too_large()
        case UnreadablePostError():
            return malformed("The body could not be read to its end.")
        case SuspiciousOperation() | BadRequest() | MultiPartParserError():  # Django's own, on what was sent
            return malformed(f"The request cannot be read: {raised}")
        case OperationalError() | InterfaceError() | InternalError():
            return _database_away(raised)
        case _:
            return _unforeseen()


def _conflict(raised: orchestrator.Conflict) -> Problem:
    saga = raised.saga
    return Problem(
        409,
        "conflict",
        str(raised),
        saga=saga,
        state=saga.get("state"),
        version=saga.get("version"),
        moved_by=raised.moved_by,
    )


def _many_invalid(raised: ValidationError) -> Problem:
    """Blame the first field; list them all."""
    found = [
        {"field": ".".join(str(part) for part in error["loc"]) or "body", "reason": _reason(error)}
        for error in raised.errors(include_url=False, include_context=False, include_input=False)
    ]
    return invalid(found[0]["field"], found[0]["reason"], errors=found)


def _reason(error: Mapping[str, Any]) -> str:
    plain = {"missing": "is required", "extra_forbidden": "is not known here"}
    return plain.get(error["type"]) or error["msg"].removeprefix("Value error, ")


def _database_away(fault: Exception) -> Problem:
    log.exception("the database did not answer an API request")
    full = is_full(fault)
    if full:
        no_room.send_robust(sender=Problem, full=True)  # no worker may have met it yet
    what = "The database's disk is full." if full else "The database does not answer."
    message = f"{what} If you sent a key or an action id, repeating is safe."
    return Problem(503, "unavailable", message, headers={"Retry-After": "1"})


def _unforeseen() -> Problem:
    log.exception("an API request failed")
    return Problem(500, "internal", "Something went wrong here. It is in the log.")
