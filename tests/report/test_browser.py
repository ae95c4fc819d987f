"""A report in a real browser: it opens from a file, asks for nothing, complains of nothing, and draws its charts."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from mace.report.html import render_html
from tests.report.conftest import HOSTILE

Make = Callable[..., dict[str, Any]]

VIEWS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": {"width": 1200, "height": 900}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1200, "height": 900}},
    "phone": {"color_scheme": "light", "viewport": {"width": 360, "height": 740}, "has_touch": True},
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The system's Chromium, headless."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium on this machine")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(params=["example", HOSTILE], ids=["plain", "hostile"])
def page_file(request: pytest.FixtureRequest, record: Make, tmp_path: Path) -> Path:
    """A report on disk."""
    path = tmp_path / "report.html"
    path.write_text(render_html(record(request.param)), encoding="utf-8")
    return path


@pytest.mark.parametrize("view", VIEWS)
def test_it_opens_and_draws(view: str, page_file: Path, browser: Any) -> None:
    """From a file, offline: one request (itself), no message on the console, no dialog, every chart with something in it."""
    context = browser.new_context(offline=True, **VIEWS[view])
    page = context.new_page()
    told: list[str] = []
    asked: list[str] = []
    page.on("console", lambda m: told.append(m.text))
    page.on("pageerror", lambda e: told.append(str(e)))
    page.on("dialog", lambda d: told.append(d.message))
    page.on("request", lambda r: asked.append(r.url))
    page.goto(page_file.as_uri())
    page.wait_for_load_state("networkidle")
    assert told == []
    assert asked == [page_file.as_uri()]
    sizes = page.eval_on_selector_all(
        "svg.chart", "all => all.map(s => { const b = s.getBBox(); return [b.width, b.height] })"
    )
    assert len(sizes) >= 10
    assert all(width > 100 and height > 20 for width, height in sizes)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    smallest = page.eval_on_selector_all(
        "svg.chart text", "all => Math.min(...all.map(t => t.getBoundingClientRect().height))"
    )
    assert smallest >= 9
    context.close()


def test_text_can_be_read_on_its_background(page_file: Path, browser: Any) -> None:
    """In light and in dark every text has the contrast that WCAG 2.1 asks for (1.4.3: 4.5 to 1)."""
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.goto(page_file.as_uri())
        assert page.evaluate(_CONTRAST) >= 4.5
        page.close()


def test_it_is_used_with_the_keyboard(page_file: Path, browser: Any) -> None:
    """The first key stop is the skip link, then come the parts; a scroll area takes the focus."""
    page = browser.new_page()
    page.goto(page_file.as_uri())
    seen = []
    for _ in range(8):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.getAttribute('href') || document.activeElement.tagName"))
    assert seen[0] == "#main"
    assert "#results" in seen
    page.locator("figure .scroll").first.focus()
    assert page.evaluate("document.activeElement.className") == "scroll"
    page.close()


def test_it_prints(page_file: Path, browser: Any) -> None:
    """On paper the page is light, whole and several sheets long, in dark mode too."""
    page = browser.new_page(color_scheme="dark")
    page.goto(page_file.as_uri())
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    printed = page.pdf(format="A4")
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") >= 1 or len(printed) > 20_000
    page.close()


_CONTRAST = """
() => {
  const channel = c => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4 };
  const light = s => { const [r, g, b] = s.match(/[\\d.]+/g).map(Number);
    return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b) };
  const ground = e => { for (; e; e = e.parentElement) { const b = getComputedStyle(e).backgroundColor;
    if (b !== 'rgba(0, 0, 0, 0)') return b } return 'rgb(255, 255, 255)' };
  let worst = 21;
  for (const e of document.querySelectorAll('p, dt, dd, td, th, h1, h2, h3, li, code, a:not(.skip), .badge, svg text')) {
    const style = getComputedStyle(e);
    const a = light(e.closest('svg') ? style.fill : style.color), b = light(ground(e));
    worst = Math.min(worst, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  }
  return worst;
}
"""
