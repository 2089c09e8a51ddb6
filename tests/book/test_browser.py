"""The book in a browser, opened as a file: drawn, accessible, without errors, nothing fetched."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="needs chromium and chromedriver (Debian: apt install chromium chromium-driver)",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    profile = tmp_path_factory.mktemp("profile")
    for flag in (
        "headless=new",
        "no-sandbox",
        "disable-dev-shm-usage",
        "disable-background-networking",
        f"user-data-dir={profile}",
    ):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def names(book):
    """Every page that a reader gets to, the landing page first."""
    pages = sorted([*book.glob("*.html"), *book.glob("notebooks/*.html"), *book.glob("api/*.html")])
    return sorted(pages, key=lambda page: page.name != "index.html")


def ready(browser, page, width=1300, mode="light"):
    from selenium.webdriver.support.ui import WebDriverWait

    wish = [{"name": "prefers-color-scheme", "value": mode}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wish})
    browser.set_window_size(width, 900)
    browser.get(page.as_uri())
    drawn = (
        "return document.readyState === 'complete' &&"
        " (!document.querySelector('.math') || document.querySelector('mjx-container') !== null)"
    )
    WebDriverWait(browser, 60).until(lambda b: b.execute_script(drawn))


def test_pages_open_without_errors_and_without_the_network(browser, names):
    severe, fetched, unmade = [], [], []
    for page in names:
        ready(browser, page)
        severe += [e["message"] for e in browser.get_log("browser") if e["level"] == "SEVERE"]
        for entry in browser.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                address = message["params"]["request"]["url"]
                if not address.startswith(("file:", "data:", "blob:", "chrome:")):
                    fetched.append((page.name, address))
        unmade += [page.name] * browser.execute_script(
            "return document.querySelectorAll('mjx-merror, [data-mjx-error]').length"
        )
    assert (severe, fetched, unmade) == ([], [], [])


def test_the_contents_open_on_a_narrow_screen(browser, names):
    ready(browser, names[0], width=500)
    shown = (
        "const r = document.querySelector('.bd-sidebar-primary a.internal')"
        ".getBoundingClientRect(); return r.left >= 0 && r.right <= innerWidth && r.width > 0"
    )
    assert not browser.execute_script(shown)
    browser.execute_script(
        "[...document.querySelectorAll('.primary-toggle')]"
        ".find(b => b.getBoundingClientRect().width > 0).click()"
    )
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 20).until(lambda b: b.execute_script(shown))


def test_pages_do_not_scroll_sideways_on_a_narrow_screen(browser, names):
    wide = []
    for page in names:
        ready(browser, page, width=500)
        over = browser.execute_script("return document.documentElement.scrollWidth - innerWidth")
        if over > 1:
            wide.append((page.name, over))
    assert not wide


BUILT = ("search", "genindex", "py-modindex")
ALSO_DARK = ("index", "glossary", "02_corpus", "08_leaderboard", "09_your_own")
AUDIT = """
const done = arguments[arguments.length - 1];
axe.run('article.bd-article', {resultTypes: ['violations'], preload: false}).then(found => done(
  found.violations.filter(v => ['serious', 'critical'].includes(v.impact)).map(v =>
    `${v.id}: ${v.nodes.length} times, first ${v.nodes[0].html.slice(0, 150)}`)));
"""


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_axe_finds_nothing_serious(browser, names, mode):
    """In the dark, which is one sheet of colours, on the pages with most kinds of content.

    Of the pages on the library one is enough: all are made in the same way, and they are large.
    """
    package = find_spec("axe_playwright_python")
    if package is None:
        pytest.skip("needs axe-playwright-python, as in tests/oracles.txt")
    axe = (Path(package.origin).parent / "axe.min.js").read_text(encoding="utf-8")
    browser.set_script_timeout(300)
    found = {}
    for page in names:
        if page.stem in BUILT or (page.parent.name == "api" and page.stem != "harness"):
            continue
        if mode == "dark" and page.stem not in ALSO_DARK:
            continue
        ready(browser, page, mode=mode)
        assert browser.execute_script("return document.documentElement.dataset.theme") == mode
        browser.execute_script(axe)
        if serious := browser.execute_async_script(AUDIT):
            found[page.name] = serious
    assert not found


def test_search_finds_a_page(browser, book):
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get((book / "search.html").as_uri() + "?q=fault")
    WebDriverWait(browser, 60).until(
        lambda b: b.execute_script("return document.querySelectorAll('#search-results li').length")
    )
