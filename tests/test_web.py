"""The page in a real browser: the same indices and pixels as Python, and what people see.

Skipped where the page was not built (web/README.md) or there is no Chromium.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import photo, with_metadata
from PIL import Image
from test_vectors import VECTORS, Vector, is_clip, is_sound, pixels_sha256, vectors
from test_web_server import serving

import vqcodec
from vqcodec.container import Medium, parse
from vqcodec.errors import ModelError
from vqcodec.registry.load import parse_model
from vqcodec.registry.store import ModelFile, list_models
from vqcodec.view.site import INDEX, PAGE, Resource, resources

pytest_plugins = ("report_browser",)
pytestmark = pytest.mark.skipif(not (PAGE / INDEX).exists(), reason="the page was not built")

_ASK = """
const [kind, content, done] = arguments;
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const text = (found) => {
    let letters = "";
    for (const byte of found) letters += String.fromCharCode(byte);
    return btoa(letters);
};
window.worker ??= new Worker("worker.js", {type: "module"});
const id = Math.random();
window.worker.onmessage = ({data}) => {
    if (data.id !== id || "progress" in data) return;
    const {answer, problem} = data;
    if (problem) done({problem});
    else if (answer instanceof Uint8Array) done({answer: text(answer)});
    else if (answer.data) done({answer: {...answer, data: text(answer.data)}});
    else done({answer});
};
if (content.data) content.data = bytes(content.data).buffer;
if (content.picture)
    content.picture.pixels = new Uint8ClampedArray(bytes(content.picture.pixels).buffer);
window.worker.postMessage({id, kind, content});
"""


class Worker:
    """The page's worker, which is asked as the page asks it (web/source/messages.ts)."""

    def __init__(self, browser: Any, origin: str) -> None:
        self._browser = browser
        browser.set_script_timeout(300)
        if browser.current_url != f"{origin}/":
            browser.get(f"{origin}/")

    def ask(self, kind: str, **content: Any) -> Any:
        """Return an answer. Raises ProblemError."""
        found = self._browser.execute_async_script(_ASK, kind, content)
        if "problem" in found:
            raise ProblemError(found["problem"].get("kind"), found["problem"]["message"])
        return found["answer"]

    def open(self, data: bytes) -> dict[str, Any]:
        facts: dict[str, Any] = self.ask("open", data=base64.b64encode(data).decode())
        return facts

    def verify(self, data: bytes) -> str:
        """Decode all tiles of a file, and return the SHA-256 of its indices."""
        self.open(data)
        digest: str = self.ask("verify")
        return digest

    def png(self, left: int, top: int, width: int, height: int) -> Image.Image:
        """Return part of the open file, by way of a PNG file."""
        area = {"left": left, "top": top, "right": left + width, "bottom": top + height}
        return Image.open(io.BytesIO(base64.b64decode(self.ask("png", area=area))))

    def compress(self, image: Image.Image, model: str, **wish: float) -> bytes:
        pixels = base64.b64encode(image.convert("RGBA").tobytes()).decode()
        picture = {"pixels": pixels, "width": image.width, "height": image.height}
        sha256 = next(each["sha256"] for each in self.ask("models") if each["name"] == model)
        self.ask("measure", picture=picture, sha256=sha256)
        return base64.b64decode(self.ask("encode", wish=wish)["data"])


