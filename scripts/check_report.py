"""Opens report pages in headless Chromium, at the widths of a phone and of a desk, light and dark, and fails where they are not as
they should be: an error on the console, a request to anywhere, a page wider than its window, an empty picture, a figure without
caption or data, a table that does not sort, a chart that does not show its values.

    python scripts/check_report.py [--screenshots FOLDER] PAGE…

Needs the package `playwright` and a Chromium: the one that CHROMIUM names, or `chromium`, `chromium-browser` or `google-chrome` of the
PATH, or playwright's own.
"""

import argparse
import os
import pathlib
import shutil
import sys

try:
    from playwright.sync_api import Error, sync_playwright
except ImportError:
    sys.exit("check_report.py needs playwright: pip install playwright")

WIDTHS = (390, 1440)
SCHEMES = ("light", "dark")
# Milliseconds: a busy machine is no fault of the page.
PATIENCE = 180_000

# What a page says of itself; every entry of a list is a fault.
FAULTS = r"""() => {
  const faults = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    faults.push(`the page is ${root.scrollWidth} wide in a window of ${root.clientWidth}`);
    for (const element of document.querySelectorAll('body *')) {
      const right = element.getBoundingClientRect().right;
      if (right > root.clientWidth + 0.5 && !element.parentElement.closest('.scroll, pre, svg')) {
        faults.push(`  ${element.localName}.${element.className} reaches ${right}`);
        break;
      }
    }
  }
  for (const image of document.images) {
    if (!image.complete || !image.naturalWidth || !image.alt) faults.push(`an empty picture, or one without words: ${image.alt}`);
  }
  for (const svg of document.querySelectorAll('figure svg')) {
    const frame = svg.getBoundingClientRect();
    if (frame.width < 100 || frame.height < 100) faults.push(`a chart of ${frame.width} × ${frame.height}`);
    for (const text of svg.querySelectorAll('text')) {
      const box = text.getBoundingClientRect();
      if (box.left < frame.left || box.right > frame.right + 0.5 || box.bottom > frame.bottom + 0.5) {
        faults.push(`text is cut off in "${svg.getAttribute('aria-label')}": ${text.textContent.trim()}`);
      }
    }
    const labels = [...svg.querySelectorAll('text')].map(text => [text, text.getBoundingClientRect()]);
    for (const [a, one] of labels) for (const [b, other] of labels) {
      const across = Math.min(one.right, other.right) - Math.max(one.left, other.left);
      const along = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
      if (a !== b && across > 1 && along > 0.5 * Math.min(one.height, other.height)) {
        faults.push(`text over text in "${svg.getAttribute('aria-label')}": ${a.textContent.trim()}, ${b.textContent.trim()}`);
      }
    }
  }
  for (const figure of document.querySelectorAll('figure')) {
    const caption = figure.querySelector('figcaption')?.firstChild;
    if (caption?.nodeType !== Node.TEXT_NODE || !caption.textContent.trim()) faults.push('a figure without caption');
    const link = figure.querySelector('a.data');
    if (!link?.href.startsWith('data:') || !link.download) faults.push(`a figure without data: ${caption?.textContent}`);
  }
  return faults;
}"""

# The order of a column: numbers by their full value, words by the collation of numbers in words.
COLUMN = r"""(table, column) => [...table.tBodies[0].rows].map(row => {
  const cell = row.cells[column];
  return [cell.textContent, cell.dataset.value ?? null];
})"""


def ordered(cells):
    """Numbers of the cells that have one, and whether those without stand at the end."""
    values = [float(value) if value not in (None, "NaN") else None for _, value in cells]
    known = [value for value in values if value is not None]
    return known, values[: len(known)] == known


def check_tables(page, say):
    tables = 0
    for table in page.query_selector_all("table.sortable"):
        if table.evaluate("table => table.tBodies[0].rows.length") < 2:
            continue
        tables += 1
        for column, head in enumerate(table.query_selector_all("thead th")):
            before = table.evaluate(f"table => ({COLUMN})(table, {column})")
            seen = []
            for key in ("click", "Enter", "Space"):
                button = head.query_selector("button")
                button.click() if key == "click" else button.press(key)
                cells = table.evaluate(f"table => ({COLUMN})(table, {column})")
                seen.append((head.get_attribute("aria-sort"), cells))
            name = head.inner_text().replace("\n", " ")
            if [sort for sort, _ in seen] != ["ascending", "descending", None]:
                say(f"aria-sort of the column {name} goes {[sort for sort, _ in seen]}")
            if seen[2][1] != before or any(sorted(map(str, cells)) != sorted(map(str, before)) for _, cells in seen):
                say(f"the column {name} does not come back")
            if any(value is not None for _, value in before):
                for (_, cells), down in zip(seen, (False, True)):
                    known, at_end = ordered(cells)
                    if known != sorted(known, reverse=down) or not at_end:
                        say(f"the column {name} is not sorted: {cells}")
    return tables


