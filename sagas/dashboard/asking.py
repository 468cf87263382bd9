"""A verb's form: what the operator typed, and what the orchestrator is asked because of it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from django.http import HttpRequest

from sagas.dashboard.confirming import VIA, fields_of, reason_of
from sagas.models import Saga
from sagas.orchestrator import STEP_VERBS, VERBS, Asked, Invalid

#: What an action, or an undo, can be settled as -> what that says.
ACTION_OUTCOMES = {
    "done": "It was done: it had its effect, with the result below.",
    "none": "It had no effect: the step counts as failed.",
}
#: What "done" says of a delivery.
DELIVERED = (
    'Its subscriber did its part. A result of {"event": …, "data": {…}} publishes what it should have.'
)
UNDO_OUTCOMES = {
    "done": "It is undone: you saw to it, or somebody did.",
    "waived": "Let it stand: what the action did stays, on your word.",
}


@dataclass(frozen=True)
class Asking:
    """The form's fields, as text, and who asks."""

    operator: Any
    verb: str
    step: str
    reason: str
    version: int
    action_id: str
    outcome: str
    evidence: str
    result_text: str
    data_text: str
    problem: Invalid | None = None

    @classmethod
    def read(cls, request: HttpRequest, saga: Saga, verb: str) -> "Asking":
        """Read the fields from a POST, or from the link that leads here."""
        fields = fields_of(request)
        asking = cls(
            operator=request.user,
            verb=verb,
            step=fields.get("step", "").strip(),
            reason=reason_of(fields),
            version=saga.version,
            action_id=fields.get("action_id") or str(uuid4()),
            outcome=fields.get("outcome", ""),
            evidence=fields.get("evidence", "").strip(),
            result_text=fields.get("result", ""),
            data_text=fields.get("data", json.dumps(saga.data, indent=2, ensure_ascii=False)),
        )
        return replace(asking, **_checked(asking, fields.get("version")))

    @property
    def label(self) -> str:
        """The verb, as a button says it."""
        return VERBS[self.verb]

    @property
    def button(self) -> str:
        """What the button says."""
        if self.verb == "resolve":
            return f"Settle {self.step} by hand"
        return f"{self.label} {self.step}".strip()

    @property
    def complete(self) -> bool:
        """Whether enough is said for a preview."""
        return (self.verb != "resolve" or bool(self.outcome)) and (
            self.verb not in STEP_VERBS or bool(self.step)
        )

    @property
    def written(self) -> str:
        """What was typed beside reason and evidence, in short: a preview is of this and of nothing else."""
        typed = {"edit": [self.data_text], "resolve": [self.outcome, self.result_text]}.get(self.verb, [])
        # A browser sends other ends of lines than it was given.
        text = json.dumps([each.replace("\r\n", "\n") for each in typed])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def fenced(self) -> bool:
        """Whether the saga must still be as the operator saw it.

        Not for a pause: it means the same of any version, and a saga in motion would always be one ahead.
        """
        return self.verb != "pause"

    def asked(self, version: int | None) -> Asked:
        """Return the request."""
        return Asked(
            operator=self.operator,
            via=VIA,
            reason=self.reason,
            step=self.step or None,
            version=version,
            action_id=self.action_id,
            outcome=self.outcome or None,
            evidence=self.evidence or None,
            result=_json("result", self.result_text)
            if self.verb == "resolve" and self.result_text.strip()
            else None,
            data=_json("data", self.data_text) if self.verb == "edit" else None,
        )

    def afresh(self, version: int) -> "Asking":
        """The same words, asked anew of the saga as it is now."""
        return replace(self, version=version, action_id=str(uuid4()), problem=None)


def outcomes(step: Mapping[str, Any] | None) -> Mapping[str, str]:
    """Return what a step of a snapshot can be settled as."""
    undoing = step and (
        step["status"] == "compensating" or step["attention"] in {"cannot_undo", "late_effect"}
    )
    if undoing:
        return UNDO_OUTCOMES
    if step and step["expects"] and not step["by"]:
        return {"done": f'It ends so: the result names the event, {{"event": "{step["expects"][-1]}"}}.'}
    told = {**ACTION_OUTCOMES, "done": DELIVERED} if step and step["by"] else ACTION_OUTCOMES
    known_to_have_failed = step and step["status"] == "failed"
    return {k: v for k, v in told.items() if k != "none" or not known_to_have_failed}


def _checked(asking: Asking, version: str | None) -> dict[str, Any]:
    """Return the version that the operator saw, and the first field that cannot be read."""
    seen, problem = asking.version, None
    if version is not None:
        try:
            seen = int(version)
        except ValueError:
            problem = Invalid("version", "must be a whole number; load the page again")
    try:
        asking.asked(version=None)
    except Invalid as no:
        problem = no
    return {"version": seen, "problem": problem}


def _json(field: str, text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as no:
        where = (
            f"line {no.lineno}, column {no.colno}: {no.msg}"
            if isinstance(no, json.JSONDecodeError)
            else str(no)
        )
        raise Invalid(field, f"is not JSON ({where})") from None
    if field == "data" and not isinstance(value, dict):
        raise Invalid(field, "must be a JSON object, in braces")
    return value
