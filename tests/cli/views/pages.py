"""A reader of report pages: elements in order, and tables by their captions."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "input", "br", "link"}


class Page(HTMLParser):
    """Reads a page, and fails where an element is closed that is not open."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self._caption = ""
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, name: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({k for k, _ in attrs}) == len(attrs), f"{name} repeats an attribute"
        self.elements.append((name, dict(attrs)))
        if name == "tr":
            self.tables[self._caption].append([])
        elif name in ("td", "th"):
            self.tables[self._caption][-1].append("")
        if name not in VOID:
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open, f"</{name}> closes nothing"
        assert self.open.pop() == name

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.open and self.open[-1] == "caption":
            self._caption = data
            self.tables[data] = []
        elif {"td", "th"} & set(self.open):
            self.tables[self._caption][-1][-1] += data

    def named(self, name: str) -> list[dict[str, str | None]]:
        """Attributes of every element of a name."""
        return [attributes for found, attributes in self.elements if found == name]

    def rows(self, caption: str) -> list[list[str]]:
        """Rows of the table whose caption begins so, without its head."""
        found = [rows for key, rows in self.tables.items() if key.startswith(caption)]
        assert found, f"no table {caption!r} among {list(self.tables)}"
        return found[0][1:]
