"""How large the form of an entry may be, and reading one that is larger than what anybody may send anywhere else.

Django's own limits (`DATA_UPLOAD_MAX_…`) hold for everybody and stay small. Only for somebody who is signed in, and
only for the form of an entry, `cms_project.entry_forms` puts this reader in front (Django's `handle_raw_input`).
"""

from typing import Any, Final

from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.core.files.uploadhandler import FileUploadHandler
from django.http import QueryDict
from django.http.multipartparser import FIELD, ChunkIter, LazyStream, Parser
from django.utils.datastructures import MultiValueDict
from django.utils.encoding import force_str

MAX_BYTES: Final = 4_000_000  # of the body. The longest single field, Markdown, may have 1,000,000
MAX_INPUTS: Final = 20_000  # 200 parts of 100 fields
PAGES: Final = frozenset({"admin:content-add", "admin:content-change", "admin:content-part"})


class FormTooLargeError(RequestDataTooBig):
    """The form of an entry has more bytes than can be saved at once."""

    def __init__(self, size: int) -> None:
        limit = megabytes(MAX_BYTES)
        self.detail = (
            f"The form is {megabytes(size)}; at most {limit} can be saved at once. Nothing was saved."
        )
        super().__init__(self.detail)


class TooManyInputsError(TooManyFieldsSent):
    """The form of an entry has more inputs than can be saved at once."""

    def __init__(self) -> None:
        self.detail = (
            f"The form has more inputs than can be saved at once ({MAX_INPUTS:,}). Nothing was saved."
        )
        super().__init__(self.detail)


class WholeForm(FileUploadHandler):
    """Reads `multipart/form-data` (RFC 7578) up to our limits; the form has no files, so files are passed over."""

    def handle_raw_input(
        self,
        input_data: Any,
        META: dict[str, Any],  # noqa: ARG002, N803 (Django's signature)
        content_length: int,
        boundary: Any,  # bytes, where the stubs say str
        encoding: str | None = None,
    ) -> tuple[QueryDict, MultiValueDict[str, Any]]:
        """Return what was typed. Raises FormTooLargeError or TooManyInputsError."""
        if content_length > MAX_BYTES:
            raise FormTooLargeError(content_length)
        charset = encoding or "utf-8"
        found = QueryDict(mutable=True, encoding=charset)
        count = 0
        for kind, headers, stream in Parser(LazyStream(ChunkIter(input_data)), boundary):
            if kind != FIELD:
                continue
            count += 1
            if count > MAX_INPUTS:
                raise TooManyInputsError
            name = headers["content-disposition"][1].get("name", b"")
            text = force_str(stream.read(), charset, errors="replace")
            found.appendlist(force_str(name, charset, errors="replace").strip(), text)
        found._mutable = False  # noqa: SLF001 (as Django's own parser does)
        return found, MultiValueDict()


def megabytes(size: int) -> str:
    """Return a size as people say it: `4 MB`, `2.1 MB`."""
    return f"{size / 1_000_000:.1f}".removesuffix(".0") + " MB"
