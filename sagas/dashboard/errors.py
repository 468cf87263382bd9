"""What people see when a form's token does not match."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Explain it without jargon; the reason is for the log, where Django writes it."""
    return render(request, "sagas/csrf.html", status=403)
