"""The file as it is written: block style, members in our order, one change a line."""

from typing import Any, Final

import yaml

from cms_project.schema_code import yaml_in

WIDTH: Final = 110
HEAD: Final = """\
# Schema and access of a Quillkeep, written by `manage.py schema export`; see docs/schema-as-code.md.
# A section is the whole truth about its kind of thing. An id tells a rename from a loss: keep it, and leave it
# out of what is new.
"""


class _Dumper(yaml.SafeDumper):
    """Writes lists below their key with an indent, texts of several lines as blocks, and no anchors."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 (the base's)
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 (the base's)
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Write a text so that nobody reads it as something else: numbers as others write them are quoted too."""
    lines = text.split("\n")
    if not all(line.isprintable() for line in lines):
        style: str | None = '"'  # with escapes
    elif len(lines) > 1:
        style = "|" if all(line == line.strip() for line in lines) else '"'
    else:
        style = "'" if text[:1] in "-.0123456789" and any(sign.isdigit() for sign in text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _number(dumper: yaml.SafeDumper, number: float) -> yaml.ScalarNode:
    text = repr(number)
    if "e" in text and "." not in text:  # 1e+16: a number needs a dot to be one
        text = text.replace("e", ".0e")
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(float, _number)


def write(document: Any) -> str:
    """Return a document as text that `yaml_in.read` reads as the same values."""
    text = yaml.dump(
        document,
        Dumper=_Dumper,
        allow_unicode=True,
        default_flow_style=False,
        sort_keys=False,
        width=WIDTH,
    )
    whole = HEAD + str(text)
    # Lossless or not at all: who applies it would change what was only exported.
    if yaml_in.read(whole.encode()).value != document:
        raise ValueError("The configuration can't be written as YAML that is read as the same.")
    return whole
