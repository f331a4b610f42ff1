"""The benchmark's report page of sound, in a real browser where there is one."""

from __future__ import annotations

import io
import wave
from typing import Any

import numpy as np
import pytest
from report_pages import DASH, HOSTILE, MINUS, Page, Parsed
from vqcodec_bench.page import Shown, render

pytest_plugins = ("report_browser",)

RATE, SECONDS = 16000, 2
CARDS = "#players .card"


def tone(hertz: float) -> bytes:
    """A WAV file of two seconds."""
    times = np.arange(SECONDS * RATE) / RATE
    samples = (8000 * np.sin(2 * np.pi * hertz * times)).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(samples.tobytes())
    return file.getvalue()


def point(codec: str, quality: float, kbps: float, pesq: float) -> dict[str, Any]:
    figures = {"kbps": kbps, "pesq": pesq, "stoi": 0.6 + pesq / 12, "distillmos": None}
    return {"codec": codec, "quality": quality, **figures, "visqol": None}


CURVES = [
    *(point("opus", quality, 1.1 * quality, 1 + quality / 6) for quality in (6, 9, 12)),
    *(point("codec2", mode, mode / 1000, 1 + mode / 6000) for mode in (1200, 2400)),
    *(point("speech", q, 1.2 * q, 1 + q / 3) | {"fixed_bits": 8.0} for q in range(1, 7)),
]


def make_results(*names: str) -> dict[str, Any]:
    for row in CURVES[-6:]:
        row |= {"unigram_bits": 7.0, "prior_bits": 5.6}
    return {
        "medium": "sound",
        "date": "2026-11-26",
        "versions": {"vqcodec": "0.1.0"},
        "machine": {"processor": "Abacus", "cores": 2, "system": "Linux x86_64"},
        "widest_kbps": 16.0,
        "sounds": [{"name": name, "seconds": float(SECONDS)} for name in names],
        "codecs": [
            {"name": "opus", "label": "Opus", "scale": "kbit/s", "ours": False},
            {"name": "codec2", "label": "Codec 2", "scale": "mode", "ours": False},
            {"name": "speech", "label": "vqcodec speech", "scale": "quality", "ours": True},
        ],
        "missing": [{"codec": "speex", "why": "speexenc is not installed"}],
        "failed": [{"sound": "broken.wav", "why": "truncated"}],
        "points": [
            row | {"sound": name, "bytes": round(row["kbps"] * 125 * SECONDS)}
            for name in names
            for row in CURVES
        ],
        "curves": CURVES,
        "bd_rate": [],
        "reached": [
            {"codec": "opus", "quality": quality, "kbps": 1.1 * quality, "metric": "pesq"}
            | {"value": 1 + quality / 6, "at": at, "at_most": most}
            for quality, at, most in (
                (6, {"speech": 3.6}, []),
                (9, {"speech": 11.25}, []),
                (12, {"codec2": 1.2}, ["codec2"]),
            )
        ],
        "speed": [
            {"codec": "opus", "quality": 6, "direction": way, "amount": 4.0, "seconds": 0.04}
            | {"cpu_seconds": 0.04, "first_seconds": 0.1, "real_time": 100.0, "peak_mib": 61.2}
            | {"note": "", "files": {"a.wav": 80.0, "b.wav": 130.0}}
            for way in ("encode", "decode")
        ],
    }


def make_shown(*names: str, broken: bool = False) -> list[Shown]:
    """Every codec's files hold a tone of their own."""
    hertz = {"opus": 1000, "codec2": 2000, "speech": 4000}
    kinds: list[tuple[str | None, float | None, bytes]] = [(None, None, tone(6000))]
    kinds += [(row["codec"], row["quality"], tone(hertz[row["codec"]])) for row in CURVES]
    return [
        Shown(
            item=name,
            codec=codec,
            quality=quality,
            mime="audio/wav",
            data=b"nothing to hear" if broken and codec == "opus" else data,
            exact=True,
        )
        for name in names
        for codec, quality, data in kinds
    ]


def painted(page: Page, count: int) -> None:
    page.wait(f"document.querySelectorAll('.spectrogram .end:not(:empty)').length === {count}")


def test_nothing_is_loaded_from_elsewhere() -> None:
    elements = Parsed(render(make_results("a.wav"), make_shown("a.wav"))).elements
    references = {a[key] for _, a in elements for key in ("src", "href", "srcset") if key in a}
    assert references == {"data:,"}


def test_headline_and_curves(page: Page) -> None:
    page.open(make_results("a.wav", "b.wav"), [])
    assert page.texts("h1") == ["vqcodec against Opus and Codec 2 on 2 sounds"]
    assert "4 s of sound" in page.texts("#circumstances")[0]
    [absent] = page.texts("#absent")
    assert "speex (speexenc is not installed)" in absent
    assert "broken.wav (truncated)" in absent
    assert page.texts(".x-title") == ["kbit/s"]
    # Metrics that no sound has are not offered.
    assert page.texts("#chart-controls fieldset:first-child span") == ["PESQ", "STOI"]
    assert page.run("document.querySelectorAll('#plot path.curve').length") == 3


def test_cards_show_codecs_at_like_rates(page: Page) -> None:
    page.open(make_results("a.wav"), make_shown("a.wav"))
    page.click("input[name=target][value='2.4']")
    titles = ["Original", "vqcodec speech, quality 2", "Codec 2, mode 2,400"]
    assert page.texts(f"{CARDS} h3") == titles
    assert page.texts(f"{CARDS} .note")[1] == "2.40 kbit/s · PESQ 1.67 · STOI 0.739"
    page.click("input[name=target][value='6']")
    assert page.texts(f"{CARDS} h3") == ["Original", "vqcodec speech, quality 5", "Opus, 6 kbit/s"]
    assert page.run("window.living.size") == 3  # those of the cards before were let go
    painted(page, 3)
    assert set(page.texts(".spectrogram .end")) == {"2.0 s"}


