"""Static files of production: compressed, named by their content, and cached for ever."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # the library has no types
    """Scripts name each other by content too, or a browser could run a new one with an old one that it kept."""

    support_js_module_import_aggregation = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Let everybody read them: root collects them, and the web server is somebody else. Uploads are closed."""
        super().__init__(*args, file_permissions_mode=0o644, directory_permissions_mode=0o755, **kwargs)

    def compress_files(self, paths: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Let everybody read those too: the library leaves their mode to the umask."""
        for name, compressed in super().compress_files(paths):
            Path(self.path(compressed)).chmod(self.file_permissions_mode)
            yield name, compressed
