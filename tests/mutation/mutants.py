"""Every small change that a module allows: an operator, a constant, a branch, a lost statement."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OPERATORS: dict[type, tuple[type, str]] = {
    ast.Lt: (ast.LtE, "<= for <"),
    ast.LtE: (ast.Lt, "< for <="),
    ast.Gt: (ast.GtE, ">= for >"),
    ast.GtE: (ast.Gt, "> for >="),
    ast.Eq: (ast.NotEq, "!= for =="),
    ast.NotEq: (ast.Eq, "== for !="),
    ast.Is: (ast.IsNot, "is not for is"),
    ast.IsNot: (ast.Is, "is for is not"),
    ast.In: (ast.NotIn, "not in for in"),
    ast.NotIn: (ast.In, "in for not in"),
    ast.Add: (ast.Sub, "- for +"),
    ast.Sub: (ast.Add, "+ for -"),
    ast.Mult: (ast.Div, "/ for *"),
    ast.Div: (ast.Mult, "* for /"),
    ast.FloorDiv: (ast.Mult, "* for //"),
    ast.Mod: (ast.FloorDiv, "// for %"),
    ast.And: (ast.Or, "or for and"),
    ast.Or: (ast.And, "and for or"),
    ast.BitAnd: (ast.BitOr, "| for &"),
    ast.BitOr: (ast.BitAnd, "& for |"),
}
CALLS = {"min": "max", "max": "min", "any": "all", "all": "any", "minimum": "maximum",
         "maximum": "minimum", "argmin": "argmax", "argmax": "argmin", "floor": "ceil",
         "ceil": "floor"}  # fmt: skip
MEANINGLESS = ("strict", "stacklevel", "repr")
"""Arguments that change no result: of a check of lengths, of the place of a warning, of a print."""
MANY = 20
"""A limit of so many (``MOST_LINES = 20_000``) is the same to everybody with one more."""
UNTOLD = ("TYPE_CHECKING", "__name__", "sys.platform")
"""Conditions that are not the program's."""


@dataclass(frozen=True)
class Mutant:
    """One change: of which file, where, what it is, and the file's text with it."""

    path: Path
    line: int
    column: int
    what: str
    start: int
    end: int
    text: str

    def applied(self, source: bytes) -> bytes:
        """Source of the module with the change."""
        return source[: self.start] + self.text.encode() + source[self.end :]


def mutants_of(path: Path, source: bytes) -> list[Mutant]:
    """All changes that a module allows, in the order of its text.

    Left alone is what no test could call wrong: texts, annotations and the sentences of errors;
    the defaults of ``*Params``, for how long a search goes on is taste; `MEANINGLESS` arguments;
    limits of `MANY`; and functions ``warm_up``, which are called for the compiled code they leave.

    Parameters
    ----------
    path : Path
        The module, as a mutant is to name it.
    source : bytes
        Its text, in UTF-8.
    """
    lines = [0]
    for line in source.splitlines(keepends=True):
        lines.append(lines[-1] + len(line))
    found = []
    for node, changed, what in _changes(ast.parse(source)):
        start = lines[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        end = lines[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
        text = changed if changed == "pass" else f"({changed})"
        place = node.lineno, node.col_offset  # type: ignore[attr-defined]
        found.append(Mutant(path, *place, what, start, end, text))
    return sorted(found, key=lambda m: (m.start, m.end, m.what))


def _changes(tree: ast.Module) -> Iterator[tuple[ast.AST, str, str]]:
    """Node, the text in its place, and what the change is."""
    for node in _walk(tree):
        match node:
            case ast.Compare():
                for i, op in enumerate(node.ops):
                    if type(op) in OPERATORS and not _untold(node):
                        other, what = OPERATORS[type(op)]
                        ops = [other() if j == i else o for j, o in enumerate(node.ops)]
                        yield node, ast.unparse(ast.Compare(node.left, ops, node.comparators)), what
            case ast.BinOp() if type(node.op) in OPERATORS and not _text(node):
                other, what = OPERATORS[type(node.op)]
                yield node, ast.unparse(ast.BinOp(node.left, other(), node.right)), what
            case ast.BoolOp():
                other, what = OPERATORS[type(node.op)]
                yield node, ast.unparse(ast.BoolOp(other(), node.values)), what
            case ast.UnaryOp(op=ast.Not()):
                yield node, ast.unparse(node.operand), "not is lost"
            case ast.UnaryOp(op=ast.USub()) if not isinstance(node.operand, ast.Constant):
                yield node, ast.unparse(node.operand), "minus is lost"
            case ast.Constant(value=bool(value)):
                yield node, repr(not value), f"{not value} for {value}"
            case ast.Constant(value=int(value) | float(value)):
                other_value = value + 1 if value != 1 else 2
                yield node, repr(other_value), f"{other_value} for {value}"
            case ast.Call(func=ast.Name(id=name)) if name in CALLS:
                changed = ast.Call(ast.Name(CALLS[name]), node.args, node.keywords)
                yield node, ast.unparse(changed), f"{CALLS[name]} for {name}"
            case ast.Call(func=ast.Attribute(attr=name)) if name in CALLS:
                function = ast.Attribute(node.func.value, CALLS[name])  # type: ignore[attr-defined]
                changed = ast.Call(function, node.args, node.keywords)
                yield node, ast.unparse(changed), f"{CALLS[name]} for {name}"
            case ast.IfExp():
                yield node, ast.unparse(ast.IfExp(node.test, node.orelse, node.body)), "sides swap"
            case ast.If(test=test) | ast.While(test=test) if not _untold(test):
                if not isinstance(test, ast.Compare | ast.UnaryOp) and not _true(test):
                    yield test, f"not ({ast.unparse(test)})", "condition turned"
            case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
                yield value, "None", "returns None"
            case ast.AugAssign() | ast.Expr(value=ast.Call()):
                yield node, "pass", f"lost: {ast.unparse(node)[:60]}"
            case ast.Break() | ast.Continue():
                yield node, "pass", f"lost: {ast.unparse(node)}"


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those of annotations, texts, raised errors, decorators and ``*Params``."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, ast.Raise | ast.JoinedStr):
                continue
            if isinstance(child, ast.keyword) and child.arg in MEANINGLESS:
                continue
            if isinstance(child, ast.FunctionDef) and child.name == "warm_up":
                continue
            if isinstance(child, ast.Assign) and _limit_of_many(child):
                continue
            if isinstance(child, ast.ClassDef) and child.name.endswith("Params"):
                for method in child.body:
                    if isinstance(method, ast.FunctionDef):
                        yield from _walk(method)
                continue
            yield from _walk(child)


def _limit_of_many(node: ast.Assign) -> bool:
    """Whether a constant with a name of its own is made a large whole number."""
    match node:
        case ast.Assign([ast.Name(name)], ast.Constant(int(number))):
            return name.isupper() and number >= MANY
    return False


def _untold(node: ast.AST) -> bool:
    return any(word in ast.unparse(node) for word in UNTOLD)


def _true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant)


def _text(node: ast.BinOp) -> bool:
    """Whether texts are put together, for people to read."""
    return any(
        isinstance(n, ast.JoinedStr) or (isinstance(n, ast.Constant) and isinstance(n.value, str))
        for n in (node.left, node.right)
    )
