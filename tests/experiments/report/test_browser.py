"""The page in headless Chromium: as people see it, as they use it without a mouse, and while its run goes on.

Tests are skipped where Chromium is missing, unless GAAF_GP_BROWSER=required is set: then they fail.
scripts/install_browser.sh installs it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import axe_core_python
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from gaaf_gp.errors import GaafError
from gaaf_gp.experiments.report import build_page
from gaaf_gp.experiments.run_data import find_run, read_run
from tests.experiments.report.test_page import HOSTILE

BROWSER, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
AXE = Path(axe_core_python.__file__).parent / "axe.min.js"
SIZES = [(width, theme) for width in (400, 1400) for theme in ("light", "dark")]
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
)  # fmt: skip
SECONDS = 30.0

Set = Callable[[int, str], None]


def unfold(driver: Any) -> None:
    """Open all that can be opened."""
    driver.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser with a profile of its own."""
    missing = [str(path) for path in (BROWSER, DRIVER) if not path.exists()]
    if missing and os.environ.get("GAAF_GP_BROWSER") == "required":
        pytest.fail(f"{', '.join(missing)} must be there: sh scripts/install_browser.sh")
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: sh scripts/install_browser.sh")
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    found.set_script_timeout(SECONDS)
    found.execute_cdp_cmd("Network.enable", {})
    yield found
    found.quit()


