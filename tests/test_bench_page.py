"""The benchmark's report page: as text, and in a real browser where there is one."""

from __future__ import annotations

import copy
import io
import json
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image
from report_pages import DASH, HOSTILE, LINES, MINUS, Page, Parsed
from vqcodec_bench.page import Shown, render

pytest_plugins = ("report_browser",)

WIDTH, HEIGHT = 48, 32


def picture(quality: int, kind: str) -> bytes:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    pixels = np.stack([5 * x, 7 * y, 3 * (x + y)], axis=-1).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, quality=quality)
    return file.getvalue()


def point(codec: str, quality: float, bpp: float, psnr: float) -> dict[str, Any]:
    similarity = 1 - 10 ** (-psnr / 25)
    figures = {"bpp": bpp, "psnr": psnr, "ms_ssim": similarity, "ssimulacra2": 3 * psnr - 60}
    return {"codec": codec, "quality": quality, **figures}


def make_results(*names: str) -> dict[str, Any]:
    curves = [point("jpeg", q, 0.2 + q / 40, 22 + q / 5) for q in (10, 30, 50, 90)]
    curves += [point("webp", q, 0.1 + q / 50, 23 + q / 5) for q in (10, 30, 50, 90)]
    curves += [point("paper-fixed", 1, 0.564, 28.0), point("paper", 1, 0.2566, 28.0)]
    curves[0]["ssimulacra2"] = None
    ours = {"scale": "model", "ours": True}
    points = [{"bpp": b, "psnr": 30 + 6 * b, "ms_ssim": None} for b in (0.1, 1.0, 2.0)]
    return {
        "medium": "picture",
        "date": "2026-11-21",
        "widest_bpp": 1.5,
        "versions": {"vqcodec": "0.1.0", "python": "3.11.7"},
        "machine": {"processor": "Abacus", "cores": 2, "system": "Linux x86_64"},
        "pictures": [{"name": name, "width": WIDTH, "height": HEIGHT} for name in names],
        "codecs": [
            {"name": "jpeg", "label": "JPEG", "version": "1", "settings": "4:2:0"}
            | {"scale": "quality", "ours": False},
            {"name": "webp", "label": "WebP", "scale": "quality", "ours": False},
            {"name": "paper-fixed", "label": "vqcodec paper, fixed length", **ours},
            {"name": "paper", "label": "vqcodec paper", **ours},
        ],
        "missing": [{"codec": "jxl", "why": "pillow-jxl-plugin is not installed"}],
        "failed": [{"picture": "broken.png", "why": "truncated"}],
        "points": [
            row | {"picture": name, "bytes": round(row["bpp"] * WIDTH * HEIGHT / 8)}
            for name in names
            for row in curves
        ],
        "curves": curves,
        "published": [
            {"name": name, "label": label, "source": f"{name}.json", "points": points}
            for name, label in (("vtm", "VTM (VVC)"), ("elic", "ELIC"))
        ],
        "bd_rate": [
            {"codec": a, "against": b, "metric": "psnr", "percent": percent}
            | {"low": 24.0, "high": 38.0}
            for a, b, percent in (("webp", "jpeg", -36.5), ("jpeg", "webp", 57.5))
        ],
        "ratios": [
            {"codec": codec, "label": codec, "bpp": bpp, "ratio": ratio, "fixed_bits": 9.0}
            | {"unigram_bits": 7.69, "prior_bits": None, "equal_psnr": None, "equal_ms_ssim": 5.0}
            for codec, bpp, ratio in (("paper-fixed", 0.564, 42.6), ("paper", 0.2566, 93.5))
        ],
        "speed": [
            {"codec": "jpeg", "quality": 50, "direction": way, "amount": 0.393216, "seconds": 0.012}
            | {"cpu_seconds": 0.012, "first_seconds": 0.02, "mp_per_s": 32.1, "peak_mib": 61.2}
            | {"note": ""}
            for way in ("encode", "decode")
        ],
    }


EMPTY: dict[str, Any] = {
    key: [] if isinstance(value, list) else value for key, value in make_results().items()
}


