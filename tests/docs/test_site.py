"""The built site in a real browser: each page, light and dark, on a desktop and on a phone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import unquote, urldefrag

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]

_ROOT = Path(__file__).parents[2]
_SOURCES = sorted(
    path.relative_to(_ROOT / "docs")
    for pattern in ("*.md", "*.ipynb")
    for path in (_ROOT / "docs").rglob(pattern)
    if not any(part.startswith(("_", ".")) for part in path.relative_to(_ROOT / "docs").parts)
)
_PAGES = [path.with_suffix(".html").as_posix() for path in _SOURCES]
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = [
    "--no-sandbox",  # for root, as in containers; the pages are our own
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
_DESK = {"width": 1280, "height": 900}
_PHONES = [{"width": 360, "height": 740}, {"width": 390, "height": 844}]
_SCHEMES = {"light": "default", "dark": "slate"}
_MIN_CONTRAST = 4.5  # WCAG 2.2, success criterion 1.4.3, level AA

# The elements that are wider than the page, except those that scroll in their own box.
_STICKING_OUT = """() => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];

    return [...document.querySelectorAll('body *')]
        .filter(element => element.getBoundingClientRect().right > width + 1)
        .map(element => `${element.tagName} ${element.className}`.trim()).slice(0, 5);
}"""
# The contrast of each kind of text in the article, by WCAG's formula. Behind a transparent
# background, the background of the parent counts.
_CONTRASTS = """() => {
    const channels = colour => {
        const element = document.createElement('canvas');
        const canvas = element.getContext('2d', {willReadFrequently: true});
        canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };

    const over = (front, back) => front.slice(0, 3)
        .map((value, i) => value * front[3] / 255 + back[i] * (1 - front[3] / 255));
    const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const light = colour => colour.map(value => linear(value / 255))
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);

    const behind = element => {
        if (!element) return [255, 255, 255];
        const own = channels(getComputedStyle(element).backgroundColor);
        return over(own, behind(element.parentElement));
    };

    const kinds = [
        'p', 'li', 'td', 'h1', 'h2', 'code', 'a', '.md-button:not(.md-button--primary)'
    ];
    const no_link = ':not(.headerlink):not(.anchor-link)';
    const found = {};
    for (const kind of kinds) {
        const element = document.querySelector(`article ${kind}${no_link}`);
        if (!element) continue;

        const back = behind(element), front = over(channels(getComputedStyle(element).color), back);
        const [low, high] = [light(front), light(back)].sort((a, b) => a - b);
        found[kind] = (high + 0.05) / (low + 0.05);
    }
    return found;
}"""

# The buttons that copy code and lie over text of the code.
_COVERING = """() => {
    const over = (a, b) => a.left < b.right && b.left < a.right
        && a.top < b.bottom && b.top < a.bottom;
    const buttons = [
        ...document.querySelectorAll('article .md-code__button, article clipboard-copy')
    ];
    return buttons.filter(button => {
        const box = button.closest('.highlight, .jp-Cell-inputWrapper');
        const range = document.createRange();
        range.selectNodeContents(box.querySelector('code, .jp-InputArea-editor pre') ?? box);
        const own = button.getBoundingClientRect();
        return [...range.getClientRects()].some(line => line.width > 0 && over(own, line));
    }).length;
}"""
# The boxes of the article that scroll sideways: how many there are, and how many have no shadow.
_SCROLLING = """() => {
    const boxes = [...document.querySelectorAll('article .md-typeset__scrollwrap, article div')]
        .filter(box => getComputedStyle(box).overflowX === 'auto'
            && box.scrollWidth > box.clientWidth && box.querySelector(':scope table'));
    const plain = boxes.filter(box => getComputedStyle(box).backgroundImage === 'none');
    return [boxes.length, plain.length];
}"""


class Site(NamedTuple):
    """The built site: its folder, and the URL that serves it."""

    folder: Path
    url: str


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base's name)
        """Log nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Build the site and serve it on the loopback address."""
    pytest.importorskip(
        "mkdocs", reason="needs the documentation's tools: pip install --group docs"
    )

    folder = tmp_path_factory.mktemp("site")
    mkdocs = (sys.executable, "-m", "mkdocs")
    built = subprocess.run(
        [*mkdocs, "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=_ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder)) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield Site(folder, f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()
        serving.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Give this machine's Chromium, without a window."""
    api = pytest.importorskip(
        "playwright.sync_api", reason="needs playwright: pip install --group browser"
    )
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if program is None:
        pytest.skip("needs Chromium, for instance from apt-get install chromium")

    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        yield chromium
        chromium.close()


