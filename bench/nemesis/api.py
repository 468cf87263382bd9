"""The desk's HTTP API, for those who use it and expect no more than an answer, if that."""

import http.client
import json
from typing import Any


class Unanswered(Exception):
    """No answer came. The request may have been carried out."""


class Api:
    """One client; not for several threads."""

    def __init__(self, port: int, token: str, patience: float = 6.0) -> None:
        self._port, self._patience = port, patience
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def get(self, path: str) -> tuple[int, Any]:
        """Ask. Raises Unanswered."""
        return self._request("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Send. Raises Unanswered."""
        return self._request("POST", path, json.dumps(body))

    def _request(self, method: str, path: str, body: str | None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._patience)
        try:
            connection.request(method, "/api/v1/" + path, body, self._headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text)
        except ValueError:  # a page, or half an answer
            raise Unanswered("no JSON") from None
        except (OSError, http.client.HTTPException) as no:
            raise Unanswered(f"{type(no).__name__}: {no}") from no
        finally:
            connection.close()
