"""Which of PostgreSQL's text search configurations belongs to a locale."""

# The Snowball stemmers that every PostgreSQL from 15 on brings (documentation, section 12.6.6).
_STEMMERS = {
    "ar": "arabic", "ca": "catalan", "da": "danish", "de": "german", "el": "greek", "en": "english", "es": "spanish",
    "eu": "basque", "fi": "finnish", "fr": "french", "ga": "irish", "hi": "hindi", "hu": "hungarian",
    "hy": "armenian", "id": "indonesian", "it": "italian", "lt": "lithuanian", "ne": "nepali", "nl": "dutch",
    "no": "norwegian", "nb": "norwegian", "nn": "norwegian", "pt": "portuguese", "ro": "romanian", "ru": "russian",
    "sr": "serbian", "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip


def search_config(locale: str) -> str:
    """Return the configuration for a locale code, `simple` for languages without a stemmer."""
    return _STEMMERS.get(locale.split("-", 1)[0].lower(), "simple")
