"""What was revealed is found in texts in every shape in which it comes back, and taken out."""

import base64
import json
import re
import traceback
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import Invalid, Unavailable
from headgate.redaction import HIDDEN, Redaction

VALUE = "C4n@ry/+ 'pass\"word\\ü%"
values = st.text(min_size=8, max_size=40).filter(lambda text: len(text.strip()) >= 8)


@pytest.fixture
def redaction():
    redaction = Redaction()
    redaction.remember(VALUE, "shop")
    return redaction


SHAPES = {
    "as it is": lambda v: v,
    "in a URL": lambda v: urllib.parse.quote(v, safe=""),
    "in a path": urllib.parse.quote,
    "in a query": urllib.parse.quote_plus,
    "in a query of httpx": lambda v: urllib.parse.quote(v, safe=":@!$&'()*+,;=~"),
    "in lower-case escapes": lambda v: re.sub(
        "%..", lambda m: m[0].lower(), urllib.parse.quote(v, safe="")
    ),
    "escaped twice": lambda v: urllib.parse.quote(urllib.parse.quote(v, safe=""), safe=""),
    "in JSON": json.dumps,
    "in JSON in UTF-8": lambda v: json.dumps(v, ensure_ascii=False),
    "in JSON in JSON": lambda v: json.dumps(json.dumps(v)),
    "as Python shows it": repr,
    "as Python shows bytes": lambda v: repr(v.encode()),
    "in SQL": lambda v: v.replace("'", "''"),
    "in base64": lambda v: base64.b64encode(v.encode()).decode(),
    "in base64 for URLs": lambda v: base64.urlsafe_b64encode(v.encode()).decode(),
    "after a user": lambda v: base64.b64encode(f"user:{v}".encode()).decode(),
    "after another user": lambda v: base64.b64encode(f"users:{v}".encode()).decode(),
    "after a third user": lambda v: base64.b64encode(f"me:{v}:more".encode()).decode(),
    "in hexadecimal": lambda v: v.encode().hex(),
    "in capital hexadecimal": lambda v: v.encode().hex().upper(),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_value_is_taken_out_in_every_shape(redaction, shape):
    text = f"before:{SHAPES[shape](VALUE)}:after"
    clean = redaction.text(text)
    assert "secret('shop')" in clean
    assert not redaction.holds(clean)
    assert clean.startswith("before:")
    assert clean.endswith(":after")


@given(values, st.text(max_size=20), st.sampled_from(sorted(SHAPES)))
def test_whatever_the_value_no_shape_of_it_stays(value, beside, shape):
    redaction = Redaction()
    redaction.remember(value, "x")
    try:
        text = SHAPES[shape](value)
    except UnicodeEncodeError:
        return
    clean = redaction.text(f"{beside} {text} {beside}")
    assert redaction.text(text) != text
    assert value not in clean.replace("secret('x')", "").replace(HIDDEN, "")


def test_texts_without_values_stay_the_very_objects(redaction):
    value = {"a": ["b", 1, None], "c": {"d": "e"}}
    assert redaction.value(value) is value
    assert Redaction().text(VALUE) == VALUE


def test_mappings_and_lists_are_gone_through(redaction):
    assert redaction.value({"a": [f"x {VALUE}", 1], VALUE: (VALUE.encode(),)}) == {
        "a": ["x secret('shop')", 1],
        "secret('shop')": (b"secret('shop')",),
    }


def test_the_longer_of_two_values_wins():
    redaction = Redaction()
    redaction.remember("abcd", "short")
    redaction.remember("abcdefgh", "long")
    assert redaction.text("abcdefgh abcd") == "secret('long') secret('short')"


def test_a_value_that_is_its_own_name_is_hidden_without_it():
    redaction = Redaction()
    redaction.remember("shop1", "shop1")
    assert redaction.text("password shop1") == f"password {HIDDEN}"


def test_short_values_go_only_where_they_stand_by_themselves():
    redaction = Redaction()
    redaction.remember("pw", "shop")
    said = "pw pwd://me:pw@host password=pw, 'pw' spwan =pwx"
    expected = "pw pwd://me:{0}@host password={0}, '{0}' spwan =pwx"
    assert redaction.text(said) == expected.format("secret('shop')")


def test_a_plain_word_is_not_looked_for_in_words_that_begin_with_it():
    redaction = Redaction()
    redaction.remember("postgres")
    assert redaction.text("postgresql://postgres:postgres@db") == "postgresql://***:***@db"


def test_the_lines_of_a_key_are_known_by_themselves():
    redaction = Redaction()
    lines = ["MIIEvQIBADANBgkqhkiG9w0BAQ", "EFAASCBKcwggSjAgEAAoIBAQC7"]
    key = "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----"])
    redaction.remember(key, "key")
    document = json.dumps({"type": "service_account", "private_key": key})
    redaction.remember(document, "account")
    for text in (*lines, key, document, json.dumps(document)):
        assert lines[0] not in redaction.text(text)
        assert lines[1] not in redaction.text(text)
    assert redaction.text("-----BEGIN PRIVATE KEY-----") == "-----BEGIN PRIVATE KEY-----"
    assert redaction.text("service_account") == "service_account"


