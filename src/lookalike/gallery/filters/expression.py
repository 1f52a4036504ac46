"""Parser of `where` expressions; the language is the same for all galleries.

    category = 'Dress' and price < 80        brand is null              not (season in ('Winter', 'Fall'))
    title like '%shirt%'                     "base colour" != 'Red'     price between 20 and 40

The names on the left are attributes, `id` or `product`, in double quotes unless they are plain words. Text is in single
quotes (a quote within is doubled); numbers, true and false are unquoted.

Semantics:

- A missing or null attribute is neither equal nor unequal to any value: neither `season != 'Winter'` nor its `not`
  finds items without a season (use `season != 'Winter' or season is null`). This is SQL's three-valued logic.
- Only values of one kind (text, number, boolean) are compared. A value of another kind is unequal, and neither smaller
  nor larger: '80' is not 80, and not below 100. Comparing an attribute with a kind of value that it has nowhere in the
  gallery is an error.
- Text is compared by Unicode code points; in `like`, % matches any text and _ one character, and A to Z match a to z.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

from lookalike.errors import FilterError
from lookalike.gallery.records import Kinds

if TYPE_CHECKING:
    from sqlglot.errors import ParseError
    from sqlglot.expressions import Expression
    from sqlglot.tokens import Token  # type: ignore[attr-defined]

LONGEST: Final = 4000
"""Largest number of characters of an expression."""

DEEPEST: Final = 16
"""Largest depth of parentheses, and largest number of `not` before operands in one expression."""

FIELDS: Final[Mapping[str, Kinds]] = {"id": Kinds.TEXT, "product": Kinds.TEXT}
"""Fields of every item beside its attributes; they take precedence over attributes of the same name."""

GRAMMAR: Final = "expected NAME = VALUE (or != < <= > >=), in (...), like '...', between X and Y, is null, and, or, not"
QUOTED_NAME: Final = 'expected the name of an attribute, in double quotes if it is not a plain word: "base colour"'
UNREADABLE: Final = f'{GRAMMAR}; a NAME of several words has double quotes: "base colour"'

Value: TypeAlias = str | int | float | bool
Operator: TypeAlias = Literal["=", "!=", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Compare:
    """Comparison of an attribute with a value."""

    name: str
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True)
class Among:
    """An attribute equals one of several values."""

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """An attribute is at least one value and at most another."""

    name: str
    low: Value
    high: Value


@dataclass(frozen=True, slots=True)
class Like:
    """An attribute's text matches a pattern."""

    name: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Missing:
    """An attribute is missing or null."""

    name: str


@dataclass(frozen=True, slots=True)
class Not:
    """Negation; unknown stays unknown."""

    term: Condition


@dataclass(frozen=True, slots=True)
class Every:
    """Conjunction of conditions."""

    terms: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """Disjunction of conditions."""

    terms: tuple[Condition, ...]


Condition: TypeAlias = Compare | Among | Between | Like | Missing | Not | Every | Some


def parse(expression: str, known: Mapping[str, Kinds], *, fields: Mapping[str, Kinds] = FIELDS) -> Condition:
    """Parse a `where` expression.

    Args:
        expression: Text of the expression.
        known: Attributes of the gallery with the kinds of their values.
        fields: Fields of its items.

    Raises:
        FilterError: The syntax is invalid, an attribute is unknown, or one is compared with a kind of value that it
            never has.
    """
    if len(expression) > LONGEST:
        raise FilterError(expression[:40] + "...", LONGEST, f"a filter has at most {LONGEST} characters")
    return Parser(expression, {**known, **fields}).parse()


def kind_of(value: Value) -> Kinds:
    """Kind of a literal value."""
    if isinstance(value, bool):
        return Kinds.BOOLEAN
    return Kinds.TEXT if isinstance(value, str) else Kinds.NUMBER


