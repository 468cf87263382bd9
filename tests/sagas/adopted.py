"""What a project does that has adopted Sagadesk: ``test_adopting`` copies this there, and runs it."""

import asyncio
import re
import sys

from mysite.asgi import application  # sets Django up: what follows may import models

# isort: split
from channels.testing import WebsocketCommunicator
from django.contrib.auth import get_user_model
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import Client
from shop.sagas import GiftOrder

LINK = re.compile(r'(?:href|src|action|data-socket)="(/[^"]*)"')


def pages(client: Client, saga_id: str, failed_id: str) -> None:
    """See pages that lead to each other, below the prefix; what they need beside is the project's own."""
    assert client.get("/ops/").headers["Location"] == "/admin/login/?next=/ops/"
    client.force_login(get_user_model().objects.create_superuser("olga"))
    for path in (
        "/ops/",
        "/ops/sagas/",
        f"/ops/sagas/{saga_id}/",
        f"/ops/sagas/{failed_id}/restart/",
        "/ops/types/",
    ):
        answer = client.get(path)
        page = answer.content.decode()
        assert answer.status_code == 200, path
        assert "/ops/sagas/" in LINK.findall(page)
        assert [
            link for link in LINK.findall(page) if not link.startswith(("/ops/", "/static/", "/admin/"))
        ] == []
        assert all(finders.find(link[8:]) for link in LINK.findall(page) if link.startswith("/static/"))
    assert f"/ops/sagas/{saga_id}/" in client.get("/ops/search/", {"q": saga_id}).headers["Location"]
    page = client.get(f"/ops/sagas/{saga_id}/").content.decode()
    assert 'data-socket="/ops/ws/sagas/"' in page
    assert f'data-live="{saga_id}/"' in page
    assert client.get("/ops/api/openapi.json").json()["servers"] == [{"url": "/ops/api"}]
    assert client.get(f"/ops/api/sagas/{saga_id}").json()["state"] == "completed"
    assert client.get(f"/admin/sagas/saga/{saga_id}/change/").status_code == 200


async def socket(client: Client, origin: str) -> bool:
    """Open the desk's socket from a page of this origin, with the cookies that a browser sends in any case."""
    cookies = "; ".join(f"{name}={cookie.value}" for name, cookie in client.cookies.items())
    headers = [(b"host", b"localhost"), (b"origin", origin.encode()), (b"cookie", cookies.encode())]
    wire = WebsocketCommunicator(application, "/ops/ws/sagas/", headers=headers)
    opened, _ = await wire.connect(timeout=10)
    if opened:
        await wire.send_json_to({"type": "show", "sagas": {}})
        assert "now" in await wire.receive_json_from(timeout=10)
        await wire.disconnect()
    return opened


call_command("migrate", verbosity=0)
call_command("check", databases=["default"], fail_level="WARNING")
happy, refused = (GiftOrder().start({"to": to}) for to in ("Ada", "nobody"))
call_command("saga", "worker", "--burst")
for saga, state in ((happy, "completed"), (refused, "failed")):
    saga.refresh_from_db()
    assert saga.state == state
browser = Client(headers={"host": "localhost"})
pages(browser, str(happy.pk), str(refused.pk))
assert asyncio.run(socket(browser, "http://localhost"))
assert not asyncio.run(socket(browser, "https://evil.example"))
assert not {"participants", "sagaproject"} & set(sys.modules)