def make_shown(*names: str) -> list[Shown]:
    files = [
        (None, None, "PNG", 100, True),
        *[("jpeg", quality, "JPEG", quality, True) for quality in (10, 30, 50)],
        *[("webp", quality, "WEBP", quality, True) for quality in (10, 30)],
        ("paper", 1, "WEBP", 95, False),
    ]
    return [
        Shown(
            item=name,
            codec=codec,
            quality=quality,
            mime=f"image/{kind.lower()}",
            data=picture(level, kind),
            exact=exact,
        )
        for name in names
        for codec, quality, kind, level, exact in files
    ]


def test_results_come_back_out_of_the_page() -> None:
    results = make_results("a.png", HOSTILE, LINES)
    page = render(results, make_shown("a.png"))
    page.encode("utf-8")
    data = Parsed(page).data()
    assert data["results"] == results
    assert [entry["codec"] for entry in data["shown"]][:2] == [None, "jpeg"]
    assert "\u2028" not in page
    assert "@@" not in page.replace(LINES.split()[0], "")


def test_what_json_cannot_hold_becomes_null() -> None:
    results = make_results("a.png")
    results["curves"][0]["psnr"] = float("inf")
    results["curves"][1]["psnr"] = float("nan")
    rows = Parsed(render(results, [])).data()["results"]["curves"]
    assert [row["psnr"] for row in rows[:3]] == [None, None, 32.0]


def test_hostile_names_add_no_elements() -> None:
    def count(*names: str) -> list[str]:
        page = Parsed(render(make_results(*names), make_shown(*names)))
        return [tag for tag, _ in page.elements]

    assert count(HOSTILE, LINES) == count("a.png", "b.png")


def test_nothing_is_loaded_from_elsewhere() -> None:
    page = render(make_results("a.png"), make_shown("a.png"))
    elements = Parsed(page).elements
    references = {a[key] for _, a in elements for key in ("src", "href", "srcset") if key in a}
    assert references == {"data:,"}
    assert not re.search(r"https?://|@import|url\(|\bfetch\(", page)
    [policy] = [a["content"] for _, a in elements if "http-equiv" in a]
    assert policy is not None
    assert policy.startswith("default-src 'none';")


def test_every_image_is_embedded_once() -> None:
    shown = make_shown("a.png", "b.png")  # both pictures have the same pixels
    page = Parsed(render(make_results("a.png", "b.png"), shown))
    blocks = [(a, text) for a, text in page.scripts if a.get("type") == "text/plain"]
    assert len(blocks) == len({text for _, text in blocks}) == len({item.data for item in shown})
    keys = {attributes["data-key"] for attributes, _ in blocks}
    assert {entry["key"] for entry in page.data()["shown"]} == keys


def test_results_are_left_alone() -> None:
    results = make_results("a.png")
    before = copy.deepcopy(results)
    render(results, [])
    assert results == before


# In a browser.


def test_headline(page: Page) -> None:
    page.open(make_results("a.png", "b.png"), [])
    assert page.texts("h1") == ["vqcodec against JPEG and WebP on 2 pictures"]
    [facts] = page.texts("#circumstances")
    assert facts.startswith(
        "21 November 2026 · 48 \N{MULTIPLICATION SIGN} 32 pixels · Abacus · 2 cores"
    )
    [absent] = page.texts("#absent")
    assert absent == (
        "Not compared: jxl (pillow-jxl-plugin is not installed). Failed: broken.png (truncated)."
    )


def test_curves_and_their_switches(page: Page) -> None:
    page.open(make_results("a.png"), [])
    # Two peers and VTM; ours are single points and ELIC waits to be switched on.
    assert page.run("document.querySelectorAll('#plot path.curve').length") == 3
    assert page.run("document.querySelectorAll('#plot .ours .marker').length") == 2
    assert page.run("document.querySelectorAll('#plot path.curve[stroke-dasharray]').length") == 1
    pressed = "[...document.querySelectorAll('#legend button')].map((b) => b.ariaPressed)"
    assert page.run(pressed) == ["true"] * 5 + ["false"]
    page.find("#legend div:last-child button:last-child").send_keys(" ")
    page.wait("document.querySelectorAll('#plot path.curve').length === 4")
    assert page.run(pressed) == ["true"] * 6
    # Two of the peers', and the last of VTM and of ELIC.
    assert page.texts("#chart-note")[0].startswith("4 points beyond 1.5 bpp are not drawn")
    page.click("input[name=limit][value=Infinity]")
    assert "not drawn" not in page.texts("#chart-note")[0]
    page.click("input[name=axis][value=log]")
    assert page.texts(".x-title") == ["bits per pixel (bpp), logarithmic"]


