"""``headgate sources`` for people and programs."""

from headgate.cli.source_commands import cursor_phrase


def test_a_cursor_is_said_in_short() -> None:
    assert cursor_phrase(None) == ""
    assert cursor_phrase('{"kind":"generator","sequence":["one","number",7],"version":1}') == "7"
    listed = '{"kind":"generator","sequence":["list","day","2026-01-02","number",3],"version":1}'
    assert cursor_phrase(listed) == "2026-01-02, 3"
    assert (
        cursor_phrase('{"items":{"a.csv":"x","b.csv":"y"},"kind":"files","version":1}') == "2 items"
    )
    assert cursor_phrase('{"kind":"rest","sequence":[12,"b"],"version":1}') == "12, b"
