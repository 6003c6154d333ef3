"""Names that files have trouble with, for property tests over every writer and reader."""

from __future__ import annotations

from hypothesis import strategies as st

HARD = (
    "m🤖", "型" * 500, "🤖" * 500, "\x00", "\x01" * 500, "\x1b[31m", "\x7f", "\x85", "\u2028\u2029",
    "\ufeff", "\ufffe\uffff", "\U0010ffff", "\u202e", "a\nb", "a\r\nb", "\t", " ", " a ", "'", '"',
    "\\", "\\u0041", '"\\u0022:', "1", "007", "1e5", "1e-05", ".5", "-1.0", "0x10", "1_000", "null",
    "~", "true", "No", "y", ".nan", ".inf", "2026-01-01", "2026-01-01T00:00:00Z", "<<", "=", "-",
    "?", ": ", "a: b", "#", "a #b", "- a", "&a", "*a", "!a", "|", ">", "%", "%d", "%%", "@", "`",
    "{", "}", "[", "]", ",", "{}", "---", "...", "$HOME", "<b>", "a.b", "a[0]", "node_execution",
)  # fmt: skip

TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30)
LONG = st.builds(
    lambda piece, n: (piece * n)[:500],
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=4),
    st.integers(50, 500),
)
NAMES = st.one_of(st.sampled_from(HARD), TEXT, LONG)


def several(count: int) -> st.SearchStrategy[list[str]]:
    """So many names, no two of them equal."""
    return st.lists(NAMES, min_size=count, max_size=count, unique=True)
