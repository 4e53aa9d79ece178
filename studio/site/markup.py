"""Elements of HTML and XML. Text enters them as text: the serialiser escapes it, always."""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree as ET

Element = ET.Element

_FORBIDDEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 (section 2.2) cannot hold, not even escaped."""


def clean(text: str) -> str:
    """Text without the characters that no XML document may hold."""
    return _FORBIDDEN.sub("", text)


def element(
    tag: str, attributes: dict[str, str] | None = None, *children: Element | str | None
) -> Element:
    """An element with its attributes and children; text is a child like any other, None is none."""
    made = Element(tag, {name: clean(value) for name, value in (attributes or {}).items()})
    last: Element | None = None
    for child in children:
        if child is None:
            continue
        if isinstance(child, str):
            text = clean(child)
            if last is None:
                made.text = (made.text or "") + text
            else:
                last.tail = (last.tail or "") + text
        else:
            made.append(child)
            last = child
    return made


def html_document(root: Element) -> str:
    """A whole HTML5 document."""
    return f"<!DOCTYPE html>\n{html(root)}\n"


def html(root: Element) -> str:
    """An element as HTML."""
    return ET.tostring(root, encoding="unicode", method="html")
