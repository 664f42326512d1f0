"""Reads every script of ours as a syntax tree and refuses what turns text into markup or code (threat J12).

Values are escaped when the server writes them into a page; a script that reads one from an attribute and joins it into
markup would undo that. So scripts build elements, and only `markup.js` reads pages, which this very server sent.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import tree_sitter_javascript
from tree_sitter import Language, Node, Parser

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("accounts", "cms_project", "content", "previews", "templates", "webhooks")
SINKS = frozenset(
    {
        *("innerHTML", "outerHTML", "insertAdjacentHTML", "setHTMLUnsafe", "parseHTMLUnsafe", "srcdoc"),
        *("createContextualFragment", "write", "writeln", "execScript", "html"),
    }
)
CODE = frozenset({"eval", "Function", "execScript"})
TIMERS = frozenset({"setTimeout", "setInterval", "setImmediate"})
DIALOGS = frozenset({"alert", "confirm", "prompt"})  # a page that can't be styled, and what a canary calls
PARSERS = {"DOMParser": "markup.js"}  # who alone may use them
LANGUAGE = Language(tree_sitter_javascript.language())


def scripts() -> list[Path]:
    """Return every script that we wrote."""
    return sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.js"))


def faults(source: str, name: str) -> list[str]:
    """Return "line: what is wrong" for a script."""
    tree = Parser(LANGUAGE).parse(source.encode())
    found = ["1: this script can't be parsed"] if tree.root_node.has_error else []
    for node in walk(tree.root_node):
        fault = fault_of(node, name)
        if fault:
            found.append(f"{node.start_point[0] + 1}: {fault}")
    return found


def fault_of(node: Node, name: str) -> str:
    """Return what is wrong with one node, "" when nothing is."""
    text = node.text.decode() if node.text else ""
    kind = node.type
    # A name alone is no fault: `html` may be a variable. As a member, computed or not, it is a sink.
    if kind == "property_identifier" and text in SINKS and node.parent and node.parent.type != "pair":
        return f".{text} makes markup of text"
    if kind == "subscript_expression":
        index = node.child_by_field_name("index")
        member = index.text.decode().strip("'\"`") if index and index.text else ""
        joined = (
            index is not None
            and index.type == "binary_expression"
            and any(quote in member for quote in "'\"`")
        )
        if member in SINKS or joined:
            return f"[{member}] may make markup of text"
    if kind in {"string_fragment", "template_string"} and "javascript:" in text.lower():
        return "a javascript: address"
    if kind == "call_expression":
        return called(node)
    if kind == "new_expression":
        made = node.child_by_field_name("constructor")
        label = made.text.decode() if made and made.text else ""
        if label in CODE or PARSERS.get(label, name) != name:
            return f"new {label} makes code or markup of text"
    if kind in {"string", "template_string"} and text[1:4].strip().startswith("<") and "+" in around(node):
        return "markup joined of strings"
    return ""


def called(node: Node) -> str:
    """Return what is wrong with a call."""
    function = node.child_by_field_name("function")
    label = function.text.decode().rsplit(".", 1)[-1] if function and function.text else ""
    arguments = node.child_by_field_name("arguments")
    first = arguments.named_child(0) if arguments and arguments.named_child_count else None
    if label in CODE:
        return f"{label}() makes code of text"
    if label in DIALOGS:
        return f"{label}() is not ours to call: dialogs.js has dialogs"
    if label in TIMERS and first is not None and first.type in {"string", "template_string"}:
        return f"{label}() with a string makes code of text"
    if label == "setAttribute" and first is not None and first.text:
        attribute = first.text.decode().strip("'\"`").lower()
        if attribute.startswith("on") or attribute in {"style", "srcdoc"}:
            return f"the attribute {attribute} is refused by the policy"
    return ""


def around(node: Node) -> str:
    """Return the operator that joins a string with something else, if any."""
    parent = node.parent
    operator = (
        parent.child_by_field_name("operator") if parent and parent.type == "binary_expression" else None
    )
    return operator.text.decode() if operator and operator.text else ""


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and everything below it."""
    stack = [node]
    while stack:
        present = stack.pop()
        yield present
        stack.extend(present.children)


def main() -> int:
    """Print every fault with its place; return 1 when there is any."""
    count = 0
    for path in scripts():
        for fault in faults(path.read_text(), path.name):
            count += 1
            sys.stdout.write(f"{path.relative_to(ROOT)}:{fault}\n")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
