"""The roof: finds every app's sagas, and connects who listens to what was committed."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class SagasConfig(AppConfig):
    """Sagadesk's orchestrator and desk."""

    name = "sagas"
    verbose_name = "Sagas"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Discover sagas and handlers; connect the adapters."""
        autodiscover_modules("sagas")
        from sagas import checks, jobs, live  # noqa: F401 - importing them registers checks and listeners

        jobs.serve_known_queues()
