"""States as people see them: a mark and a word, never a colour alone."""

from django.utils.html import format_html
from django.utils.safestring import SafeString

Mark = tuple[str, str, str]  # the class of a mark, the mark, the word


def pill(mark: Mark) -> SafeString:
    """Return a state as a mark and a word."""
    return format_html('<span class="qk-pill {}"><span aria-hidden="true">{}</span> {}</span>', *mark)
