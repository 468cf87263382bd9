"""The demos' pages: start an order, a trip, or many, and go where they can be watched."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from participants.demos import DEMOS
from participants.forms import FORMS
from participants.forms.demo import DemoForm
from sagas.orchestrator import Invalid


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@permission_required("sagas.start_saga", raise_exception=True)
def start(request: HttpRequest, name: str) -> HttpResponse:
    """Show a demo's form; a POST starts its sagas."""
    form = FORMS[name](request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            return _started(request, form)
        except Invalid as no:
            form.add_error(None, f"{no.field}: {no.reason}")
    context = {"form": form, "demo": form.demo, "demos": DEMOS.values()}
    return render(request, f"participants/{name}.html", context, status=422 if form.errors else 200)


def _started(request: HttpRequest, form: DemoForm) -> HttpResponse:
    """Start the sagas, and lead to the one, or to the list of the many."""
    batch = form.demo.new_batch()
    sagas = form.start(batch, by=request.user)
    if len(sagas) == 1:
        return redirect("saga-detail", saga_id=sagas[0].pk)
    messages.success(request, f"{len(sagas)} {form.demo.name}s started.")
    return redirect(f"{reverse('saga-list')}?correlation={batch}-")
