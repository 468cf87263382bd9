"""The forms that start demos, by the demo's name."""

from participants.forms.demo import DemoForm
from participants.forms.order import ChoreographyForm, FunctionForm, OrderForm
from participants.forms.refund import RefundForm
from participants.forms.subscription import SubscriptionForm
from participants.forms.trip import TripForm

FORMS: dict[str, type[DemoForm]] = {
    form.demo.name: form
    for form in (OrderForm, ChoreographyForm, FunctionForm, TripForm, RefundForm, SubscriptionForm)
}
