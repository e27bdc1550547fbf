"""Figures of matplotlib as SVG that lies in a page: small, in the colours of the page, and without inline styles.

What matplotlib writes stands alone: its colours are fixed, its styles are inline, which a strict policy of a page
forbids, and names in it are those of every figure. Here colours of the style sheet become variables of the page, so
that one drawing serves light and dark; styles become attributes; names get a prefix; numbers lose digits nobody sees.
"""

from __future__ import annotations

import io
import re
import warnings
from xml.etree import ElementTree as ET

from matplotlib import rc_context
from matplotlib.axes import Axes

from gaaf_gp.plots.style import Style, own_settings

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
PAGE = Style(
    "#fdfcf1",
    "#010f1a",
    "#7a7b7c",
    ("#0172b1", "#d45e01", "#019e72", "#cb79a6", "#e59f01", "#55b4e8", "#010f1b"),
)
"""Stands for the colours of the page: no colour of it is in any figure by itself."""
VARIABLES = {
    PAGE.paper: "paper", PAGE.ink: "ink", PAGE.muted: "muted", PAGE.lines[-1]: "ink",
    **{colour: f"c{place}" for place, colour in enumerate(PAGE.lines[:-1])},
}  # fmt: skip
"""Colour -> the variable of the page that stands for it."""
PIXELS = 96 / 72
"""Of a page, in a point."""
_KEPT = {
    "fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-dashoffset", "stroke-linecap", "stroke-linejoin",
    "stroke-opacity", "fill-opacity", "opacity", "fill-rule", "text-anchor", "font-size", "font-weight", "font-style",
}  # fmt: skip
_FONT = re.compile(r"(?:(?P<style>italic|oblique) )?(?:(?P<weight>bold|\d00) )?(?P<size>[\d.]+)px")
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_NAME = re.compile(r"#([\w.-]+)")


def page_svg(axes: Axes, name: str, title: str) -> str:
    """Return the figure of ``axes``, drawn in the style :data:`PAGE`, as an element of a page.

    Args:
        axes: of the figure.
        name: that no other figure of the page has: letters, digits and hyphens.
        title: what is read out.
    """
    file = io.StringIO()
    with own_settings(), rc_context({"svg.fonttype": "none", "svg.hashsalt": "gaaf-gp"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # the browser has other fonts
        axes.figure.figure.savefig(file, format="svg", bbox_inches="tight", pad_inches=0.04, metadata={"Date": None})
    root = ET.fromstring(file.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in ("metadata", "style"):
                parent.remove(child)
    for element in root.iter():
        _clean(element, name)
    _drop_unused_names(root)
    wide = float(root.get("viewBox", "0 0 1 1").split()[2])
    for size in ("width", "height", "version"):
        root.attrib.pop(size, None)
    heading = ET.Element(f"{{{SVG}}}title", {"id": f"{name}-title"})
    heading.text = title
    root.insert(0, heading)
    root.attrib |= {"role": "img", "aria-labelledby": f"{name}-title", "width": f"{wide * PIXELS:.0f}"}
    return plain(root)


def plain(root: ET.Element) -> str:
    """Return an element as text that HTML reads, without the names of spaces."""
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return ET.tostring(root, encoding="unicode", short_empty_elements=True).replace("\n", "")


def _clean(element: ET.Element, name: str) -> None:
    for key in list(element.attrib):
        value = element.attrib.pop(key)
        if key == "style":
            element.attrib |= _attributes(value)
        elif key == f"{{{XLINK}}}href":
            element.set("href", _NAME.sub(rf"#{name}-\1", value) if value.startswith("#") else value)
        elif key == "id":
            element.set("id", f"{name}-{value}")
        elif not key.startswith("{"):
            element.set(key, value)
    for key, value in element.attrib.items():
        if "url(#" in value:
            element.set(key, _NAME.sub(rf"#{name}-\1", value))
        elif value.lower() in VARIABLES:
            element.set(key, f"var(--{VARIABLES[value.lower()]})")
        elif key in ("d", "x", "y", "transform", "points", "width", "height", "viewBox"):
            element.set(key, " ".join(_NUMBER.sub(_short, value).split()))


def _attributes(style: str) -> dict[str, str]:
    """Return what a style says as attributes."""
    found = {}
    for part in style.split(";"):
        key, _, value = (one.strip() for one in part.partition(":"))
        if key in _KEPT:
            found[key] = value
        elif key == "font" and (match := _FONT.match(value)) is not None:
            found["font-size"] = match["size"]
            found |= {f"font-{what}": match[what] for what in ("style", "weight") if match[what]}
    return found


def _short(match: re.Match[str]) -> str:
    return f"{float(match[0]):.2f}".rstrip("0").rstrip(".").replace("-0.", "-.") or "0"


def _drop_unused_names(root: ET.Element) -> None:
    text = ET.tostring(root, encoding="unicode")
    used = set(_NAME.findall(text))
    for element in root.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)
