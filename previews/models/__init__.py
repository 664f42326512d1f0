"""The tables of previews: signing keys, sites, and the register of what was handed out."""

from previews.models.preview import Preview
from previews.models.signing_key import SigningKey
from previews.models.site import HandoffUrl, PreviewSite

__all__ = ["HandoffUrl", "Preview", "PreviewSite", "SigningKey"]
