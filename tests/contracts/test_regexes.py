# ruff: noqa: E501, RUF001 - cases as tables
"""A pattern means the same to RE2 (DuckDB) and to Rust (Polars), or it is refused."""

import sys

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from headgate.contracts import regex_parsing, regexes
from headgate.errors import Invalid

TEXTS = [
    "", "a", "b", "A", "1", "a1", "ab", "abab", "aaa", " ", "\t", "\n", "\v", "\x1c", "\x85", "\u00a0", "é", "É", "ß", "ſ", "K",
    "k", "\u212a", "İ", "٣", "１", "日本", "a\nb", "a\n", "\na", "b\na\n", "\r\n", "a-b", "a.b", "a]b", "[x]", "^a", "a$", "x{2}",
    "\\", "'", "/", "_", "\x00", "a\x00b", "\x07", "👨‍👩‍👧", "e\u0301", "Ω", "я", "א", "ｱ", "0x1F", "user1@example2.com",
]  # fmt: skip
SAME = [
    "", "a", "^a$", r"\Aa\Z", r"\Aa\z", "a|b", "^(?:a|ab)$", "(a)(b)?", "(?P<n>a)b", "(?<n>a)b", "a*", "a+?", "a{2}", "a{2,}",
    "a{1,2}?", ".", "^.$", "(?s)^.$", "(?s:.)b", "(?m)^a$", "(?m)^$", "(?im)^A$", "(?i)k", "(?i)[a-z]", "(?i)[^a-z]", "(?i:a)b",
    "(?i)a(?-i:b)", r"\d", r"\D", r"^\d+$", r"\w", r"^\W$", r"\s", r"^\S+$", r"\bab", r"a\b", r"^\b", r"[\d]", r"[^\d]",
    r"[\D]", r"[^\D]", r"[\w-]", r"[a\-z]", "[a-]", "[-a]", "[]a]", "[^]a]", r"[\]]", r"[\[x]", r"[^\n]", r"[\s\S]", r"[\b]",
    "[[:alpha:]]", "[^[:digit:]]", "[[:^space:]]", "[[:word:][:punct:]]", r"\p{L}", r"\pL", r"^\P{L}+$", r"[\p{Lu}\d]",
    r"[^\p{L}]", r"[\P{L}a]", r"\p{Greek}|\p{Cyrillic}", r"\x41", r"\x{e9}", r"\u00e9", r"\U0001f468", r"\t|\n|\v|\f|\r|\a",
    r"\.", r"\\", r"\/", r"\-", r"\_", r"\ ", r"\'", r"\{2\}", "'", "日本", "[日-本]", "é", "[é-í]", "(?:)", "()", "(|a)$",
    "(?:^a)*", r"(?:\b|x)+", r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$", "a{0}", "a{1000}",
    r"\p{L}{200}", r".{1000}", r"^[\w.]{1,1000}@[\w.]{1,1000}$", r"0x[0-9A-Fa-f]+", "~&#-", "[~&#]", "[a&]", "[|]", "}", "]",
]  # fmt: skip
REFUSED = {
    "(?=a)": "look-ahead",
    "(?!a)": "look-ahead",
    "(?<=a)b": "look-behind",
    "(?<!a)b": "look-behind",
    r"(a)\1": "back-reference",
    "(?P=n)": "back-reference",
    "(?P<n>a)(?P=n)": "back-reference",
    "(?>a)": "atomic",
    "a++": "possessive",
    "a**": "repetition of a repetition",
    "a{2}{3}": "repetition of a repetition",
    "^*": "repetition of a place",
    r"\b+": "repetition of a place",
    "(?(1)a|b)": "condition",
    "(?#c)a": "comment",
    "(?x)a b": "verbose",
    "(?u)a": "(?u)",
    r"\B": r"\B",
    r"\G": "nothing here",
    r"\K": "nothing here",
    r"\R": "nothing here",
    r"\X": "nothing here",
    r"\h": "nothing here",
    r"\Qa\E": "nothing here",
    r"\C": "nothing here",
    r"\e": "nothing here",
    r"\é": "nothing here",
    r"\07": "octal",
    r"\N{DIGIT ONE}": "nothing here",
    r"\p{Mn}": "engines differ",
    r"\p{Alphabetic}": "engines differ",
    r"\p{^L}": "engines differ",
    r"\p{C}": "engines differ",
    r"\b{start}": "boundary",
    "[[a]b]": "'[' in a class",
    "[a[]": "'[' in a class",
    "[[=a=]]": "'[' in a class",
    "[a&&b]": "'&&'",
    "[a--b]": "'--'",
    "[a~~b]": "'~~'",
    r"[a-\d]": "ends with a class",
    r"[\d-a]": "begins with a class",
    "[b-a]": "backwards",
    "[a": "too early",
    "(a": "not closed",
    "a)": "closes nothing",
    "*a": "repeats nothing",
    "a{1001}": "count",
    "a{2,1}": "count",
    "(a{100}){100}": "repeats more",
    r"\p{L}{1000}": "too large",
    r"(?:[\p{L}\p{N}]{30}){30}": "too large",
    "|".join(["[^à-ÿ]{900}"] * 9): "too large",
    "a{,2}": "counts nothing",
    "{": "counts nothing",
    "a\\": "too early",
    "(?i)é": "ASCII",
    r"(?i)\p{L}": "ASCII",
    r"\xg1": "digits",
    r"\ud800": "no character",
    "[[:nothing:]]": "no class",
    "(?P<1>a)": "proper name",
    "(?i": "too early",
    r"[\B]": "nothing here",
}


