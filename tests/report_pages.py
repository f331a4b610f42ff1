"""Report pages of the benchmark: parsed, and open in a browser."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from vqcodec_bench.page import Shown, render

HOSTILE = "</script><script>window.hit = 1</script><img src=x onerror=window.hit=2>.png"
LINES = "@@FILES@@ & \u2028 \u2029 <!-- \udcff.png"
MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"


class Parsed(HTMLParser):
    """The elements of a page, and the text of its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self._script: dict[str, str | None] | None = None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self._script = dict(attrs)

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self.scripts.append((self._script, data))

    def handle_endtag(self, tag: str) -> None:
        self._script = None

    def data(self) -> dict[str, Any]:
        [text] = [text for attributes, text in self.scripts if attributes.get("id") == "data"]
        return json.loads(text)


class Page:
    """A rendered page that is open in the browser."""

    def __init__(self, browser: Any, path: Path) -> None:
        self.browser = browser
        self.path = path

    def open(
        self, results: dict[str, Any], shown: list[Shown], width: int = 1280, height: int = 900
    ) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.path.write_text(render(results, shown), encoding="utf-8")
        self.browser.get(self.path.as_uri())

    def run(self, script: str, *arguments: Any) -> Any:
        return self.browser.execute_script(f"return {script}", *arguments)

    def find(self, selector: str) -> Any:
        return self.browser.find_element("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        script = "[...document.querySelectorAll(arguments[0])].map((node) => node.textContent)"
        found: list[str] = self.run(script, selector)
        return found

    def wait(self, condition: str) -> None:
        from selenium.webdriver.support.wait import WebDriverWait

        WebDriverWait(self.browser, 10, 0.05).until(lambda _: self.run(condition))

    def click(self, selector: str) -> None:
        self.run("document.querySelector(arguments[0]).click()", selector)

    def choose(self, selector: str, text: str) -> None:
        from selenium.webdriver.support.select import Select

        Select(self.find(selector)).select_by_visible_text(text)

    def assert_no_errors(self) -> None:
        assert self.browser.get_log("browser") == []
        assert self.run("window.troubles") == []
        assert self.run("window.hit") is None
