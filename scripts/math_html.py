"""Writes docs/math.html, which typesets the mathematics of rustdoc pages, from Temml and docs/math.js.

    npm pack temml@0.13.5 && tar xzf temml-0.13.5.tgz && python scripts/math_html.py package

Each part becomes a base64 data URL, since rustdoc reads what it includes as Markdown.
"""

import base64
import hashlib
import re
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
PINNED = {
    "temml.min.js": "1ab19148afe0dbc836b7a74f344071b3f3a70a7a8259ae4049e76894fcdf8d95",
    "Temml-Local.css": "544f4e3fee4c36f4568e4f145fa626dc9573c5f4c96c523aadcc433c3989a239",
}
BANNER = "/*! Temml 0.13.5, https://temml.org. Copyright (c) 2020 Ron Kok. MIT licence: docs/LICENSE-temml of dale */\n"
LAYOUT = " .dale-math { font-size: 112%; margin: 0.8em 0 1.2em; overflow-x: auto; } .docblock p:has(math), .docblock li:has(math) { overflow: visible; }"


def part(folder, name):
    data = (folder / "dist" / name).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != PINNED[name]:
        sys.exit(f"{name}: SHA-256 {found}, expected {PINNED[name]}")
    return data.decode().strip()


def url(kind, text):
    return f"data:text/{kind};base64,{base64.b64encode(text.encode()).decode()}"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    style = re.sub(r"/\*.*?\*/", "", part(folder, "Temml-Local.css"), flags=re.S)
    style = BANNER + re.sub(r"\s+", " ", style).strip() + LAYOUT
    lines = [
        f'<link rel="stylesheet" href="{url("css", style)}">',
        f'<script src="{url("javascript", BANNER + part(folder, "temml.min.js"))}"></script>',
        f'<script src="{url("javascript", (DOCS / "math.js").read_text())}"></script>',
    ]
    (DOCS / "math.html").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