@pytest.fixture
def view(driver: Any) -> Iterator[Set]:
    """Sets width and theme; afterwards the console must be empty."""

    def change(width: int, theme: str) -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [
            {"name": "prefers-color-scheme", "value": theme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    driver.get("about:blank")
    driver.get_log("browser")
    change(1400, "light")
    yield change
    assert driver.get_log("browser") == []


@pytest.fixture(scope="module")
def page(hundred: Path, pset: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a page with 25 of 100 candidates, some of which dropped out or failed."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    data = read_run(find_run(hundred), pset)
    kept = [one for one in data.ranked if one.complete and not one.failure][:15] + data.ranked[-10:]
    data.__dict__["ranked"] = kept
    path.write_text(build_page(data))
    return path.as_uri()


def rows(driver: Any) -> list[str]:
    """Return the ranks that the list shows, from above."""
    shown = driver.find_elements(By.CSS_SELECTOR, "#list .card:not([hidden]) summary > :first-child")
    return [one.text for one in shown]


def column(driver: Any, key: str) -> list[str]:
    script = "return [...document.querySelectorAll('#list .card')].map((card) => card.dataset[arguments[0]])"
    return list(driver.execute_script(script, key))


@pytest.mark.parametrize(("width", "theme"), SIZES)
def test_nothing_overflows_and_axe_finds_nothing(driver: Any, view: Set, page: str, width: int, theme: str) -> None:
    view(width, theme)
    driver.get(page)
    driver.execute_script("for (const card of [...document.querySelectorAll('details')].slice(0, 6)) card.open = true")
    wide, room, window = driver.execute_script(
        "const page = document.documentElement; return [page.scrollWidth, page.clientWidth, innerWidth]"
    )
    assert window == width
    assert wide <= room
    swatches = driver.execute_script(
        "return [...document.querySelectorAll('.swatch')].map((one) => one.getBoundingClientRect())"
        ".filter((box) => box.width).map((box) => [box.width, box.height])"
    )
    assert swatches
    assert max(max(pair) for pair in swatches) < 20  # a key is as high as its text
    dark = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(int(part) for part in dark[4:-1].split(",")) < 200) == (theme == "dark")
    driver.execute_script(AXE.read_text(encoding="utf-8"))
    found = driver.execute_async_script(
        "const done = arguments[0]; axe.run().then((one) => done(one.violations.map((rule) => "
        "[rule.id, rule.help, rule.nodes.slice(0, 3).map((node) => node.html + node.failureSummary)])))"
    )
    assert found == []


def test_axe_checks_contrast(driver: Any, view: Set, page: str) -> None:
    """The check above would see a text that is too pale."""
    driver.get(page)
    driver.execute_script("document.querySelector('.verdict').style.color = '#bbbbbb'")
    driver.execute_script(AXE.read_text(encoding="utf-8"))
    found = driver.execute_async_script(
        "const done = arguments[0]; axe.run('#summary').then((one) => done(one.violations.map((rule) => rule.id)))"
    )
    assert found == ["color-contrast"]


def test_headers_sort(driver: Any, view: Set, page: str) -> None:
    driver.get(page)
    assert rows(driver) == [str(rank) for rank in range(1, 26)]
    for key, first in (("size", "ascending"), ("accuracy", "descending"), ("generation", "ascending")):
        head = driver.find_element(By.CSS_SELECTOR, f".heads [data-key={key}]")
        button = head.find_element(By.TAG_NAME, "button")
        for order in (first, {"ascending": "descending", "descending": "ascending"}[first]):
            button.click()
            assert head.get_attribute("data-order") == order
            assert button.get_attribute("title") == f"sorted, {order}"
            values = [float(one) for one in column(driver, key) if one != ""]
            assert values == sorted(values, reverse=order == "descending")
            assert len(set(values)) > 3
            unknown = [one == "" for one in column(driver, key)]
            assert unknown == sorted(unknown), "what is not known stays last"
        pressed = driver.find_elements(By.CSS_SELECTOR, ".heads button[aria-pressed=true]")
        assert [one.text for one in pressed] == [button.text]


def test_a_row_opens_in_place(driver: Any, view: Set, page: str) -> None:
    driver.get(page)
    third = driver.find_element(By.ID, "c3")
    assert not third.find_element(By.CSS_SELECTOR, ".body").is_displayed()
    third.find_element(By.TAG_NAME, "summary").click()
    assert third.find_element(By.CSS_SELECTOR, ".body svg").is_displayed()
    assert third.get_attribute("data-text") in third.find_element(By.CSS_SELECTOR, ".body").text
    below = driver.find_element(By.ID, "c4").rect["y"]
    assert below >= third.rect["y"] + third.rect["height"] - 1
    driver.find_element(By.CSS_SELECTOR, ".heads [data-key=size] button").click()
    assert third.get_attribute("open") is not None, "it stays open where sorting puts it"


def test_on_a_telephone_a_comparison_is_a_card(driver: Any, view: Set, page: str) -> None:
    """No difference and no p-value is cut off."""
    driver.get(page)
    heads = [one.text for one in driver.find_elements(By.CSS_SELECTOR, "#summary .against thead th")]
    cells = driver.find_elements(By.CSS_SELECTOR, "#summary .against tbody td[data-label]")
    assert {one.get_attribute("data-label") for one in cells} == {*heads} - {"Against", "Interval as a line"}
    view(400, "light")
    boxes = driver.execute_script(
        "return [...document.querySelectorAll('.against tbody th, .against tbody td')]"
        ".map((one) => one.getBoundingClientRect()).filter((box) => box.width).map((box) => [box.left, box.right])"
    )
    assert len(boxes) > 10
    assert min(left for left, _ in boxes) >= 0
    assert max(right for _, right in boxes) <= 400
    label = "return getComputedStyle(arguments[0], '::before').content"
    assert driver.execute_script(label, cells[1]) == '"Difference"'


def test_names_of_settings_break_between_words_only(driver: Any, view: Set, page: str) -> None:
    view(400, "light")
    driver.get(page)
    broken = driver.execute_script("""
        const found = [];
        for (const cell of document.querySelectorAll("#settings .pairs th")) {
            const walk = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
            for (let part = walk.nextNode(); part; part = walk.nextNode()) {
                const range = document.createRange();
                range.selectNodeContents(part);
                if (!part.data.includes(" ") && range.getClientRects().length > 1) found.push(part.data);
            }
        }
        return found;
    """)
    assert broken == []


def test_the_filter_keeps_what_fits(driver: Any, view: Set, page: str) -> None:
    driver.get(page)
    field, count = driver.find_element(By.ID, "filter"), driver.find_element(By.ID, "count")
    assert driver.find_element(By.CSS_SELECTOR, "label[for=filter]").text == "Filter by formula, text or reason"
    texts = [one.get_attribute("data-text") for one in driver.find_elements(By.CSS_SELECTOR, "details.card")]
    field.send_keys("sin(")
    shown = rows(driver)
    fitting = [text for text in texts if "sin(" in text]
    assert 0 < len(shown) < 25
    assert len(shown) >= len(fitting)
    assert count.text == f"{len(shown)} of 25 shown"
    assert len(driver.find_elements(By.CSS_SELECTOR, "details.card:not([hidden])")) == len(shown)
    field.clear()
    field.send_keys("no such function")
    assert rows(driver) == []
    assert driver.find_element(By.ID, "none").is_displayed()
    field.send_keys(Keys.CONTROL + "a", Keys.DELETE)
    assert len(rows(driver)) == 25
    for kind in ("failed", "full", "front"):
        driver.find_element(By.CSS_SELECTOR, f"#kinds option[value={kind}]").click()
        assert 0 < len(rows(driver)) < 25


def test_formulas_show_when_pointed_at_and_when_focused(driver: Any, view: Set, page: str) -> None:
    driver.get(page)
    tip, points = driver.find_element(By.CSS_SELECTOR, ".tip"), driver.find_elements(By.CSS_SELECTOR, "#front a")
    assert not tip.is_displayed()
    point = points[-1]
    driver.execute_script("document.getElementById('front').scrollIntoView({block: 'center'})")
    ActionChains(driver).move_to_element(point).perform()
    assert tip.is_displayed()
    assert point.get_attribute("data-tip") in tip.text
    assert "cost" in tip.text
    ActionChains(driver).move_to_element(driver.find_element(By.ID, "front-h")).perform()
    assert not tip.is_displayed()
    other = driver.find_elements(By.CSS_SELECTOR, "#front circle.other")[0]
    driver.execute_script("document.getElementById('front').scrollIntoView({block: 'center'})")
    ActionChains(driver).move_to_element(other).perform()
    assert other.get_attribute("data-tip") in tip.text
    ActionChains(driver).move_by_offset(0, -200).perform()
    driver.execute_script("arguments[0].focus()", points[0])
    assert points[0].get_attribute("data-tip") in tip.text
    box = driver.execute_script("return arguments[0].getBoundingClientRect().toJSON()", tip)
    assert box["left"] >= 0
    assert box["right"] <= 1400
    ActionChains(driver).send_keys(Keys.TAB).perform()
    assert points[1].get_attribute("data-tip") in tip.text
    ActionChains(driver).send_keys(Keys.ESCAPE).perform()
    assert not tip.is_displayed()


def test_all_of_it_works_by_keyboard(driver: Any, view: Set, page: str) -> None:
    driver.get(page)

    def active() -> Any:
        return driver.switch_to.active_element

    def press(*keys: str) -> None:
        ActionChains(driver).send_keys(*keys).perform()

    press(Keys.TAB)
    assert active().text == "Skip to the results"
    assert active().is_displayed()
    assert active().rect["x"] >= 0
    press(Keys.ENTER)
    assert active().get_attribute("id") == "main"
    reached = []
    for _ in range(120):
        press(Keys.TAB)
        element = active()
        kind = element.tag_name if element.tag_name != "button" else "sort " + element.text
        reached.append(kind)
        visible = driver.execute_script("return getComputedStyle(arguments[0]).outlineStyle", element)
        point = element.get_attribute("data-tip")
        assert visible != "none" or point, f"the focus cannot be seen on {kind}"
        if kind == "sort Size":
            press(Keys.SPACE)
            assert element.find_element(By.XPATH, "..").get_attribute("data-order") == "ascending"
        if kind == "summary" and "card" in element.find_element(By.XPATH, "..").get_attribute("class"):
            press(Keys.ENTER)
            assert element.find_element(By.XPATH, "..").get_attribute("open") is not None
            break
    assert {"a", "input", "select", "sort Rank", "sort Size", "summary"} <= set(reached)


def test_a_point_of_the_front_opens_its_card(driver: Any, view: Set, page: str) -> None:
    driver.get(page)
    point = driver.find_elements(By.CSS_SELECTOR, "#front a")[-1]
    target = driver.execute_script("return arguments[0].getAttribute('href').slice(1)", point)
    driver.find_element(By.ID, "filter").send_keys("no such function")  # a card that is filtered away comes back
    driver.execute_script("arguments[0].focus()", point)
    ActionChains(driver).send_keys(Keys.ENTER).perform()
    card = driver.find_element(By.ID, target)
    wait_for(lambda: card.get_attribute("open") is not None)
    assert card.is_displayed()
    assert driver.switch_to.active_element.find_element(By.XPATH, "..").get_attribute("id") == target
    assert card.find_element(By.CSS_SELECTOR, "svg").is_displayed()


def test_it_asks_for_nothing(driver: Any, view: Set, page: str) -> None:
    driver.execute_cdp_cmd("Network.emulateNetworkConditions", {
        "offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0,
    })  # fmt: skip
    try:
        driver.get(page)
        names = driver.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)")
    finally:
        driver.execute_cdp_cmd("Network.emulateNetworkConditions", {
            "offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1,
        })  # fmt: skip
    assert [one for one in names if not one.startswith("data:")] == []
    assert len(rows(driver)) == 25


def test_hostile_texts_run_nowhere(driver: Any, view: Set, tmp_path: Path, make_run: Any) -> None:
    run = make_run(tmp_path / "run", config={"note": HOSTILE[0]})
    for place, text in enumerate(HOSTILE):
        run.register.born(text, 0, "random")
        run.train(text, 0.4 + place / 50, formula=text)
    folder = run.end()
    (tmp_path / "page.html").write_text(build_page(read_run(find_run(folder))))
    view(400, "light")
    driver.get((tmp_path / "page.html").as_uri())
    unfold(driver)
    driver.find_element(By.ID, "filter").send_keys("script")
    assert len(rows(driver)) == 1
    for point in driver.find_elements(By.CSS_SELECTOR, "#front [data-tip]"):
        driver.execute_script("arguments[0].dispatchEvent(new Event('mouseenter'))", point)
    assert driver.find_elements(By.CSS_SELECTOR, "img, b:not(figcaption b)") == []
    wide, room = driver.execute_script(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert wide <= room


def wait_for(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.1)


def has_begun(folder: Path) -> bool:
    """Return whether there is a run to be read."""
    try:
        return bool(read_run(find_run(folder)).run.key)
    except GaafError:
        return False


@pytest.fixture
def served() -> Iterator[Callable[[Path], tuple[subprocess.Popen[str], str]]]:
    """Starts ``gaaf-gp watch`` and returns the process and its address."""
    begun: list[subprocess.Popen[str]] = []

    def start(folder: Path) -> tuple[subprocess.Popen[str], str]:
        # started in the background, as tests may be, a process is born deaf to Ctrl-C
        command = ["env", "--default-signal=INT", sys.executable, "-m", "gaaf_gp.cli", "watch", str(folder)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        begun.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("http://127.0.0.1:"), (line, process.poll())
        return process, line.split()[0]

    yield start
    for process in begun:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.slow(40)
def test_watch_keeps_up_with_a_real_run(driver: Any, view: Set, tmp_path: Path, served: Any) -> None:
    """A search writes while its page is open: the page grows, and keeps what was opened and typed."""
    folder = tmp_path / "run"
    search = [
        sys.executable, "-m", "gaaf_gp.cli", "evolve", "--limit", "1000", "--epochs", "1", "--evaluations", "24",
        "--population", "6", "--workers", "1", "--no-random-search", "--fresh-seeds", "2", "--quiet", "--out",
        str(folder),
    ]  # fmt: skip
    running = subprocess.Popen(search, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: has_begun(folder) or running.poll() is not None)
        assert running.poll() is None, running.communicate()[1]
        process, address = served(folder)
        driver.get(address)

        def asked(what: str) -> Any:  # in one go: the page may be replaced at any time
            return driver.execute_script(f"return {what}")

        texts = "[...document.querySelectorAll('details.card')].map((card) => card.dataset.text)"
        opened = "[...document.querySelectorAll('details.card[open]')].map((card) => card.dataset.text)"
        wait_for(lambda: len(asked(texts)) >= 2)
        first = asked(texts)
        driver.execute_script("document.querySelector('details.card').open = true")
        (text,) = asked(opened)
        driver.execute_script("document.getElementById('filter').focus({preventScroll: true})")
        ActionChains(driver).send_keys("x").perform()
        driver.execute_script("window.scrollTo(0, 300)")
        assert running.wait(90) == 0
        wait_for(lambda: "finished" in asked("document.querySelector('.state').textContent"))
        assert len(first) < len(asked(texts)) == 24
        assert asked(opened) == [text]
        assert asked("document.getElementById('filter').value") == "x"
        assert asked("document.activeElement.id") == "filter"
        assert asked("scrollY") == 300
        assert asked("document.getElementById('live').textContent") == "live"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        if running.poll() is None:
            running.kill()
        running.communicate()
    driver.get("about:blank")
    noise = [one for one in driver.get_log("browser") if "ERR_CONNECTION_REFUSED" not in one["message"]]
    assert noise == [], "but that the server was gone"


def test_watch_serves_this_machine_only(tmp_path: Path, served: Any, make_run: Any, fill_run: Any) -> None:
    run = make_run(tmp_path / "run")
    fill_run(run, 10, 5)
    _, address = served(run.end())

    def ask(**headers: str) -> tuple[int, str, Any]:
        request = urllib.request.Request(address + headers.pop("path", ""), headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode(), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), error.headers

    status, body, headers = ask()
    assert status == 200
    assert body.count('class="card"') == 10
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert ask(**{"If-None-Match": headers["ETag"]})[0] == 304
    assert ask(Host="evil.example")[0] == 403
    assert "card" not in ask(Host="evil.example")[1]
    assert ask(path="config.json")[0] == 404
