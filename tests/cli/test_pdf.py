"""A report as PDF, or a sentence on why there is none."""

from __future__ import annotations

import shutil

import pytest

from cli import pdf


def test_without_a_browser_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is simulated."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(ValueError, match="needs Chromium or Chrome"):
        pdf.browser()


def test_a_browser_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What printed nothing made no PDF."""
    monkeypatch.setattr(pdf, "browser", lambda: "false")
    with pytest.raises(ValueError, match="made no PDF"):
        pdf.print_page(b"<p>")


@pytest.mark.skipif(
    not any(map(shutil.which, pdf.BROWSERS)), reason="no Chromium to print a page with"
)
def test_a_page_becomes_a_document() -> None:
    """As its first bytes say."""
    assert pdf.print_page(b"<!doctype html><title>t</title><p>text").startswith(b"%PDF-")
