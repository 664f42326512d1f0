"""Fixtures of the attacks: nobody is slowed down, and each test keeps the log's head to itself."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import LazySettings

from accounts import limits
from cms_project.schema_view import SchemaView
from previews.api.edge import EXCHANGES, ExchangeThrottle
from previews.api.manage import SiteProbeView


@pytest.fixture(autouse=True)
def _no_quota(monkeypatch: pytest.MonkeyPatch, settings: LazySettings, tmp_path: Path) -> None:
    """Let a test send thousands of requests; the quotas have tests of their own."""
    for name in ("READS", "WRITES", "FAILURES"):
        monkeypatch.setattr(limits, name, replace(getattr(limits, name), quota=1_000_000, burst=None))
    for throttle in (limits.SignInThrottle, limits.RefreshThrottle):
        monkeypatch.setattr(throttle, "policy", replace(limits.SIGN_INS, quota=1_000_000, overall=None))
    monkeypatch.setattr(ExchangeThrottle, "policy", replace(EXCHANGES, quota=1_000_000, overall=None))
    for view in (SchemaView, SiteProbeView):
        monkeypatch.setattr(view, "limited_as", None)
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(logging.getLogger("quillkeep.request"), "disabled", True)
