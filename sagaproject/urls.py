"""Where everything is. The desk brings its own paths, healthz, readyz and metrics among them."""

from collections.abc import Iterable
from functools import wraps

import django_rq.urls
from django.contrib import admin
from django.contrib.auth import views as auth
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.templatetags.static import static
from django.urls import URLPattern, include, path
from django.views.generic import RedirectView

from sagaproject.login import AdminLoginForm, LoginForm


def for_superusers(patterns: Iterable[URLPattern]) -> list[URLPattern]:
    """Close these pages to all but superusers.

    django-rq itself asks for staff only, and for nobody at all on some pages; yet it can empty queues.
    """

    def closed(pattern: URLPattern) -> URLPattern:
        view = pattern.callback

        @wraps(view)
        def checked(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
            if request.user.is_superuser:
                return view(request, *args, **kwargs)
            if request.user.is_authenticated:
                raise PermissionDenied
            return redirect_to_login(request.get_full_path())

        return URLPattern(pattern.pattern, checked, pattern.default_args, pattern.name)

    return [closed(pattern) for pattern in patterns]


admin.autodiscover()
admin.site.login_form = AdminLoginForm
log_in = auth.LoginView.as_view(authentication_form=LoginForm, redirect_authenticated_user=True)

urlpatterns = [
    path("login/", log_in, name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("password/", auth.PasswordChangeView.as_view(), name="password_change"),
    path("password/done/", auth.PasswordChangeDoneView.as_view(), name="password_change_done"),
    path("favicon.ico", RedirectView.as_view(url=static("sagas/icon.svg"))),
    path("admin/", admin.site.urls),
    path("django-rq/", include((for_superusers(django_rq.urls.urlpatterns), "django_rq"))),
    path("api/v1/", include("sagas.api.urls")),
    path("demo/", include("participants.urls")),
    path("", include("sagas.dashboard.urls")),
]
