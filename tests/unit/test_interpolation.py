"""`${...}`. That these answers are Compose's is shown in tests/integration/test_grammar_parity.py."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jeex_cli.interpolation import InterpolationError, Reference, RequiredVariable, interpolate, references

VARIABLES = {"A": "a", "EMPTY": "", "DOLLAR": "${A}"}

TEMPLATES = st.lists(
    st.sampled_from(["$", "$$", "${", "${A", "${B", "$A", "}", "{", ":-", "-", ":?", "?", ":+", "+", "x", " ", "\n", "é"]),
    max_size=12,
).map("".join)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("plain", "plain"),
        ("$A-${A}-$B-${B}", "a-a--"),
        ("${B:-d}${EMPTY:-d}${A:-d}", "dda"),
        ("${B-d}${EMPTY-d}${A-d}", "da"),
        ("${B:+o}${EMPTY:+o}${A:+o}", "o"),
        ("${B+o}${EMPTY+o}${A+o}", "oo"),
        ("${A:?why}${A?why}${EMPTY?why}", "aa"),
        ("${B:-${C:-${A}}}", "a"),
        ("${B:-$A and ${A}}", "a and a"),
        ("$$A $${A} $$$A", "$A ${A} $a"),
        ("100$ $1 $", "100$ $1 $"),
        ("${B:-{json}} ${B:-{}}", "{json} {}"),
        ("${DOLLAR}", "${A}"),
        ("${A:-${}}", "a"),  # what is not used is not looked at
        ("${a}", ""),  # names are not folded
    ],
)
def test_a_template_becomes_its_text(template: str, expected: str) -> None:
    assert interpolate(template, VARIABLES) == expected


@pytest.mark.parametrize(
    "template",
    ["${", "${}", "${A", "${A:-x", "${1}", "${A!}", "${A:}", "${ A}", "${B:-a\nb}", "${A.b}", "x ${B:-${}}"],
)
def test_what_is_no_variable_is_refused(template: str) -> None:
    with pytest.raises(InterpolationError) as caught:
        interpolate(template, VARIABLES)
    assert caught.value.reason


@pytest.mark.parametrize("template", ["${B:?tell me}", "${B?tell me}", "${EMPTY:?tell me}"])
def test_a_missing_required_variable_is_named_with_its_reason(template: str) -> None:
    with pytest.raises(RequiredVariable, match=r"is required: tell me") as caught:
        interpolate(template, VARIABLES)
    assert caught.value.name in template


def test_an_error_never_shows_a_value() -> None:
    with pytest.raises(RequiredVariable) as caught:
        interpolate("${B:?like $SECRET or ${SECRET}}", {"SECRET": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_references_are_those_in_defaults_too_with_the_raw_text() -> None:
    assert list(references("$A ${B:-${C-x}y} $$D ${E?why}")) == [
        Reference("A"),
        Reference("B", ":-", "${C-x}y"),
        Reference("C", "-", "x"),
        Reference("E", "?", "why"),
    ]


def test_endless_nesting_is_refused() -> None:
    with pytest.raises(InterpolationError, match="nested"):
        interpolate("${B:-" * 5000 + "}" * 5000, {})
    with pytest.raises(InterpolationError, match="nested"):
        list(references("${B:-" * 5000 + "}" * 5000))


def test_many_variables_in_one_text_are_no_nesting() -> None:
    assert interpolate("${B:-x}" * 5000, {}) == "x" * 5000


@settings(database=None, deadline=None)
@given(st.text())
def test_doubled_dollars_give_back_any_text(text: str) -> None:
    assert interpolate(text.replace("$", "$$"), VARIABLES) == text


@settings(database=None, deadline=None, max_examples=300)
@given(TEMPLATES)
def test_the_result_depends_on_the_references_alone(template: str) -> None:
    try:
        named = {reference.name for reference in references(template)}
    except InterpolationError:
        return
    values = {"A": "one", "B": "two", "Ax": "three", "Bx": "four"}
    only_named = {name: value for name, value in values.items() if name in named}
    try:
        expected = interpolate(template, values)
    except InterpolationError:
        with pytest.raises(InterpolationError):
            interpolate(template, only_named)
    else:
        assert interpolate(template, only_named) == expected
