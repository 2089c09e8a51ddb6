"""The sortable table: a plain table in itself, and what the script makes of it in a browser."""

import shutil

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from analysis_lib.errors import InputError
from analysis_lib.leaderboard import SortableTable

FRAME = pd.DataFrame(
    {
        "who": ["b<i>", "a", "c", "d"],
        "kind": ["one", "two", "two", "one"],
        "score": [0.5, 0.25, np.nan, 0.125],
        "n": [10, 9, 100, 1],
    }
)


def make(**options):
    options = {"name": "scores", "caption": "Who & what.", "filters": {"kind": ""}} | options
    return SortableTable(FRAME, formats={"score": ["½", "¼", "–", "⅛"]}, **options)


def test_without_scripts_it_is_a_plain_table():
    soup = BeautifulSoup(make().to_html(), "html.parser")
    assert [h.get_text() for h in soup.select("thead th")] == list(FRAME)
    rows = [[c.get_text() for c in row.find_all(["th", "td"])] for row in soup.select("tbody tr")]
    assert rows[0] == ["b<i>", "one", "½", "10"] and len(rows) == 4
    assert soup.caption.get_text() == "Who & what." and soup.select("tbody th[scope=row]")
    assert not soup.select("button, select"), "controls are made by the script"
    assert [c["data-value"] for c in soup.select("tbody td.number")][:2] == ["0.5", "10"]


def test_nothing_is_loaded_and_a_page_stands_alone():
    page = make().to_page()
    soup = BeautifulSoup(page, "html.parser")
    assert not soup.select("[src], link, a[href]") and "http" not in page and "@import" not in page
    assert page.startswith("<!DOCTYPE html>") and soup.title.get_text() == "Who & what."
    assert set(make()._repr_mimebundle_()) == {"text/plain", "text/html"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "Two words"}, "does not fit"),
        ({"filters": {"knd": ""}}, "no column 'knd'"),
        ({"filters": {"kind": "three"}}, "has 'three' as its kind"),
        ({"descending": ["m"]}, "no column 'm'"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        make(**options)


CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not (CHROMIUM and DRIVER):
        pytest.skip("needs chromium and chromedriver (Debian: apt install chromium-driver)")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    folder = tmp_path_factory.mktemp("profile")
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage", f"user-data-dir={folder}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


SHOWN = (
    "return [...document.querySelectorAll('.sortable tbody tr')].filter(r => !r.hidden)"
    ".map(r => r.cells[0].textContent)"
)


def test_headings_sort_and_selections_filter_by_keyboard_and_mouse(browser, tmp_path):
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import Select

    page = tmp_path / "page.html"
    page.write_text(make(descending=["score"], filters={"kind": "two"}).to_page(), "utf-8")
    browser.set_window_size(500, 800)
    browser.get(page.as_uri())
    assert browser.execute_script(SHOWN) == ["a", "c"]
    status = browser.find_element("css selector", "[role=status]")
    assert status.text == "2 of 4 rows"
    Select(browser.find_element("css selector", "select")).select_by_visible_text("all")
    heads = browser.find_elements("css selector", "thead th")
    who, score, n = (heads[k].find_element("css selector", "button") for k in (0, 2, 3))
    who.send_keys(Keys.ENTER)
    assert browser.execute_script(SHOWN) == ["a", "b<i>", "c", "d"]
    assert [h.get_attribute("aria-sort") for h in heads] == ["ascending", "none", "none", "none"]
    score.send_keys(Keys.SPACE)
    assert browser.execute_script(SHOWN) == ["b<i>", "a", "d", "c"], "missing values go last"
    assert heads[2].get_attribute("aria-sort") == "descending"
    score.click()
    assert browser.execute_script(SHOWN) == ["d", "a", "b<i>", "c"]
    n.click()
    assert browser.execute_script(SHOWN) == ["d", "a", "b<i>", "c"], "numbers, not text"
    n.click()
    assert browser.execute_script(SHOWN) == ["c", "b<i>", "a", "d"]
    wide = browser.execute_script("return document.documentElement.scrollWidth - innerWidth")
    assert wide <= 1
    assert [e for e in browser.get_log("browser") if "favicon" not in e["message"]] == []


def test_two_outputs_on_a_page_are_made_ready_once_each(browser, tmp_path):
    page = tmp_path / "two.html"
    page.write_text(f"<!DOCTYPE html><body>{make().to_html()}{make().to_html()}</body>", "utf-8")
    browser.get(page.as_uri())
    counts = browser.execute_script(
        "return [...document.querySelectorAll('.sortable')].map(b =>"
        " [b.querySelectorAll('thead button').length, b.querySelectorAll('.controls').length])"
    )
    assert counts == [[4, 1], [4, 1]]
