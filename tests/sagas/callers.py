"""Programs that call the API: who calls, and what they hear."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from sagas.api import documents


def user_with(*permissions: str) -> Any:
    """Return a user who has these permissions only."""
    otto = get_user_model().objects.create_user("otto" + "-".join(permissions))
    otto.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return otto


def assert_problem(response: Any, status: int, field: str | None = None, *, says: str = "") -> None:
    """Expect a problem of this status, about this field, that says so."""
    body = response.json()
    assert response.status_code == status, body
    assert documents.Problem.model_validate(body).field == field
    assert says in body["error"]["message"]
