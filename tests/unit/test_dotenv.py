"""`.env`. That these answers are Compose's is shown in tests/integration/test_grammar_parity.py."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jeex_cli import dotenv
from jeex_cli.errors import ConfigError

LINES = st.lists(
    st.sampled_from(
        [
            "A",
            "B=",
            "=",
            ":",
            "export ",
            "'",
            '"',
            "\\",
            "\n",
            "\r\n",
            " ",
            "\t",
            "#",
            "$A",
            "${",
            "}",
            "${B:-x}",
            "%",
            "é",
            "\x00",
        ]
    ),
    max_size=15,
).map("".join)


def parse(text: str, **environ: str) -> dict[str, str]:
    return dotenv.parse(text, source=".env", environ=environ)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=v", "v"),
        ("A = v ", "v"),
        ("A: v", "v"),
        ("export A=v", "v"),
        ("\texport\tA=v", "v"),
        ("A=", ""),
        ("A=''", ""),
        ("A=one two", "one two"),
        ("A=a=b:c", "a=b:c"),
        ("A=v # comment", "v"),
        ("A=v#no-comment", "v#no-comment"),
        ("A= # no comment either", "# no comment either"),
        ("A='v' # comment", "v"),
        ("A='$B \\n # it\\'s'", "$B \\n # it's"),
        ('A="say \\"hi\\"\\n\\ttab \\\\ \\$B"', 'say "hi"\n\ttab \\ $B'),
        ('A="\\0101\\07\\q"', "A\\7\\q"),
        ('A="one\ntwo" # three', "one\ntwo"),
        ("A='one\ntwo'", "one\ntwo"),
        ("\ufeffA=v", "v"),
        ("A=v\r\n", "v"),
        ("# A=1\n\n   # A=2\nA=v", "v"),
        ("A=1\nA=v", "v"),
        ("A=$$v", "$v"),
        ("A=it's 6\" long", "it's 6\" long"),
    ],
)
def test_a_line_gives_its_value(text: str, value: str) -> None:
    assert parse(text) == {"A": value}


def test_values_see_earlier_lines_and_the_environment_which_wins() -> None:
    text = "HOST=h\nPORT=1\nURL=\"http://${HOST}:$PORT/${MISSING:-x}\"\nRAW='$HOST'\nLATER=$END\nEND=e\n"
    assert parse(text, PORT="2") == {
        "HOST": "h",
        "PORT": "1",
        "URL": "http://h:2/x",
        "RAW": "$HOST",
        "LATER": "",
        "END": "e",
    }


def test_a_name_alone_is_taken_from_the_environment() -> None:
    assert parse("A\nexport C\nB=1\nD\n", A="a", C="c") == {"A": "a", "C": "c", "B": "1"}


def test_statements_may_follow_a_closing_quote() -> None:
    assert parse("A='1' B=\"2\"\nC=3") == {"A": "1", "B": "2", "C": "3"}


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("A=1\nnot an assignment\n", 2, "NAME=value"),
        ("A=1\nnot an assignment", 2, "NAME=value"),
        ("MY NAME=v", 1, "NAME=value"),
        ("A=1\n\n{ json: 1 }", 3, "NAME=value"),
        ("A='one\ntwo'\nB='three", 3, "no ' closes it"),
        ('A=1\r\nB="never\r\nclosed\r\n', 2, 'no " closes it'),
        ("A='it''s'", 1, "cannot be part of a name"),
        ("A=1\nB=${A", 2, "B: "),
        ("A=${B:?set B first}", 1, "the variable B is required: set B first"),
        ("A='\n\n\n' %", 4, "cannot be part of a name"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(text: str, line: int, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert caught.value.message.startswith(f".env:{line}: ")
    assert what in caught.value.message
    assert f"line {line} of .env" in caught.value.hint
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    "text", ["A='hunter2", 'A="hunter2', "A='x'hunter2%", "A=hunter2${", "B=hunter2\nA=${B:-${", "A='x' hunter2 %"]
)
def test_an_error_never_shows_a_value(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert "hunter2" not in caught.value.message + caught.value.detail + caught.value.hint


@settings(database=None, deadline=None, max_examples=300)
@given(LINES)
def test_any_text_is_read_or_refused_with_a_line_of_it(text: str) -> None:
    try:
        parse(text, A="a")
    except ConfigError as error:
        line = int(error.message.split(":")[1])
        assert 1 <= line <= text.count("\n") + 1


@settings(database=None, deadline=None)
@given(st.text().filter(lambda text: not text.endswith("\\") and "\\'" not in text))
def test_single_quotes_keep_any_text(text: str) -> None:
    quoted = text.replace("'", "\\'")
    assert parse(f"A='{quoted}'\nB=1") == {"A": text, "B": "1"}
