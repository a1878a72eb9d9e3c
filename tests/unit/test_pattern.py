"""A check's pattern: what is accepted, what Postgres gets, what is refused and what to write instead."""

from __future__ import annotations

import pytest
from dataplatform.metadata.check import Check
from dataplatform.metadata.pattern import Pattern, compiled, pattern
from pydantic import ValidationError


@pytest.mark.parametrize(
    ("text", "python", "postgres"),
    [
        ("^[A-Z]{2}$", r"^[A-Z]{2}\Z", "^[A-Z]{2}$"),
        (r"\bred\B", r"\bred(?!\b)", r"\yred\Y"),
        ("a.c", "a.c", r"a[^\n]c"),
        ("(a|b)+?", "(a|b)+?", "(?:a|b)+?"),
        ("a{,3}b{2,}{x{1,", "a{,3}b{2,}{x{1,", r"a{0,3}b{2,}\{x\{1,"),
        (r"\x41\u00e9\.\é", r"\x41\u00e9\.\é", r"Aé\.é"),
        (r"[]a\]\w^-]", r"[]a\]\w^-]", r"[\]a\]\w\^\-]"),
        (r"[^a-c-e\b\x00-\x1f]", r"[^a-c-e\b\x00-\x1f]", "[^a-c\\-e\\u0008\\u0001-\\u001f]"),
        ("(?i)ab(?=c)(?!d)", "(?i)ab(?=c)(?!d)", "(?i)ab(?=c)(?!d)"),
    ],
)
def test_both_forms_of_a_pattern(text: str, python: str, postgres: str) -> None:
    assert pattern(text) == Pattern(python, postgres)
    compiled(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("(", "is no regular expression"),
        ("[[a]", "is no regular expression"),
        ("[[:alpha:]]", "is no regular expression"),
        ("(?<=a)b", "a lookbehind"),
        ("(?<!a)b", "a lookbehind"),
        ("(?P<name>a)", "a named group"),
        ("(?P<n>a)(?P=n)", "a named group"),
        (r"(a)\1", "a reference to a group"),
        (r"\012", "an octal number"),
        (r"a\Z", r"write \$"),
        (r"\Aa", r"write \^"),
        ("a++", "possessive"),
        ("a*+", "possessive"),
        ("a{2}+", "possessive"),
        ("(?>a)", "an atomic group"),
        ("(?m)^a", r"only \(\?i\)"),
        ("(?i:a)", r"only \(\?i\)"),
        ("(?#note)a", "a comment"),
        ("(a)?(?(1)b|c)", "a condition"),
        (r"\N{EN DASH}", "write the character"),
        ("(?=a)*b", "a lookahead that is repeated"),
        ("a{256}", "more than 255 repetitions"),
        (r"\ud800", "surrogate"),
    ],
)
def test_what_the_two_read_differently_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Check(pattern={"v": text})
