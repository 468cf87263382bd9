"""Editing a saga's data by a form that goes through the orchestrator's door, as every face does."""

import json
from typing import Any
from uuid import uuid4

from django import forms
from django.contrib.admin.widgets import AdminTextareaWidget
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput

from sagas import orchestrator
from sagas.models import OperatorAction, Saga


class ReadableJSON(forms.JSONField):
    """JSON on several lines, for people."""

    widget = AdminTextareaWidget

    def prepare_value(self, value: Any) -> Any:
        """Indent what is stored; what was typed stays as it was typed."""
        if isinstance(value, InvalidJSONInput):
            return value
        return json.dumps(value, indent=2, ensure_ascii=False)

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Return what was typed, to be shown again."""
        return InvalidJSONInput(data or "")

    def to_python(self, value: Any) -> Any:
        """Read it; what is deep or long beyond reason, or holds half a character, is as wrong as what is no JSON."""
        try:
            read = super().to_python(value)
            json.dumps(read, ensure_ascii=False).encode()
        except (RecursionError, ValueError):
            raise ValidationError(self.error_messages["invalid"], params={"value": "…"}) from None
        return read


class DataForm(forms.ModelForm):
    """A saga's data, why it is edited, and which version the operator saw."""

    #: The user; set on the class that the admin makes for each request.
    operator: Any = None

    data = ReadableJSON(help_text="Commands that were already sent keep the data they were sent with.")
    reason = forms.CharField(
        max_length=2000, widget=AdminTextareaWidget(attrs={"rows": 2}), help_text="For the audit trail."
    )
    seen_version = forms.IntegerField(widget=forms.HiddenInput)
    action_id = forms.CharField(max_length=100, widget=forms.HiddenInput)

    class Meta:
        model = Saga
        fields = ("data",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "data" in self.fields:  # not where the saga is only shown
            self.fields["seen_version"].initial = self.instance.version
            self.fields["action_id"].initial = uuid4().hex

    def clean(self) -> dict[str, Any]:
        """Ask whether the edit would be accepted, so that a refusal costs the operator no typing."""
        cleaned = super().clean() or self.cleaned_data
        if self.errors or OperatorAction.objects.filter(action_id=cleaned["action_id"]).exists():
            return cleaned  # a double click is given its stored answer
        if "data" not in self.changed_data:
            raise ValidationError("The data is as it was.")
        try:
            orchestrator.preview(self.instance.pk, "edit", self.asked())
        except orchestrator.Invalid as wrong:
            where, _, _ = wrong.field.partition(".")
            self.add_error(where if where in self.fields else None, f"{wrong.field} {wrong.reason}")
        except orchestrator.Conflict as no:
            # What was typed is asked again of the saga as it is now.
            self.data = self.data.copy()
            self.data["seen_version"], self.data["action_id"] = no.saga["version"], uuid4().hex
            raise ValidationError(f"{no} Look at it; to save this all the same, save once more.") from no
        except orchestrator.OrchestratorError as no:
            raise ValidationError(str(no)) from no
        return cleaned

    def asked(self) -> orchestrator.Asked:
        """Return the form as a request to the orchestrator."""
        return orchestrator.Asked(
            operator=self.operator,
            via="admin",
            reason=self.cleaned_data["reason"],
            version=self.cleaned_data["seen_version"],
            action_id=self.cleaned_data["action_id"],
            data=self.cleaned_data["data"],
        )