class Parser:
    """Converts the syntax tree of sqlglot to conditions, and refuses everything that is not part of the language."""

    def __init__(self, expression: str, known: Mapping[str, Kinds]) -> None:
        self._expression = expression
        self._known = known

    def parse(self) -> Condition:
        """Parse the expression."""
        from sqlglot import exp, parse_one
        from sqlglot.errors import ParseError, TokenError
        from sqlglot.tokens import Tokenizer

        try:
            tokens = Tokenizer().tokenize(self._expression)
        except TokenError:
            raise self._error(len(self._expression), "expected a closing quote") from None
        self._check_tokens(tokens)
        try:
            tree = parse_one(self._expression, into=exp.Condition)
        except ParseError as error:
            raise self._syntax_error(error) from None
        except RecursionError:  # only if the caller's stack is nearly full
            raise self._error(0, "expected something less deeply nested") from None
        return self._condition(cast("Expression", tree))

    def _check_tokens(self, tokens: list[Token]) -> None:
        """Refuse tokens outside the language, and deep nesting, before the recursive parser runs."""
        from sqlglot.tokens import TokenType as T  # type: ignore[attr-defined]

        plain = {T.IDENTIFIER, T.STRING, T.NUMBER, T.TRUE, T.FALSE, T.NULL, T.AND, T.OR, T.NOT, T.IN, T.LIKE, T.IS}
        plain |= {T.EQ, T.NEQ, T.LT, T.LTE, T.GT, T.GTE, T.L_PAREN, T.R_PAREN, T.COMMA, T.DASH, T.BETWEEN}
        if not tokens:
            raise self._error(0, GRAMMAR)
        depth = negations = 0
        operand_next = True
        for token in tokens:
            kind = token.token_type
            if token.comments:
                raise self._error(token.start, "expected no comments")
            if kind not in plain and not is_word(token.text):
                raise self._error(token.start, UNREADABLE)
            if kind == T.EQ and token.text != "=":
                raise self._error(token.start, "expected a single =")
            depth += (kind == T.L_PAREN) - (kind == T.R_PAREN)
            negations += kind == T.NOT and operand_next
            if depth > DEEPEST or negations > DEEPEST:
                raise self._error(token.start, f"expected at most {DEEPEST} parentheses, or nots, inside each other")
            operand_next = kind in (T.L_PAREN, T.AND, T.OR, T.NOT)

    def _condition(self, node: Expression) -> Condition:
        from sqlglot import exp

        match node:
            case exp.And() | exp.Or():
                kind = type(node)
                terms = []
                rest: Any = node
                while isinstance(rest, kind):  # a loop, since a long chain is a deep tree on its left side
                    terms.append(self._condition(rest.expression))
                    rest = rest.this
                terms.append(self._condition(rest))
                return (Every if kind is exp.And else Some)(tuple(reversed(terms)))
            case exp.Not():
                return Not(self._condition(node.this))
            case exp.Paren():
                return self._condition(node.this)
            case exp.Is():
                name, _ = self._name(node.this)
                if not isinstance(node.expression, exp.Null):
                    raise self._error(self._place(node.expression, node), "expected `is null` or `is not null`")
                return Missing(name)
            case exp.Like():
                return self._like(node)
            case exp.In():
                return self._among(node)
            case exp.Between():
                return self._between(node)
        return self._compare(node)

    def _compare(self, node: Expression) -> Condition:
        from sqlglot import exp

        operators: dict[type[Expression], Operator] = {
            exp.EQ: "=",
            exp.NEQ: "!=",
            exp.LT: "<",
            exp.LTE: "<=",
            exp.GT: ">",
            exp.GTE: ">=",
        }
        operator = operators.get(type(node))
        if operator is None:
            raise self._error(self._place(node, node), GRAMMAR)
        name, kinds = self._name(node.this)
        value = self._value(node.expression, name, kinds, beside=node)
        if isinstance(value, bool) and operator not in ("=", "!="):
            raise self._error(self._place(node.expression, node), "true and false are compared with = and != only")
        return Compare(name, operator, value)

    def _like(self, node: Expression) -> Condition:
        name, kinds = self._name(node.this)
        pattern = self._value(node.expression, name, kinds, beside=node)
        if not isinstance(pattern, str):
            raise self._error(self._place(node.expression, node), "expected a pattern in single quotes, as '%shirt%'")
        found = Like(name, pattern)
        return Not(found) if node.args.get("negate") else found

    def _among(self, node: Expression) -> Condition:
        name, kinds = self._name(node.this)
        if not node.expressions or set(node.args) - {"this", "expressions"} - {
            k for k, v in node.args.items() if not v
        }:
            raise self._error(self._place(node, node), "expected values in parentheses after `in`, as ('Red', 'Blue')")
        return Among(name, tuple(self._value(value, name, kinds, beside=node) for value in node.expressions))

    def _between(self, node: Expression) -> Condition:
        name, kinds = self._name(node.this)
        low, high = (self._value(node.args[end], name, kinds, beside=node) for end in ("low", "high"))
        if kind_of(low) != kind_of(high) or isinstance(low, bool):
            raise self._error(self._place(node.args["high"], node), "expected two numbers, or two texts")
        return Between(name, low, high)

    def _name(self, node: Expression) -> tuple[str, Kinds]:
        """Attribute that a node names, and the kinds of its values."""
        from sqlglot import exp

        if not isinstance(node, exp.Column) or len([part for part in node.args.values() if part]) != 1:
            raise self._error(self._place(node, node), QUOTED_NAME)
        name = node.name
        if name not in self._known:
            raise self._error(self._place(node, node), self._unknown(name))
        return name, self._known[name]

    def _unknown(self, name: str) -> str:
        import difflib

        folded = {known.casefold(): known for known in self._known}
        near = difflib.get_close_matches(name.casefold(), folded, n=1)
        if near:
            return f"there is no attribute {name!r}; did you mean {folded[near[0]]!r}?"
        shown = sorted(self._known)
        more = f" and {len(shown) - 20} more" if len(shown) > 20 else ""
        return f"there is no attribute {name!r}; there are {', '.join(shown[:20])}{more}"

    def _value(self, node: Expression, name: str, kinds: Kinds, *, beside: Expression) -> Value:
        """Literal value of a node, of a kind that the attribute has in the gallery."""
        value = self._literal(node, beside)
        if kinds & ~Kinds.NESTED and kind_of(value) not in kinds:
            held = " or ".join(word for kind, word in KIND_WORDS.items() if kind in kinds)
            raise self._error(self._place(node, beside), f"expected {held}, the values of {name!r} in this gallery")
        if kinds == Kinds.NESTED:
            raise self._error(
                self._place(node, beside), f"{name!r} holds lists or objects, which only `is null` can test"
            )
        return value

    def _literal(self, node: Expression, beside: Expression) -> Value:
        from sqlglot import exp

        match node:
            case exp.Boolean():
                return bool(node.this)
            case exp.Literal(is_string=True):
                return str(node.this)
            case exp.Literal():
                return self._number(str(node.this), node)
            case exp.Neg(this=exp.Literal(is_string=False)):
                return -self._number(str(node.this.this), node)
            case exp.Null():
                raise self._error(self._place(node, beside), "nothing equals null; expected `is null` or `is not null`")
        hint = "; text stands in single quotes" if isinstance(node, exp.Column) else ""
        raise self._error(self._place(node, beside), f"expected text in single quotes, a number, true or false{hint}")

    def _number(self, text: str, node: Expression) -> int | float:
        with suppress(ValueError):  # for 1.5e3-2, which sqlglot takes for one number
            value = float(text)
            if math.isfinite(value):
                return int(text) if text.isdecimal() and int(text) < 2**63 else value
        raise self._error(self._place(node, node), "expected a number that a float64 can hold, such as 1.5e3")

    def _place(self, node: Expression, beside: Expression) -> int:
        """Position of a node; of null and true, which have none in the tree, the position of a node beside them."""
        for tree in (node, beside):
            starts = [part.meta["start"] for part in tree.walk() if "start" in part.meta]
            if starts:
                return int(min(starts))
        return 0

    def _syntax_error(self, error: ParseError) -> FilterError:
        facts = error.errors[0]
        before = sum(len(line) + 1 for line in self._expression.splitlines()[: facts["line"] - 1])
        # sqlglot reports the last token it read: the wrong one, or the one before a missing one.
        wrong = len(facts["highlight"]) if "Unexpected token" in facts["description"] else 0
        return self._error(before + facts["col"] - wrong, UNREADABLE)

    def _error(self, position: int, expected: str) -> FilterError:
        return FilterError(self._expression, position, expected)


KIND_WORDS: Final[Mapping[Kinds, str]] = {
    Kinds.TEXT: "text in single quotes",
    Kinds.NUMBER: "a number",
    Kinds.BOOLEAN: "true or false",
}


def is_word(text: str) -> bool:
    """Whether a text can be an unquoted attribute name; SQL keywords such as `order` can."""
    return text.replace("$", "_").isidentifier()