def test_sounds_that_are_still_loading_can_be_left(page: Page) -> None:
    page.open(make_results("a.wav"), make_shown("a.wav"))
    every = "document.querySelectorAll('input[name=target]')"
    for _ in range(4):
        page.run(f"{every}.forEach((input) => input.click())")
    page.click("input[name=target][value='6']")
    painted(page, 3)
    assert page.run("window.living.size") == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_spectrograms_show_each_tone_where_it_is(page: Page, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    page.open(make_results("a.wav"), make_shown("a.wav"))
    page.click("input[name=target][value='6']")
    painted(page, 3)
    rows = page.run(
        """[...document.querySelectorAll('.spectrogram canvas')].map((canvas) => {
            const { width, height } = canvas;
            const { data } = canvas.getContext('2d').getImageData(width >> 1, 0, 1, height);
            const light = Array.from({ length: height }, (_, y) => data[4 * y] + data[4 * y + 1]);
            const far = light.map((value) => Math.abs(value - light[20]));
            return height - 1 - far.indexOf(Math.max(...far));
        })"""
    )
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert [row * RATE / 512 for row in rows] == pytest.approx([6000, 4000, 1000], abs=32)


def test_one_player_takes_over_from_another(page: Page) -> None:
    page.open(make_results("a.wav"), make_shown("a.wav"))
    sounds = "document.querySelectorAll('audio')"
    page.wait(f"[...{sounds}].every((audio) => audio.readyState > 0)")
    page.run(f"{sounds}.forEach((audio) => {{ audio.muted = true; }})")
    page.run(f"{sounds}[0].play()")
    page.wait(f"{sounds}[0].currentTime > 0.2")
    page.run(f"{sounds}[1].play()")
    page.wait(f"{sounds}[0].paused && !{sounds}[1].paused")
    assert page.run(f"{sounds}[1].currentTime") >= 0.2
    page.wait("document.querySelectorAll('.spectrogram i:not([hidden])').length === 2")


def test_a_press_on_a_spectrogram_seeks(page: Page) -> None:
    page.open(make_results("a.wav"), make_shown("a.wav"))
    page.wait("document.querySelector('audio').readyState > 0")
    page.find(".spectrogram").click()  # in its middle
    page.wait("document.querySelector('audio').currentTime > 0")
    assert page.run("document.querySelector('audio').currentTime") == pytest.approx(1.0, abs=0.1)


def test_what_a_browser_cannot_decode_is_said(page: Page) -> None:
    page.open(make_results("a.wav"), make_shown("a.wav", broken=True))
    page.click("input[name=target][value='6']")
    page.wait("document.querySelectorAll('.card .note')[2].textContent.includes('decode')")
    assert page.texts(f"{CARDS} .note")[2] == "this browser does not decode audio/wav"


def test_rates_at_equal_quality(page: Page) -> None:
    page.open(make_results("a.wav"), [])
    rows = "#reached-table tbody tr"
    assert page.texts("#reached-table thead th") == [
        *("Codec", "Setting", "Ratekbit/s", "PESQ", "vqcodec speechkbit/s", "Codec 2kbit/s"),
    ]
    assert page.texts(f"{rows}:first-child td:nth-child(n + 3)") == ["6.60", "2.00", "3.60", DASH]
    assert page.texts(f"{rows}:last-child td:last-child") == ["≤ 1.20"]
    assert page.texts("#reached-table .more") == ["11.25"]


def test_tables_hold_the_figures(page: Page) -> None:
    page.open(make_results("a.wav"), [])
    assert page.texts("#indices tbody tr:first-child td:nth-child(n + 3)") == [
        *("8.00", "7.00", "5.60", "20.0"),
    ]
    assert page.texts("#speed tbody tr:first-child td")[6:9] == ["100.0", "80.0", "61.2"]
    assert MINUS not in page.texts("#means")[0]


def test_hostile_names_run_no_script(page: Page) -> None:
    results = make_results(HOSTILE)
    results["codecs"][0]["label"] = HOSTILE
    results["failed"][0]["why"] = HOSTILE
    page.open(results, make_shown(HOSTILE))
    painted(page, len(page.texts(f"{CARDS} h3")))
    assert page.texts("#listen-sound option") == [HOSTILE]
    assert page.run("document.querySelectorAll('img').length") == 0


@pytest.mark.parametrize("width", [360, 1280])
def test_page_is_no_wider_than_the_window(page: Page, width: int) -> None:
    long = "a-very-long-name-without-any-place-to-break-it" * 3 + ".wav"
    page.open(make_results(long), make_shown(long), width, 740)
    painted(page, len(page.texts(f"{CARDS} h3")))
    assert page.run("document.documentElement.scrollWidth") <= width


def test_nothing_to_show(page: Page) -> None:
    page.open({"medium": "sound", "codecs": []}, [])
    assert page.texts("h1") == ["vqcodec on 0 sounds"]
    assert "No sounds were stored with this report." in page.texts("#listen p")
    assert "No points to draw." in page.texts("#plot text")
    hidden = "[...document.querySelectorAll('section[hidden]')].map((section) => section.id)"
    assert page.run(hidden) == ["reached", "indices", "bd-rate", "means", "speed"]