class ProblemError(Exception):
    """What the worker says is wrong."""

    def __init__(self, kind: str | None, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def offered() -> list[ModelFile]:
    """The shipped models, and the vectors' as far as Python takes them."""
    models = [model for model in list_models() if model.medium is Medium.PICTURE]
    for path in sorted((VECTORS / "models").glob("*.safetensors")):
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        try:
            medium = parse_model(data, sha256=digest).medium
        except ModelError:
            continue
        if medium is Medium.PICTURE:
            models.append(
                ModelFile(
                    name=f"vectors/{path.stem}",
                    path=path,
                    sha256=digest,
                    licence="",
                    description="",
                    source="file",
                    medium=medium,
                )
            )
    return models


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that the page opens by itself."""
    path = tmp_path_factory.mktemp("view") / "photo & more.vqc"
    path.write_bytes(vqcodec.compress(photo(200, 120), quality=5))
    return path


@pytest.fixture(scope="module")
def origin(file: Path) -> Iterator[str]:
    with serving(resources(offered(), file)) as server:
        yield server.origin


@pytest.fixture
def worker(browser: Any, origin: str) -> Worker:
    return Worker(browser, origin)


def vector(name: str) -> bytes:
    return (VECTORS / f"{name}.vqc").read_bytes()


def difference(one: Image.Image, other: Image.Image) -> int:
    """Return by how much samples differ at most."""
    return int(abs(np.asarray(one).astype(int) - np.asarray(other).astype(int)).max())


def is_picture(vector: Vector) -> bool:
    """Tell whether the file says that it holds one, or says no medium that is known."""
    return not is_sound(vector) and not is_clip(vector)


def is_known(vector: Vector) -> bool:
    """Tell whether the page knows the architecture of the vector's model."""
    return "two-stage" not in vector.path.stem


pictures = pytest.mark.parametrize(
    "vector",
    [v for v in vectors("valid", "limits") if is_known(v.values[0]) and is_picture(v.values[0])],
)


@pictures
def test_indices_and_pixels_are_python_s(vector: Vector, worker: Worker) -> None:
    says = vector.says
    facts = worker.open(vector.data)
    assert [facts["rows"], facts["columns"]] == says["grid"][:2]
    assert worker.ask("verify") == says["indices_sha256"]
    if not says.keys() & {"pixels", "pixels_sha256"}:
        return
    drawn = worker.png(0, 0, facts["width"], facts["height"])
    if "pixels_sha256" in says:
        assert pixels_sha256(np.asarray(drawn)) == says["pixels_sha256"]
        return
    expected = Image.open(vector.path.with_name(says["pixels"]))
    assert difference(drawn.convert("RGB"), expected) <= says["pixels_differ_by"]
    if "ALPH" in says.get("chunks_sha256", {}):
        digest = hashlib.sha256(drawn.getchannel("A").tobytes()).hexdigest()
        assert digest == says["chunks_sha256"]["ALPH"]


_NOT_LOOKED_AT = ("pngc-1025", "pngc-checksum", "pngc-cut", "pngc-pixels", "pngc-type")
"""Faults inside what the page unpacks and leaves alone."""


@pytest.mark.parametrize(
    "vector", [v for v in vectors("faulty") if v.values[0].path.stem not in _NOT_LOOKED_AT]
)
def test_faulty_files_end_in_their_class_of_error(vector: Vector, worker: Worker) -> None:
    with pytest.raises(ProblemError) as caught:
        worker.verify(vector.data)
    # Files of another medium are refused where they say so, whatever follows.
    expected = vector.says["expect"] if is_picture(vector) else "Version"
    if not is_known(vector):
        expected = "Model"
    assert caught.value.kind == expected


@pytest.mark.parametrize(
    ("model", "quality", "most"), [("photo-2", 8.25, 0), ("photo", 6.25, 1), ("paper", None, 1)]
)
def test_photo(worker: Worker, model: str, quality: float | None, most: int) -> None:
    data = vqcodec.compress(photo(500, 300), model=model, quality=quality)
    image = vqcodec.decompress(data)
    worker.open(data)
    grid = vqcodec.indices(data).astype("<u2")
    assert worker.ask("verify") == hashlib.sha256(grid.tobytes()).hexdigest()
    assert difference(worker.png(0, 0, 500, 300), image) <= most
    assert difference(worker.png(101, 33, 250, 77), image.crop((101, 33, 351, 110))) <= most


def test_pictures_larger_than_a_window(worker: Worker) -> None:
    data = vqcodec.compress(photo(2300, 90), quality=3)
    worker.open(data)
    assert difference(worker.png(0, 0, 2300, 90), vqcodec.decompress(data)) <= 1


@pytest.mark.parametrize(
    ("model", "quality"), [("photo-2", 8.25), ("photo", 6.25), ("paper", None)]
)
def test_compressed_files_are_python_s(worker: Worker, model: str, quality: float | None) -> None:
    image = photo(331, 217)
    data = worker.compress(image, model, quality=quality or 0)
    expected = vqcodec.compress(image, model=model, quality=quality)
    # Latents are real numbers: where two indices cost the same, either may be chosen.
    same = vqcodec.indices(data) == vqcodec.indices(expected)
    assert same.mean() > 0.98
    assert abs(len(data) - len(expected)) <= 0.02 * len(expected)
    vqcodec.verify(data)


@pytest.mark.parametrize("quality", [1.0, 1.4, 1.5, 1.6])
def test_qualities_between_whole_ones(worker: Worker, quality: float) -> None:
    image, model = photo(150, 130), VECTORS / "models" / "photo-2.safetensors"
    data = worker.compress(image, "vectors/photo-2", quality=quality)
    assert worker.open(data)["quality"] == parse(data).header.quality / 16
    expected = vqcodec.compress(image, model=model, quality=quality)
    assert parse(data).header == parse(expected).header
    same = vqcodec.indices(data, model=model) == vqcodec.indices(expected, model=model)
    assert same.mean() > 0.98
    drawn = worker.png(0, 0, 150, 130)
    assert difference(drawn, vqcodec.decompress(data, model=model)) == 0


def test_a_search_tries_the_qualities_that_headers_have(worker: Worker) -> None:
    image, model = photo(150, 130), VECTORS / "models" / "photo-2.safetensors"
    sizes = [len(vqcodec.compress(image, model=model, quality=n / 16)) for n in range(16, 33)]
    data = worker.compress(image, "vectors/photo-2", bytes=max(sizes) + 1000)
    assert parse(data).header.quality == 32
    with pytest.raises(ProblemError, match="least"):
        worker.compress(image, "vectors/photo-2", bytes=min(sizes) // 2)


def test_target_size_and_flat_pictures(worker: Worker) -> None:
    data = worker.compress(photo(331, 217), "photo", bytes=3000)
    assert 2500 < len(data) <= 3000
    vqcodec.verify(data)
    flat = Image.new("RGB", (300, 200), "white")
    flat.paste("navy", (20, 30, 180, 90))
    data = worker.compress(flat, "photo", quality=5)
    assert vqcodec.inspect(data).mode == "literal"
    assert difference(vqcodec.decompress(data), flat) == 0
    dithered = photo(120, 90).convert("1").convert("RGB")
    data = worker.compress(dithered, "photo", quality=5)
    assert difference(vqcodec.decompress(data), dithered) == 0
    with pytest.raises(ProblemError, match="least"):
        worker.compress(photo(331, 217), "photo", bytes=100)


def test_alpha_is_kept(worker: Worker) -> None:
    image = photo(90, 70).convert("RGBA")
    alpha = Image.fromarray(np.arange(90 * 70).reshape(70, 90).astype(np.uint8))
    image.putalpha(alpha)
    kept = vqcodec.decompress(worker.compress(image, "photo", quality=5))
    assert difference(kept.getchannel("A"), alpha) == 0


def test_profiles_go_into_png_files(worker: Worker) -> None:

    source = with_metadata()
    data = vqcodec.compress(source, quality=5)
    facts = worker.open(data)
    drawn = worker.png(0, 0, facts["width"], facts["height"])
    assert drawn.info["icc_profile"] == source.info["icc_profile"]
    assert drawn.getexif()[0x010E] == "a description"


def test_models_are_checked_and_kept(worker: Worker, origin: str, browser: Any) -> None:
    worker.open(vqcodec.compress(photo(), quality=5))
    names = browser.execute_async_script(
        "const done = arguments[0];"
        "caches.keys().then(async ([name]) => {"
        "  const cache = await caches.open(name);"
        "  const kept = await cache.keys();"
        "  done(kept.map(({url}) => url));"
        "})"
    )
    default = list_models()[0].sha256
    assert f"{origin}/model-{default}" in names


def test_models_are_refused_whose_hash_is_another(browser: Any) -> None:
    model = next(model for model in offered() if model.path == VECTORS / "models/paper.safetensors")
    [(address, kept)] = [item for item in resources([model]).items() if "safetensors" in item[0]]
    data = bytearray(model.path.read_bytes())
    data[-1] ^= 1
    altered = {**resources([model]), address: Resource(bytes(data), kept.type)}
    with serving(altered) as server:
        worker = Worker(browser, server.origin)
        with pytest.raises(ProblemError, match="SHA-256") as caught:
            worker.open(vector("valid/paper"))
    assert caught.value.kind == "Model"


# What people see.


class Page:
    """The page, as somebody uses it."""

    def __init__(self, browser: Any, origin: str) -> None:
        self.browser = browser
        self.origin = origin

    def visit(self, path: str = "/", width: int = 1280, height: int = 900) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.browser.get(self.origin + path)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.browser.execute_script(f"return {script}", *arguments)

    def wait(self, condition: str) -> None:
        from selenium.webdriver.support.wait import WebDriverWait

        WebDriverWait(self.browser, 120, 0.05).until(lambda _: self.run(condition))

    def give(self, path: Path) -> None:
        self.browser.find_element("id", "file").send_keys(str(path))

    def text(self, element: str) -> str:
        found: str = self.run("document.getElementById(arguments[0]).textContent", element)
        return found

    def press(self, keys: str) -> None:
        self.browser.find_element("id", "canvas").send_keys(keys)

    def colours(self) -> int:
        """Return how many colours the canvas has, roughly, once it is drawn.

        The page draws in the next frame, before what is asked for later.
        """
        script = """requestAnimationFrame(() => {
            const {width, height} = canvas;
            const {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
            const found = new Set();
            for (let at = 0; at < data.length; at += 4 * 97)
                found.add(data[at] << 16 | data[at + 1] << 8 | data[at + 2]);
            arguments[0](found.size);
        })"""
        found: int = self.browser.execute_async_script(script)
        return found


_IS_SHOWN = (
    "!document.getElementById('save-png').disabled && document.getElementById('work').hidden"
)
_IS_COMPRESSED = "document.querySelectorAll('#sizes tbody tr').length === 3"


@pytest.fixture
def page(browser: Any, origin: str) -> Iterator[Page]:
    browser.get_log("browser")
    opened = Page(browser, origin)
    yield opened
    troubles = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert troubles == []
    assert browser.execute_script("return window.troubles") == []


def test_file_of_the_command_is_shown(page: Page, file: Path) -> None:
    page.visit("/?file=photo+%26+more.vqc")
    page.wait(_IS_SHOWN)
    assert page.text("name") == file.name
    facts = page.text("facts")
    assert "200 \N{MULTIPLICATION SIGN} 120 pixels" in facts
    assert "photo-2 (747a522096ee925b)" in facts
    assert page.colours() > 100
    page.run("document.getElementById('verify').click()")
    page.wait("document.getElementById('digest').textContent")
    grid = vqcodec.indices(file.read_bytes()).astype("<u2")
    assert hashlib.sha256(grid.tobytes()).hexdigest() in page.text("digest")


def test_large_picture_is_shown_reduced_and_in_full_where_looked_at(
    page: Page, tmp_path: Path
) -> None:
    lines = np.full((3800, 4500, 3), 255, np.uint8)
    lines[:, ::9] = 0
    path = tmp_path / "large.vqc"
    path.write_bytes(vqcodec.compress(lines, lossless=True))
    page.visit("/")
    page.give(path)
    page.wait(_IS_SHOWN)
    assert page.run("document.getElementById('zoom').textContent !== '100 %'")
    page.run("actual.click()")
    page.wait(
        """(() => {
            const {data} = canvas.getContext("2d").getImageData(100, 100, 90, 1);
            return data.filter((sample, at) => at % 4 < 3 && sample === 0).length === 30 &&
                data.every((sample) => sample === 0 || sample === 255);
        })()"""
    )


def test_keyboard_moves_and_zooms(page: Page) -> None:
    from selenium.webdriver import Keys

    page.visit("/?file=a.vqc")
    page.wait(_IS_SHOWN)
    assert page.text("zoom") == "100 %"
    page.press("++")
    assert page.text("zoom") == "156 %"
    before = page.run("canvas.toDataURL()")
    page.press(Keys.ARROW_LEFT)
    page.wait(f"canvas.toDataURL() !== '{before}'")
    page.press("-")
    assert page.text("zoom") == "125 %"
    page.press("1")
    assert page.text("zoom") == "100 %"


@pytest.mark.parametrize(
    ("name", "contents", "complaint"),
    [
        ("a.vqc", b"", "not a .vqc file"),
        ("a.vqc", b"no file of any kind", "not a .vqc file"),
        ("a.png", b"no picture of any kind", "neither a .vqc file nor a picture"),
        ("<b>.vqc", vector("faulty/media-type-255"), "media type 255"),
        ("a.vqc", vector("faulty/cut-tile"), "file ends"),
        ("a.vqc", vector("faulty/pixels-too-many"), "more than 268435456 pixels"),
        ("a.vqc", vector("faulty/literal-noise"), "stream"),
        ("a.vqc", vector("valid/sound-prior"), "sound"),
        ("a.vqc", vector("valid/clip-prior"), "a clip"),
    ],
)
def test_hostile_and_foreign_files_give_a_line(
    page: Page, tmp_path: Path, name: str, contents: bytes, complaint: str
) -> None:
    page.visit("/")
    path = tmp_path / name
    path.write_bytes(contents)
    page.give(path)
    page.wait("!document.getElementById('problem').hidden")
    assert complaint in page.text("problem").lower()
    page.wait("document.getElementById('work').hidden")
    assert page.run("document.getElementById('stage').hidden") or page.colours() == 1
    # And the next file is shown.
    after = tmp_path / "after.vqc"
    after.write_bytes(vector("valid/paper"))
    page.give(after)
    page.wait(_IS_SHOWN)
    assert page.run("document.getElementById('problem').hidden")


def test_picture_is_compressed_beside_others(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    photo(300, 200).save(path)
    page.visit("/")
    page.give(path)
    page.wait(_IS_COMPRESSED)
    rows = page.run(
        "[...document.querySelectorAll('#sizes tbody tr')].map((row) =>"
        " [...row.cells].map(({textContent}) => textContent))"
    )
    assert [name for name, _, _ in rows] == ["vqcodec", "JPEG", "WebP"]
    sizes = [int(size.replace(",", "")) for _, size, _ in rows]
    expected = vqcodec.compress(photo(300, 200))
    assert abs(sizes[0] - len(expected)) <= 0.02 * len(expected)
    shown = np.asarray(vqcodec.decompress(expected)).astype(float)
    error = np.mean((shown - np.asarray(photo(300, 200))) ** 2)
    assert float(rows[0][2]) == pytest.approx(10 * np.log10(255**2 / error), abs=0.05)
    before = page.run("canvas.toDataURL()")
    page.run("(divider.value = 0.1, divider.dispatchEvent(new Event('input')))")
    page.wait(f"canvas.toDataURL() !== '{before}'")
    page.run("(quality.value = 10, quality.dispatchEvent(new Event('input')))")
    page.wait(f"!document.querySelector('#sizes td + td')?.textContent.startsWith('{rows[0][1]}')")
    page.wait(_IS_COMPRESSED)


@pytest.mark.parametrize("width", [320, 400, 800, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_its_width_by_day_and_night(page: Page, width: int, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    page.visit("/?file=a.vqc", width)
    page.wait(_IS_SHOWN)
    assert page.run("document.documentElement.scrollWidth") <= width
    brightness = "getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] > 128"
    assert page.run(brightness) is (scheme == "light")
