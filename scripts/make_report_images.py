"""Make the pictures of docs/report.md anew: the page of a run in headless Chromium, light and dark.

    python scripts/make_report_images.py RUN [--out FOLDER]

It takes what the tests of the page take: selenium, and Chromium of scripts/install_browser.sh.
"""

import base64
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from gaaf_gp.cli import script
from gaaf_gp.cli.report import recorded_set
from gaaf_gp.experiments.report import build_page
from gaaf_gp.experiments.run_data import find_run, read_run

OUT = Path(__file__).resolve().parents[1] / "docs" / "images"
PICTURES = {"report_wide": (1200, 1000, "light"), "report_narrow": (400, 1000, "dark")}
"""File without its ending -> width and height in pixels of the page, and theme."""


def main(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    out: Annotated[Path, typer.Option(help="Folder of the pictures.")] = OUT,
) -> None:
    """Make the pictures of docs/report.md anew."""
    place = find_run(run)
    page = build_page(read_run(place, recorded_set(place, None)))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.html"
        file.write_text(page, encoding="utf-8")
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        try:
            for name, (width, height, theme) in PICTURES.items():
                size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
                driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
                media = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
                driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
                driver.get(file.as_uri())
                shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
                (out / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))
                typer.echo(f"made {out / name}.png")
        finally:
            driver.quit()


if __name__ == "__main__":
    script(main)
