"""The order form: start a demo order, or many, and go where they can be watched."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from participants.forms import OrderForm
from participants.orders import new_batch
from participants.scenarios import SCENARIOS
from sagas.orchestrator import Invalid


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@permission_required("sagas.start_saga", raise_exception=True)
def order(request: HttpRequest) -> HttpResponse:
    """Show the form; a POST starts the orders."""
    form = OrderForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            return _started(request, form)
        except Invalid as no:
            form.add_error(None, f"{no.field}: {no.reason}")
    how = [form[name] for name in ("count", "pace", "payment_method", "shipping_address", "hold_on_failure")]
    context = {"form": form, "scenarios": SCENARIOS.values(), "how": how}
    return render(request, "participants/order.html", context, status=422 if form.errors else 200)


def _started(request: HttpRequest, form: OrderForm) -> HttpResponse:
    """Start the orders, and lead to the one, or to the list of the many."""
    batch = new_batch()
    sagas = form.start(batch)
    if len(sagas) == 1:
        return redirect("saga-detail", saga_id=sagas[0].pk)
    messages.success(request, f"{len(sagas)} orders started.")
    return redirect(f"{reverse('saga-list')}?correlation={batch}-")