@pytest.fixture(scope="module")
def engines():
    connection = duckdb.connect()

    def both(pattern, texts):
        connection.register("texts", pa.table({"t": pa.array(texts, pa.string())}))
        rust = regexes.written_for(pattern, "rust")
        re2 = regexes.written_for(pattern, "re2").replace("'", "''")
        found = connection.sql(f"select regexp_matches(t, '{re2}') as m from texts")
        ours = found.to_arrow_table().column("m").to_pylist()
        return ours, pl.Series(texts).str.contains(rust).to_list()

    yield both
    connection.close()


@pytest.mark.parametrize("pattern", SAME)
def test_both_engines_agree(engines, pattern):
    re2, rust = engines(pattern, TEXTS)
    assert dict(zip(TEXTS, re2, strict=True)) == dict(zip(TEXTS, rust, strict=True))


@pytest.mark.parametrize(("pattern", "why"), REFUSED.items())
def test_what_engines_lack_or_take_differently_is_refused(pattern, why):
    with pytest.raises(Invalid, match="is refused") as caught:
        regex_parsing.parse(pattern)
    assert caught.value.code == "contract-pattern"
    assert why in caught.value.message


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        (r"^\d$", "٣", False),
        (r"^\d$", "3", True),
        (r"^\w$", "é", False),
        (r"\s", "\u00a0", False),
        (r"\s", "\v", True),
        ("a$", "a\n", False),
        (r"a\Z", "a\n", False),
        ("^.$", "\n", False),
        ("b", "abc", True),
        ("(?i)K", "\u212a", True),
        (r"^\p{Lu}", "É", True),
        ("^..$", "日本", True),
    ],
)
def test_patterns_mean_what_the_documentation_says(engines, pattern, text, matches):
    assert engines(pattern, [text]) == ([matches], [matches])


@pytest.mark.soak
@pytest.mark.parametrize("name", regex_parsing.PROPERTIES)
def test_properties_agree_on_every_code_point(engines, name):
    every = [chr(c) for c in range(sys.maxunicode + 1) if not 0xD800 <= c <= 0xDFFF]
    for pattern in (rf"\p{{{name}}}", rf"[^\p{{{name}}}\d]", rf"[\P{{{name}}}x]"):
        re2, rust = engines(pattern, every)
        assert re2 == rust


@pytest.mark.parametrize("name", regex_parsing.PROPERTIES)
def test_properties_agree_on_characters_newer_than_either_table(engines, name):
    newer = [
        chr(c)
        for c in (*range(0x1C80, 0x1C90), *range(0xA7C0, 0xA7E0), *range(0x10D40, 0x10D90, 3))
    ]
    newer += [chr(c) for c in (*range(0x2427, 0x242C), *range(0x31350, 0x31360), 0x10EC3, 0x1E5D0)]
    re2, rust = engines(rf"\p{{{name}}}", newer + TEXTS)
    assert re2 == rust


def test_every_escaped_ascii_character_agrees(engines):
    for code in range(33, 127):
        char = chr(code)
        if char.isalnum():
            continue
        re2, rust = engines(rf"\{char}", [*TEXTS, char])
        assert re2 == rust
        assert re2[-1]
