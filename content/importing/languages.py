"""What a locale in a path is called and how it is written, from Django's table of languages."""

from dataclasses import dataclass

from django.conf.locale import LANG_INFO


@dataclass(frozen=True, slots=True)
class Language:
    """A language's English name and direction (`ltr`, `rtl`)."""

    name: str
    direction: str


def language(code: str) -> Language | None:
    """Return what is known of a BCP 47 code, of its base language otherwise; None for a code that is no language."""
    seen: set[str] = set()
    wanted = code.lower()
    while wanted not in seen:
        seen.add(wanted)
        info = LANG_INFO.get(wanted, {})
        if "name" in info:
            known = wanted == code.lower() or (len(seen) > 1 and wanted.count("-") == code.count("-"))
            name = info["name"] if known else f"{info['name']} ({code.partition('-')[2].upper()})"
            return Language(name, "rtl" if info.get("bidi") else "ltr")
        wanted = (info.get("fallback") or [wanted.partition("-")[0]])[0]
    return None
