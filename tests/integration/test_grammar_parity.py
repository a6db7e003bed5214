"""Variables and `.env` are read as Docker Compose reads them: its own binary is asked.

Cases that both accept share one file; only what must be refused is asked for one by one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jeex_cli import dotenv
from jeex_cli.errors import ConfigError
from jeex_cli.interpolation import InterpolationError, interpolate
from tests.integration.compose_oracle import Project, Refused


def answers(folder: Path, templates: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Compose's text for each template."""
    entries = "".join(f"      T{index}: {json.dumps(text)}\n" for index, text in enumerate(templates))
    compose = f"services:\n  a:\n    image: i\n    environment:\n      NONE: x\n{entries}"
    environment = Project(folder, compose, environ=environ).theirs()["services"]["a"]["environment"]
    return [environment[f"T{index}"] for index in range(len(templates))]


VARIABLES = {"A": "a", "EMPTY": "", "DOLLAR": "${A}", "lower": "case", "_X1": "x"}

TEMPLATES = [
    *("$A", "${A}", "$B", "${B}", "$lower$_X1", "$LOWER", "$A-$A.$A}", "{$A}", "$Abc"),
    *("${B:-d}", "${EMPTY:-d}", "${A:-d}", "${B-d}", "${EMPTY-d}", "${A-d}", "${B:-}", "${B-}"),
    *("${B:+o}", "${EMPTY:+o}", "${A:+o}", "${B+o}", "${EMPTY+o}", "${A+o}", "${A+}"),
    *("${A:?why}", "${A?why}", "${EMPTY?why}", "${A:?}"),
    *("$$", "$$A", "$$$A", "$$$$A", "$${A}", "${B:-$$A}", "${DOLLAR}"),
    *("$", "a$", "$ A", "$1", "$-", "100$", "${B:-$}", "$é"),
    *("${B:-${C:-${A}}}", "${B:-${C}}", "${B:-$A$A}", "${A:+${B:-${A}}}", "${B:-a ${A} b}x${A}"),
    *("${B:-a b}", "${B:- a }", "${B:-:-}", "${B:-a:b}", "${B:-?}", "${B-:?x}", "${B:--1}", "${B:-a}b}"),
    *("${B:-'q'}", '${B:-"q"}', "${B:-#x}", "${B:-\\n}", "${B:-é}", "${B:-a=b}"),
    *("${B:-{x}}", "${B:-{}}", "${B:-{}} z}", "${B:-{x}", "${B:-{{x}}} y", "${B:-{$A}}", "${B:-}x{}"),
    *("${A:-${}}", "${B:+${}}", "${A:-x} ${B:-y}", "${A:-x}\n${B:-y}", "a\n${A}\n"),
]

REFUSED = [
    *("${", "${}", "${A", "x${", "${1}", "${ A}", "${A }", "${A!}", "${A:}", "${A:x}", "${A.b}", "${é}", "$${${"),
    *("${B:-x", "${B:-${A}", "${B:-a\nb}", "${B:-${}}", "${A:+${}}", "${A:-x} ${", "${A:-x} ${}"),
    *("${B:?why}", "${B?why}", "${EMPTY:?why}", "${B:?}", "${A:-x} ${B:?why}", "${B:-${C:?why}}"),
]


def test_variables_are_replaced_as_compose_replaces_them(tmp_path: Path) -> None:
    theirs = answers(tmp_path, TEMPLATES, VARIABLES)
    assert {text: interpolate(text, VARIABLES) for text in TEMPLATES} == dict(zip(TEMPLATES, theirs, strict=True))


@pytest.mark.parametrize("template", REFUSED)
def test_variables_that_compose_refuses_are_refused(tmp_path: Path, template: str) -> None:
    with pytest.raises(InterpolationError):
        interpolate(template, VARIABLES)
    with pytest.raises(Refused):
        answers(tmp_path, [template], VARIABLES)


PIECES = ["$", "${", "${A", "${B", "${EMPTY", "$A", "$$", "}", "}", "{", ":-", "-", ":?", ":+", "+", "x", " ", "\n", "é"]


@settings(
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=6,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.lists(st.lists(st.sampled_from(PIECES), min_size=1, max_size=8).map("".join), min_size=150, max_size=150))
def test_any_mixture_is_replaced_as_compose_replaces_it(tmp_path: Path, templates: list[str]) -> None:
    ours: dict[str, str] = {}
    refused: list[str] = []
    for template in templates:
        try:
            ours[template] = interpolate(template, VARIABLES)
        except InterpolationError:
            refused.append(template)
    assert ours == dict(zip(ours, answers(tmp_path, list(ours), VARIABLES), strict=True))
    for template in refused[:4]:
        with pytest.raises(Refused):
            answers(tmp_path, [template], VARIABLES)


