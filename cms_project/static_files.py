"""Static files of production: compressed, named by their content, and cached for ever."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # the library has no types
    """Scripts name each other by content too, or a browser could run a new one with an old one that it kept."""

    support_js_module_import_aggregation = True