def check_charts(page, say):
    charts = page.query_selector_all("figure.chart")
    for chart in charts:
        svg, tip = chart.query_selector("svg"), chart.query_selector(".tip")
        name = svg.get_attribute("aria-label")
        if svg.query_selector("image"):
            continue  # a plate of pictures, which shows all that it has
        point = svg.query_selector_all(".hits circle, .hits rect")[-1]
        point.scroll_into_view_if_needed()
        box = point.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        frame, shown = chart.bounding_box(), tip.bounding_box()
        if not tip.is_visible() or not tip.inner_text().strip():
            say(f"no value under the pointer in {name}")
        elif shown["x"] < -0.5 or shown["x"] + shown["width"] > page.viewport_size["width"] + 0.5:
            say(f"the value is cut off in {name}: {shown} in {frame}")
        page.mouse.move(0, 0)
        if tip.is_visible():
            say(f"the value stays when the pointer leaves {name}")
        svg.focus()
        seen = set()
        for key in ("ArrowRight", "ArrowRight", "ArrowDown", "End"):
            svg.press(key)
            seen.add(tip.inner_text())
        if not tip.is_visible() or (len(svg.query_selector_all(".hits circle, .hits rect")) > 1 and len(seen) < 2):
            say(f"no values under the arrow keys in {name}")
        svg.press("Escape")
    return len(charts)


def patient(browser, **options):
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    return context


def check_without_script(browser, path, say):
    context = patient(browser, java_script_enabled=False, viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(path.as_uri())
    charts, titled = len(page.query_selector_all("figure.chart")), len(page.query_selector_all("figure.chart svg:has(title)"))
    if charts != titled or page.query_selector_all("th button"):
        say(f"without a script: {titled} of {charts} charts have titles")
    context.close()


def check(browser, path, folder):
    faults, tables, charts = [], 0, 0
    for scheme in SCHEMES:
        for width in WIDTHS:
            where = f"{width} pixels, {scheme}"

            def say(text):
                faults.append(f"{where}: {text}")

            size = {"width": width, "height": 844 if width < 600 else 900}
            context = patient(browser, viewport=size, color_scheme=scheme, device_scale_factor=2 if width < 600 else 1)
            page = context.new_page()
            page.on("console", lambda message: say(f"console: {message.text}") if message.type in ("error", "warning") else None)
            page.on("pageerror", lambda error: say(f"script: {error}"))
            page.on("request", lambda request: say(f"asks for {request.url}") if not own(request.url, path) else None)
            page.goto(path.as_uri(), wait_until="load")
            for fault in page.evaluate(FAULTS):
                say(fault)
            if folder:
                # A picture of more than 16,384 pixels is more than the browser takes at once.
                tall = page.evaluate("document.documentElement.scrollHeight") > 8000
                name = f"{path.parent.name}-{path.stem}-{width}-{scheme}.png"
                page.screenshot(path=folder / name, full_page=True, scale="css" if tall else "device")
            tables, charts = check_tables(page, say), check_charts(page, say)
            if scheme == "light" and folder and width > 600:
                page.emulate_media(media="print", color_scheme="dark")
                page.screenshot(path=folder / f"{path.parent.name}-{path.stem}-print.png", full_page=True)
            context.close()
    check_without_script(browser, path, faults.append)
    return faults, tables, charts


def own(url, path):
    return url.startswith("data:") or url == path.as_uri()


def chromium():
    """The browser to start: a path, or nothing for playwright's own."""
    named = os.environ.get("CHROMIUM")
    names = ("chromium", "chromium-browser", "google-chrome")
    return named or next((found for found in map(shutil.which, names) if found), None)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("pages", nargs="+", type=pathlib.Path, metavar="PAGE")
    parser.add_argument("--screenshots", type=pathlib.Path, metavar="FOLDER", help="where pictures of the pages go")
    arguments = parser.parse_args()
    for path in arguments.pages:
        if not path.is_file():
            sys.exit(f"there is no page {path}")
    if arguments.screenshots:
        arguments.screenshots.mkdir(parents=True, exist_ok=True)
    failed = False
    with sync_playwright() as play:
        try:
            # A sandbox cannot be made by root, as in most containers; the pages are our own.
            browser = play.chromium.launch(executable_path=chromium(), args=["--no-sandbox"] if os.geteuid() == 0 else [])
        except Error as error:
            sys.exit(
                "check_report.py needs Chromium: `apt-get install chromium`, or `playwright install chromium`, or its path in "
                f"CHROMIUM.\n{str(error).splitlines()[0]}"
            )
        for path in arguments.pages:
            faults, tables, charts = check(browser, path.resolve(), arguments.screenshots)
            failed |= bool(faults)
            print(f"{path}: {tables} tables, {charts} charts, {len(faults) or 'no'} faults")
            for fault in faults:
                print(f"  {fault}")
        browser.close()
    sys.exit(failed)


if __name__ == "__main__":
    main()