def shown(error):
    return "".join(traceback.format_exception(error))


def test_an_error_is_cleaned_with_all_that_led_to_it(redaction):
    def fail():
        try:
            try:
                raise OSError(5, f"no {VALUE}", f"/tmp/{VALUE}")  # noqa: TRY301
            except OSError as cause:
                raise KeyError(VALUE) from cause
        except KeyError as cause:
            error = Unavailable("down", f"no {VALUE}", hint=VALUE, readers=VALUE, url=[VALUE])
            error.add_note(f"note {VALUE}")
            raise error from cause

    with pytest.raises(Unavailable) as caught:
        fail()
    error = caught.value
    clean = redaction.error(error)
    assert clean is error
    assert not redaction.holds(shown(clean))
    assert not redaction.holds(str(clean.__reduce__()))
    assert clean.facts == {"url": ["secret('shop')"]}
    assert shown(clean).count("secret('shop')") >= 6


def test_an_error_that_makes_its_text_anew_is_replaced_by_one_of_its_name(redaction):
    class DriverError(Exception):
        def __str__(self):
            return f"cannot connect with {VALUE}"

    try:
        try:
            raise DriverError  # noqa: TRY301
        except DriverError as cause:
            raise ValueError("x") from cause
    except ValueError as error:
        clean = redaction.error(error)
    assert clean.__cause__ is not None
    assert type(clean.__cause__).__name__ == "DriverError"
    assert str(clean.__cause__) == "cannot connect with secret('shop')"
    assert not redaction.holds(shown(clean))


def test_an_error_whose_text_cannot_be_made_is_left(redaction):
    class BrokenError(Exception):
        def __str__(self):
            raise RuntimeError(VALUE)

    error = BrokenError()
    assert redaction.error(error) is error


def test_groups_and_circles_of_errors_end(redaction):
    one, two = ValueError(VALUE), TypeError(VALUE)
    one.__context__, two.__context__ = two, one
    group = ExceptionGroup(f"all {VALUE}", [one, two])
    clean = redaction.error(group)
    assert not redaction.holds(shown(clean))


def test_nothing_is_held_by_the_module():
    first, second = Redaction(), Redaction()
    first.remember("canary-value", "a")
    assert second.text("canary-value") == "canary-value"


def test_only_an_unusual_value_gives_a_secret_away():
    redaction = Redaction()
    redaction.remember("postgres", "dev")
    redaction.remember("k8s", "short")
    redaction.remember("plain-credential-1")
    redaction.remember("tok-123456", "api")
    assert not redaction.is_given_away('{"kind": "postgres", "k8s": "plain-credential-1"}')
    assert redaction.is_given_away('{"next": "https://x/?key=tok-123456"}')


def test_an_error_of_ours_keeps_its_class_and_code(redaction):
    error = redaction.error(Invalid("bad", VALUE))
    assert isinstance(error, Invalid)
    assert error.code == "bad"