def test_metric_changes_the_axis(page: Page) -> None:
    page.open(make_results("a.png"), [])
    titles = []
    for metric in ("psnr", "ms_ssim", "ssimulacra2"):
        page.click(f"input[name=metric][value={metric}]")
        titles += page.texts(".y-title")
    assert titles == [
        "PSNR on RGB (dB)",
        f"MS-SSIM as {MINUS}10 log₁₀(1 {MINUS} x) (dB)",
        "SSIMULACRA2",
    ]
    # JPEG's null is left out, VTM has no such figures.
    assert page.run("document.querySelectorAll('#plot .peer .marker').length") == 5
    assert page.run("document.querySelectorAll('#plot .published .marker').length") == 0


def test_single_picture_hides_published_curves(page: Page) -> None:
    page.open(make_results("a.png", "b.png"), [])
    page.choose("#chart-item", "b.png")
    assert page.run("document.querySelectorAll('#plot .published').length") == 0
    assert page.run("document.querySelectorAll('#legend button:disabled').length") == 2
    assert page.run("document.querySelectorAll('#plot path.curve').length") == 2


def test_tooltip(page: Page) -> None:
    from selenium.webdriver import ActionChains

    page.open(make_results("a.png"), [])
    page.choose("#chart-item", "a.png")
    page.run("document.querySelector('#plot').scrollIntoView()")
    assert page.run("document.querySelector('#tooltip').hidden")
    ActionChains(page.browser).move_to_element(page.find("#plot .peer .marker")).perform()
    assert page.texts("#tooltip strong") == ["JPEG, quality 10"]
    facts = dict(zip(page.texts("#tooltip dt"), page.texts("#tooltip dd"), strict=True))
    # ssimulacra2 is null there.
    assert facts == {
        "bpp": "0.450",
        "ratio": "53.3x",
        "bytes": "86",
        "PSNR": "24.00 dB",
        "MS-SSIM": "0.8904 (9.60 dB)",
    }
    ActionChains(page.browser).move_to_element(page.find("h2")).perform()
    assert page.run("document.querySelector('#tooltip').hidden")


def test_tables_sort(page: Page) -> None:
    page.open(make_results("a.png"), [])
    column = "#means tbody td:nth-child(7)"
    head = "#means th:nth-child(7)"
    before = page.texts(column)
    page.find(f"{head} button").click()
    assert page.run("document.querySelector(arguments[0]).ariaSort", head) == "ascending"
    rising = page.texts(column)
    page.find(f"{head} button").click()
    assert page.run("document.querySelector(arguments[0]).ariaSort", head) == "descending"
    falling = page.texts(column)
    assert before[0] == rising[-1] == falling[-1] == DASH  # nulls last, both ways
    values = [float(text.replace(MINUS, "-")) for text in rising[:-1]]
    assert values == sorted(values)
    assert [float(text.replace(MINUS, "-")) for text in falling[:-1]] == values[::-1]
    page.find("#means th:first-child button").click()
    assert page.run("document.querySelectorAll('#means [aria-sort]').length") == 1
    assert page.texts("#means tbody th")[0] == "JPEG"


def test_tables_hold_the_figures(page: Page) -> None:
    page.open(make_results("a.png"), [])
    assert page.texts("#bd-rate .fewer") == [f"{MINUS}36.5 %"]
    assert page.texts("#bd-rate .more") == ["+57.5 %"]
    assert page.texts("#bd-rate td small") == ["24.0 to 38.0"] * 2
    row = page.texts("#ratios tbody tr:first-child > *")
    assert row == ["paper-fixed", "0.5640", "42.6", "9.00", "7.69", DASH, DASH, "5.0", DASH]
    assert page.texts("#speed tbody td:nth-child(3)") == ["encode", "decode"]


def slider_state(page: Page) -> tuple[str, str]:
    style = "document.querySelector('.pane.right').style.clipPath"
    return page.run(style), page.run("document.querySelector('#handle').ariaValueNow")


