"""Publishes over HTTP with an API key, and notes what it was answered."""

import http.client
import json
from collections.abc import Sequence
from typing import Any

from bench.house import Scene


class Client:
    """Publishes over HTTP with an API key, and notes what it was answered."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.statuses: list[int] = []
        self.created: list[str] = []
        self.published: list[str] = []

    def post(self, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        """Return status and answer; status 0 where no answer came."""
        link = http.client.HTTPConnection("localhost", self.scene.port, timeout=30)
        headers = {
            "Authorization": f"Bearer {self.scene.prepared['key']}",
            "Content-Type": "application/json",
            "Host": f"localhost:{self.scene.port}",
        }
        try:
            link.request("POST", f"/api/v1/{path}", json.dumps(body), headers)
            answer = link.getresponse()
            text = answer.read()
            self.statuses.append(answer.status)
            return answer.status, json.loads(text) if text else {}
        except (OSError, http.client.HTTPException, ValueError):
            self.statuses.append(0)
            return 0, {}
        finally:
            link.close()

    def publish_one(self, title: str) -> None:
        """Create an entry and publish it."""
        status, answer = self.post("manage/content/articles", {"fields": {"title": title}})
        if status != 201:
            return
        entry = str(answer["_id"])
        self.created.append(entry)
        status, _ = self.post(f"manage/content/articles/{entry}/publish", {})
        if status == 200:
            self.published.append(entry)


def told(statuses: Sequence[int]) -> dict[int, int]:
    return {status: statuses.count(status) for status in sorted(set(statuses))}
