"""Which parts of a page no reader sees, as far as the page itself says so in a simple way. Pure.

Text that people cannot see is where instructions for a model are put (RELIABILITY PI-02). Attributes, inline styles and
plain rules of a `<style>` are looked at; colours and scripts are not.
"""

import re
from collections.abc import Mapping

_RULE = re.compile(r"([^{}]{1,2000})\{([^{}]{1,4000})\}")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_SIMPLE = re.compile(r"(?P<tag>[a-zA-Z][a-zA-Z0-9]*)?(?P<mark>[.#][A-Za-z_-][\w-]*)?\Z")
_SIZE = re.compile(r"(-?\d*\.?\d+)(px|em|rem|pt|%|vw|vh|ch|ex|in|cm)?")
_FAR_PX = -500.0
_PX = {
    "em": 16.0,
    "rem": 16.0,
    "pt": 1.3,
    "%": 10.0,
    "vw": 10.0,
    "vh": 10.0,
    "ch": 8.0,
    "ex": 8.0,
    "in": 96.0,
    "cm": 38.0,
}
_MAX_RULES = 5_000
_NOTHING = re.compile(r"rect\(0|rect\(1px|inset\((?:50|100)%|circle\(0|polygon\(0|scale[xy]?\(0(?:\.0*)?[,)]")


class HiddenRules:
    """What the rules of a page's style sheets hide, by tag, class and id."""

    def __init__(self) -> None:
        self._selectors: set[tuple[str, str]] = set()

    def read(self, sheet: str) -> None:
        """Take in a style sheet; anything but plain selectors is passed over."""
        for selectors, declarations in _RULE.findall(_COMMENT.sub("", sheet)):
            if len(self._selectors) >= _MAX_RULES:
                return
            if not style_hides(declarations):
                continue
            for selector in selectors.split(","):
                simple = _SIMPLE.match(selector.strip())
                if simple is not None and (simple["tag"] or simple["mark"]):
                    self._selectors.add(((simple["tag"] or "").lower(), simple["mark"] or ""))

    def hide(self, tag: str, attributes: Mapping[str, str]) -> bool:
        """Whether a rule hides this element."""
        if not self._selectors:
            return False
        marks = ["", *[f".{name}" for name in attributes.get("class", "")[:2000].split()]]
        if "id" in attributes:
            marks.append(f"#{attributes['id'].strip()}")
        return any((name, mark) in self._selectors for name in (tag, "") for mark in marks)


def is_hidden(tag: str, attributes: Mapping[str, str]) -> bool:
    """Whether the element itself says that it is not shown."""
    if "hidden" in attributes and attributes["hidden"].strip().lower() != "until-found":
        return True
    if attributes.get("aria-hidden", "").strip().lower() == "true":
        return True
    if tag == "dialog" and "open" not in attributes:
        return True
    if tag == "font" and attributes.get("size", "").strip() in ("0", "0px"):
        return True
    if tag == "input" and attributes.get("type", "").strip().lower() == "hidden":
        return True
    style = attributes.get("style", "")
    return bool(style) and style_hides(style)


def style_hides(declarations: str) -> bool:
    """Whether `name: value; …` makes an element invisible."""
    style: dict[str, str] = {}
    for declaration in _COMMENT.sub("", declarations).split(";"):
        name, colon, value = declaration.partition(":")
        if colon:
            style[name.strip().lower()] = value.replace("!important", "").strip().lower()
    if style.get("display") == "none" or style.get("visibility") in ("hidden", "collapse"):
        return True
    if style.get("content-visibility") == "hidden" or style.get("color") == "transparent":
        return True
    if _zero(style.get("opacity")) or _zero(style.get("font-size")) or _tiny_font(style):
        return True
    if any(_NOTHING.search(style.get(name, "")) for name in ("clip", "clip-path", "transform")):
        return True
    cut = style.get("overflow", style.get("overflow-y", "")) in ("hidden", "clip")
    flat = any(_zero(style.get(name)) for name in ("width", "height", "max-width", "max-height"))
    return (cut and flat) or any(_far(style.get(name)) for name in _PLACING)


_PLACING = ("left", "right", "top", "bottom", "text-indent", "margin-left", "margin-top", "margin-right")


def _zero(value: str | None) -> bool:
    size = _SIZE.match(value or "")
    return size is not None and float(size[1]) == 0.0


def _tiny_font(style: Mapping[str, str]) -> bool:
    for name in ("font-size", "font"):
        for size in _SIZE.finditer(style.get(name, "")[:200]):
            if size[2] in ("px", "pt") and abs(float(size[1])) <= 1.0:
                return True
    return False


def _far(value: str | None) -> bool:
    size = _SIZE.match(value or "")
    return size is not None and float(size[1]) * _PX.get(size[2] or "", 1.0) <= _FAR_PX
