"""Static files of production: compressed, named by their content, and cached for ever."""

from typing import Any

from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # the library has no types
    """Scripts name each other by content too, or a browser could run a new one with an old one that it kept."""

    support_js_module_import_aggregation = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Let everybody read them: root collects them, and the web server is somebody else. Uploads are closed."""
        super().__init__(*args, file_permissions_mode=0o644, directory_permissions_mode=0o755, **kwargs)
