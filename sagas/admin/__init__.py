"""Django's admin: every row to look at, none to write but through the orchestrator's verbs."""

from sagas.admin import records, saga

__all__ = ["records", "saga"]