class Opened:
    """An open page of the site, and the problems that the browser found in it."""

    def __init__(
        self,
        browser: Any,
        url: str,
        viewport: dict[str, int],
        scheme: str = "light",
        **options: Any,
    ) -> None:
        self.context = browser.new_context(viewport=viewport, color_scheme=scheme, **options)
        self.page = self.context.new_page()
        self.problems: list[str] = []
        self.scheme = scheme
        self.origin = url.split("/", 3)[2]

        self.page.on("console", self._on_message)
        self.page.on("pageerror", self._on_error)
        self.page.on("requestfailed", self._on_failure)
        self.page.on("request", self._on_request)
        self.page.on("response", self._on_response)
        self.page.goto(url, wait_until="networkidle")

    def _on_message(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.problems.append(f"console: {message.text}")

    def _on_error(self, error: Any) -> None:
        self.problems.append(f"script: {error}")

    def _on_failure(self, request: Any) -> None:
        self.problems.append(f"failed: {request.url}")

    def _on_request(self, request: Any) -> None:
        is_local = request.url.startswith(("data:", "blob:"))
        if f"//{self.origin}/" not in request.url and not is_local:
            self.problems.append(f"from elsewhere: {request.url}")

    def _on_response(self, response: Any) -> None:
        if response.status >= 400:
            self.problems.append(f"{response.status}: {response.url}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


@pytest.fixture(
    scope="module", params=[(page, scheme) for page in _PAGES for scheme in _SCHEMES], ids="-".join
)
def opened(request: pytest.FixtureRequest, site: Site, browser: Any) -> Iterator[Opened]:
    """Give each page of the site on a desktop, light and dark."""
    page, scheme = request.param
    with Opened(browser, f"{site.url}{page}", _DESK, scheme) as opened:
        yield opened


@pytest.fixture(scope="module", params=_PAGES)
def on_a_phone(request: pytest.FixtureRequest, site: Site, browser: Any) -> Iterator[Opened]:
    """Give each page of the site on a phone."""
    with Opened(
        browser, f"{site.url}{request.param}", _PHONES[0], is_mobile=True, has_touch=True
    ) as opened:
        yield opened


def test_each_source_is_a_page(site: Site) -> None:
    """The site has a page for each source, and no other page."""
    built = {path.relative_to(site.folder).as_posix() for path in site.folder.rglob("*.html")}
    assert built == {*_PAGES, "404.html"}


def test_no_page_is_an_orphan(site: Site, browser: Any) -> None:
    """The navigation leads to each page."""
    with Opened(browser, f"{site.url}tutorial.html", _DESK) as opened:
        linked = {urldefrag(link).url.removeprefix(site.url) for link in _links(opened)}
    assert [page for page in _PAGES if page not in linked] == []


def test_a_page_opens_without_an_error(opened: Opened) -> None:
    """A page has no failing script or request, no console message and no file from elsewhere."""
    assert opened.problems == []


def test_a_page_has_the_preferred_scheme(opened: Opened) -> None:
    """A page is light or dark, as the system prefers."""
    assert opened.page.evaluate("document.body.dataset.mdColorScheme") == _SCHEMES[opened.scheme]


def test_a_page_is_legible(opened: Opened) -> None:
    """Each kind of text in the article has enough contrast with its background."""
    assert {
        kind: contrast
        for kind, contrast in opened.page.evaluate(_CONTRASTS).items()
        if contrast < _MIN_CONTRAST
    } == {}


def test_the_links_of_a_page_lead_somewhere(opened: Opened, site: Site) -> None:
    """Each link within the site names a page and, in the page, an anchor that exist."""
    links = [link.removeprefix(site.url) for link in _links(opened) if link.startswith(site.url)]
    assert [link for link in links if not _leads_somewhere(site, link)] == []


@pytest.mark.parametrize("viewport", _PHONES, ids=lambda viewport: str(viewport["width"]))
def test_a_page_fits_a_phone(on_a_phone: Opened, viewport: dict[str, int]) -> None:
    """No element is wider than a phone's screen, except those that scroll in their own box."""
    on_a_phone.page.set_viewport_size(viewport)
    assert on_a_phone.page.evaluate(_STICKING_OUT) == []


def test_the_text_is_large_enough_on_a_phone(on_a_phone: Opened) -> None:
    """The text of the article has at least 14 pixels."""
    size = on_a_phone.page.evaluate(
        "parseFloat(getComputedStyle(document.querySelector('article')).fontSize)"
    )
    assert size >= 14


def test_no_button_covers_code_on_a_phone(on_a_phone: Opened) -> None:
    """The buttons that copy code lie over no text of the code."""
    assert on_a_phone.page.evaluate(_COVERING) == 0


def test_a_table_that_scrolls_shows_it(on_a_phone: Opened) -> None:
    """A box with a table that is wider than a phone has a shadow at its side."""
    _, plain = on_a_phone.page.evaluate(_SCROLLING)
    assert plain == 0


@pytest.mark.parametrize("width", [390, 1280])
def test_the_tables_of_the_performance_page_fit(width: int, site: Site, browser: Any) -> None:
    """No table of the page on performance scrolls, on a phone or on a desktop."""
    viewport = {"width": width, "height": 900}
    with Opened(browser, f"{site.url}performance.html", viewport) as opened:
        assert opened.page.evaluate(_SCROLLING) == [0, 0]


def test_the_reference_links_to_other_documentation(site: Site) -> None:
    """Each name of another library in a signature is a link.

    If not, add the name to `docs/_render/elsewhere.txt`.
    """
    pages = [
        page.read_text(encoding="utf-8") for page in (site.folder / "reference").glob("*.html")
    ]
    names = {name for page in pages for name in re.findall(r'<span[^>]* title="([\w.]+)"', page)}
    assert {name for name in names if not name.startswith("ecr_layer_client")} <= {"os"}


def test_the_search_finds_names_of_botocore(site: Site, browser: Any) -> None:
    """The search finds an exception of botocore on the page for its users."""
    with Opened(browser, f"{site.url}index.html", _DESK) as opened:
        _search(opened, "NoCredentialsError")
        opened.page.locator(".md-search-result__link[href*='from-boto3.html']").first.wait_for()


def test_the_search_finds_a_page(site: Site, browser: Any) -> None:
    """The search finds the page about a word, and the result opens the page."""
    with Opened(browser, f"{site.url}index.html", _DESK) as opened:
        _search(opened, "deprecation")

        opened.page.locator(".md-search-result__link[href*='depend.html']").first.click()
        opened.page.wait_for_url("**/depend.html*", wait_until="commit")
        opened.page.get_by_role("heading", name="Depend on us").wait_for()
        assert opened.problems == []


def test_code_is_copied(site: Site, browser: Any) -> None:
    """The button of an example copies the example unchanged."""
    with Opened(
        browser, f"{site.url}index.html", _DESK, permissions=["clipboard-read", "clipboard-write"]
    ) as opened:
        opened.page.locator("article .highlight").first.hover()
        opened.page.locator("article .highlight").first.get_by_role("button").first.click()
        copied = opened.page.evaluate("navigator.clipboard.readText()")
    assert copied.splitlines()[:3] == [
        "import asyncio",
        "",
        "from ecr_layer_client.local import LocalECR",
    ]


def test_the_scheme_is_toggled(site: Site, browser: Any) -> None:
    """A click changes the scheme, and the next page keeps it."""
    with Opened(browser, f"{site.url}index.html", _DESK) as opened:
        opened.page.locator(
            "label[for=__palette_1]:visible, label[for=__palette_0]:visible"
        ).first.click()
        opened.page.goto(f"{site.url}tutorial.html", wait_until="networkidle")
        assert opened.page.evaluate("document.body.dataset.mdColorScheme") == "slate"


def _search(opened: Opened, words: str) -> None:
    box = opened.page.get_by_role("textbox", name="Search").first
    box.click()
    # This text appears once the index is loaded.
    opened.page.get_by_text("Type to start searching").wait_for()
    box.press_sequentially(words)


def _links(opened: Opened) -> list[str]:
    links: list[str] = opened.page.evaluate(
        "[...document.querySelectorAll('a[href]')].map(link => link.href)"
    )
    return links


def _leads_somewhere(site: Site, link: str) -> bool:
    path, fragment = urldefrag(link)
    file = site.folder / (unquote(path) or "index.html")
    file = file / "index.html" if file.is_dir() else file
    return file.is_file() and (
        not fragment or fragment == "__skip" or unquote(fragment) in _anchors(file)
    )


@cache
def _anchors(file: Path) -> set[str]:
    return (
        set(re.findall(r"\bid=[\"']?([^\"'\s>]+)", file.read_text(encoding="utf-8")))
        if file.suffix == ".html"
        else set()
    )
