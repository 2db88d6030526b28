import re
from pathlib import Path

import headgate.errors
from headgate.cli.exit_codes import BY_CATEGORY, MEANINGS, exit_code
from headgate.errors import HeadgateError

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def every_class():
    found = vars(headgate.errors).values()
    return [each for each in found if isinstance(each, type) and issubclass(each, HeadgateError)]


def test_every_category_has_a_code():
    assert {each.category for each in every_class()} == set(BY_CATEGORY)


def test_every_error_ends_the_process_with_the_code_of_its_category():
    for each in every_class():
        assert exit_code(each("some-code", "words")) == BY_CATEGORY[each.category]


def test_every_code_has_a_meaning_and_none_is_meant_twice():
    assert set(BY_CATEGORY.values()) | {0} == set(MEANINGS)
    assert len(set(MEANINGS.values())) == len(MEANINGS)


def test_the_page_lists_the_codes():
    rows = re.findall(r"^\| (\d+) \| (.*?) \|$", PAGE.read_text(), re.MULTILINE)
    assert rows == [(str(code), meaning) for code, meaning in MEANINGS.items()]