# @ stands for a name of the line's own.
LINES = [
    *("@=v", "@= v ", "@ =v", "@ : v", "@:v", "@=", "@=''", '@=""', "@==v", "@=:v", "@:=v", "  @=v", "\t@\t=\tv"),
    *("export @=v", "export  @=v", "export\t@=v", "export@=v", "@.M=v", "@-M=v", "@[0]=v", "né=v", "9@=v"),
    *("@=one two", "@=a=b", "@=a#b", "@=a #b", "@=a\t#b", "@=#b", "@= #b", "@=a # b # c", "@=a #", "# @=v", " # @=v"),
    *("@='a b'", "@='a\\nb'", "@='$OUT'", "@='a\\'b'", "@='\\\\'", "@='a' # c", "@='a'# c", "@='a\nb'", "@='#'", "@='${'"),
    *('@="a b"', '@="a\\nb\\tc\\rd"', '@="$OUT"', '@="\\$OUT"', '@="$$OUT"', '@="a\\"b"', '@="\\\\"', '@="\\\\\\"b"'),
    *('@="a\nb" # c', '@="\\a\\c\\q\\x41\\101"', '@="\\0101\\07\\0\\0377\\0777\\0888"', '@="a # b"', '@="\'"', "@='\"'"),
    *("@=$OUT", "@=${OUT}", "@=\\$OUT", "@=$$OUT", "@=${NONE:-d}", "@=${NONE-d e} f"),
    *("@=${OUT:+o}", "@=${OUT:?why}", "@=a$", "@=$1", "@=${NONE:-$OUT}", "@=${OUT}${OUT2}"),
    *("@=1\n@=2", "@=1\n@=${@}2", "@=mine\n@X=$@$OUT", "@X=$@\n@=1", "OUT=mine\n@=$OUT", "@=${NONE:-a b} # c"),
    *("@=it's", '@=6" long', "@=v\\", "@=`x`", "@=!x", "@=$(x)", "@=é", "@=\u00a0v\u00a0", "@=\u3000v\u3000", "@=a\rb"),
    *("@='a' @X='b'", "@='a'@X=b", "@=v\r", "@='v'\r", "@", "export @", "OUT", "@='a' @X", '@="a\r\nb"'),
]

REFUSED_LINES = [
    *("@ M=v", "@ M\n@=v", "@%=v", "'@'=v", '"@"=v', "{", "@='a", '@="a', '@="a\\"', "@='it''s'", '@="a""b"', "@='a' %"),
    *("@=${", "@=${}", "@=${NONE", "@=${NONE:?why}", "@=${NONE?}", '@="${NONE:-a\\nb}"', '@="${"', "@='a' M @=v", "export "),
]

OUT = {"OUT": "outside", "OUT2": "$OUT"}


def read_by_us(text: str, environ: Mapping[str, str]) -> dict[str, str]:
    return dotenv.parse(text, source=".env", environ=environ)


def read_by_compose(folder: Path, env: str, names: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that Compose finds in a `.env`: of a list entry without a value it takes the value from there."""
    compose = f"services:\n  a:\n    image: i\n    environment: {json.dumps([*names, 'LAST=1'])}\n"
    read = Project(folder, compose, env=env, environ=environ).theirs()["services"]["a"]["environment"]
    return {name: value for name, value in read.items() if value is not None and name != "LAST"}


def test_lines_of_env_are_read_as_compose_reads_them(tmp_path: Path) -> None:
    text = "".join(line.replace("@", f"N{index}_") + "\n" for index, line in enumerate(LINES))
    ours = {**read_by_us(text, OUT), **OUT}
    asked_for = {f"N{index}_{suffix}" for index in range(len(LINES)) for suffix in ("", "X")}
    assert len(ours) >= len(LINES)
    assert read_by_compose(tmp_path, text, sorted({*ours, *asked_for}), OUT) == ours


@pytest.mark.parametrize(
    "text",
    ["\ufeffN=v\nM=w", "N=v\r\nM='w'\r\n# c\r\n\r\nO=\"x\r\ny\"", "N=v", "N", "N=", "N='v'", "", "\n\n", "#", "N=v #"],
)
def test_ends_of_env_are_read_as_compose_reads_them(tmp_path: Path, text: str) -> None:
    assert read_by_compose(tmp_path, text, ["N", "M", "O"], {}) == read_by_us(text, {})


@pytest.mark.parametrize("line", REFUSED_LINES)
def test_lines_that_compose_refuses_are_refused(tmp_path: Path, line: str) -> None:
    text = "A=1\n" + line.replace("@", "N")
    with pytest.raises(ConfigError):
        read_by_us(text, OUT)
    with pytest.raises(Refused):
        read_by_compose(tmp_path, text, ["A"], OUT)


def test_a_last_line_that_is_no_assignment_is_refused_although_compose_overlooks_it(tmp_path: Path) -> None:
    assert read_by_compose(tmp_path, "N=v\nJEEX_API_PORT 6210", ["N", "JEEX_API_PORT"], {}) == {"N": "v"}
    with pytest.raises(ConfigError, match=r"\.env:2: "):
        read_by_us("N=v\nJEEX_API_PORT 6210", {})
