"""How rows of previews look as JSON."""

from typing import Any

from accounts.api.shapes import moment
from previews.models import Preview, PreviewSite
from previews.sites import shown_urls


def site_json(site: PreviewSite) -> dict[str, Any]:
    """Return a site without anything secret."""
    return {
        "id": str(site.pk),
        "name": site.name,
        "state": site.state,
        "origins": site.origins,
        "handoff_urls": shown_urls(site),
        "algorithm": site.algorithm,
        "ttl_seconds": site.ttl_seconds,
        "max_ttl_seconds": site.max_ttl_seconds,
        "response_mode": site.response_mode,
        "is_embeddable": site.is_embeddable,
        "cdn_origin": site.cdn_origin or None,
        "created_at": moment(site.created_at),
        "secret_rotated_at": moment(site.secret_rotated_at),
        "old_secret_until": moment(site.previous_valid_until),
        "last_used_at": moment(site.last_used_at),
        "probed_at": moment(site.probed_at),
        "probe": site.probe,
    }


def preview_json(preview: Preview) -> dict[str, Any]:
    """Return a preview of the register; its code is in no list."""
    return {
        "jti": str(preview.pk),
        "state": preview.state,
        "entry_id": str(preview.entry_id),
        "collection_id": str(preview.collection_id),
        "locale": preview.locale,
        "site_id": str(preview.site_id),
        "user_id": str(preview.user_id),
        "created_at": moment(preview.created_at),
        "expires_at": moment(preview.expires_at),
        "exchanged_at": moment(preview.exchanged_at),
        "exchanged_from": preview.exchanged_from or None,
        "opened_at": moment(preview.opened_at),
        "opened_from": preview.opened_from or None,
        "opened_agent": preview.opened_agent or None,
        "open_count": preview.open_count,
        "last_opened_at": moment(preview.last_opened_at),
        "revoked_at": moment(preview.revoked_at),
        "revoked_because": preview.because or None,
    }