def test_divider_by_keyboard_and_by_drag(page: Page) -> None:
    from selenium.webdriver import ActionChains, Keys

    page.open(make_results("a.png"), make_shown("a.png"))
    handle = page.find("#handle")
    assert handle.get_attribute("role") == "slider"
    assert slider_state(page) == ("inset(0px 0px 0px 50%)", "50")
    handle.send_keys(Keys.ARROW_RIGHT)
    assert slider_state(page) == ("inset(0px 0px 0px 52%)", "52")
    handle.send_keys(Keys.HOME)
    assert slider_state(page) == ("inset(0px 0px 0px 0%)", "0")
    handle.send_keys(Keys.END)
    assert slider_state(page)[1] == "100"
    # The handle stands half outside; bringing it into view must not scroll the stage.
    ActionChains(page.browser).drag_and_drop_by_offset(handle, -24, 0).perform()
    assert 45 <= int(slider_state(page)[1]) <= 55
    assert page.run("document.querySelector('#stage').scrollLeft") == 0
    page.click("input[name=zoom][value='2']")
    ActionChains(page.browser).drag_and_drop_by_offset(handle, 24, 0).perform()
    assert 70 <= int(slider_state(page)[1]) <= 80


def test_slider_shows_what_is_chosen(page: Page) -> None:
    page.open(make_results("a.png", "b.png"), make_shown("b.png"))
    loaded = "[...document.querySelectorAll('.pane img')].every((i) => i.naturalWidth === 48)"
    page.wait(loaded)
    assert page.texts("#slider-picture option") == ["b.png"]  # the other has no files
    assert page.texts(".pane .chip") == ["Original", "vqcodec paper"]
    assert page.texts("#compared tbody tr:last-child td") == [
        "",
        "shown through a WebP of quality 95",
    ]
    assert page.run("document.querySelector('#match-right').disabled")
    page.choose("#slider-left", "JPEG, quality 30 · 0.950 bpp")
    page.choose("#slider-right", "WebP, quality 10 · 0.300 bpp")
    page.click("#match-right")
    page.wait(loaded)
    assert page.texts(".pane .chip") == ["JPEG, quality 30", "WebP, quality 30"]
    assert page.texts("#compared tbody tr:nth-child(2) td") == ["182", "134"]
    assert page.run("window.living.size") == 2
    assert page.run("document.querySelector('.pane img').style.imageRendering") == "auto"
    page.click("input[name=zoom][value='2']")
    images = "[...document.querySelectorAll('.pane img')]"
    assert page.run(f"{images}.map((image) => image.style.imageRendering)") == ["pixelated"] * 2
    boxes = page.run(f"{images}.map((image) => JSON.stringify(image.getBoundingClientRect()))")
    assert boxes[0] == boxes[1]
    assert json.loads(boxes[0])["width"] == 2 * WIDTH


def test_hostile_names_run_no_script(page: Page) -> None:
    results = make_results(HOSTILE, LINES)
    results["codecs"][0]["label"] = HOSTILE
    results["published"][0]["label"] = HOSTILE
    results["speed"][0]["note"] = HOSTILE
    results["failed"][0]["why"] = HOSTILE
    page.open(results, make_shown(HOSTILE))
    page.wait("document.querySelector('.pane img').naturalWidth === 48")
    assert page.texts("#slider-picture option") == [HOSTILE]
    assert page.run("window.hit") is None
    assert page.run("document.querySelectorAll('img:not(.pane img)').length") == 0


@pytest.mark.parametrize("width", [360, 1280])
def test_page_is_no_wider_than_the_window(page: Page, width: int) -> None:
    results = make_results("a.png", "a-very-long-name-without-any-place-to-break-it" * 3 + ".png")
    page.open(results, make_shown("a.png"), width, 740)
    page.wait("document.querySelector('.pane img').naturalWidth === 48")
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run("document.body.scrollWidth") <= width


def test_nothing_to_show(page: Page) -> None:
    page.open(EMPTY, [])
    assert page.texts("h1") == ["vqcodec on 0 pictures"]
    assert page.texts("#slider p") == ["No pictures were stored with this report."]
    assert "No points to draw." in page.texts("#plot text")
    hidden = "[...document.querySelectorAll('section[hidden]')].map((section) => section.id)"
    assert page.run(hidden) == ["ratios", "bd-rate", "means", "speed"]
