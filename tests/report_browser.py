"""Fixtures for report pages in a real browser, where there is one.

Test modules have them by `pytest_plugins`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report_pages import Page


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    pytest.importorskip("selenium")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    names = ("chromium", "chromium-browser", "google-chrome")
    binary = next(filter(None, map(shutil.which, names)), None)
    driver = shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("no Chromium with a chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    switches = "headless=new no-sandbox disable-gpu disable-quic no-first-run disable-dev-shm-usage"
    switches += " disable-background-networking disable-component-update disable-sync"
    switches += " autoplay-policy=no-user-gesture-required"
    for switch in switches.split():
        options.add_argument(f"--{switch}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=Service(driver))
    count = """
        window.living = new Set();
        window.troubles = [];
        addEventListener("error", (event) => troubles.push(event.message));
        const [create, revoke] = [URL.createObjectURL, URL.revokeObjectURL];
        URL.createObjectURL = (blob) => { const url = create(blob); living.add(url); return url; };
        URL.revokeObjectURL = (url) => { living.delete(url); revoke(url); };
    """
    chrome.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": count})
    yield chrome
    chrome.quit()


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Iterator[Page]:
    opened = Page(browser, tmp_path / "report.html")
    yield opened
    opened.assert_no_errors()
