from xml.etree import ElementTree as ET

from headgate.pipelines import (
    Graph,
    Input,
    Query,
    SourceDeclaration,
    Step,
    as_dot,
    as_mermaid,
    as_svg,
    as_text,
)

GRAPH = Graph(
    [
        Step(name="flights", source=SourceDeclaration(kind="files")),
        Step(name="airlines", source=SourceDeclaration(kind="files"), table="raw.airlines"),
        Step(
            name="delays",
            inputs=(Input(table="flights"), Input(table="raw.airlines"), Input(table="weather")),
            references=("raw.airlines",),
            function=print,
            description="Delays <by> hour & carrier",
        ),
        Step(name="worst", inputs=(Input(table="delays"),), sql=Query(text="", digest="")),
        Step(name="told", inputs=(Input(table="delays"),), after=("worst",), table=None),
    ]
)


def test_the_tree_shows_what_each_last_table_is_made_of() -> None:
    assert as_text(GRAPH) == (
        "told\n"
        "├─ delays\n"
        "│  ├─ flights\n"
        "│  ├─ airlines -> raw.airlines\n"
        "│  └─ weather (in the lake)\n"
        "└─ worst (after)\n"
        "   └─ delays …"
    )


def test_mermaid_shows_kinds_and_reasons() -> None:
    assert as_mermaid(GRAPH).splitlines() == [
        "flowchart LR",
        '  s0[("flights")]',
        '  s1[("airlines -&gt; raw.airlines")]',
        '  s2["delays"]',
        '  s3[/"worst"/]',
        '  s4["told"]',
        "  s0 --> s2",
        "  s1 --> s2",
        "  s2 --> s3",
        "  s2 --> s4",
        "  s3 -. after .-> s4",
    ]


def test_dot_quotes_names_and_dashes_edges_without_rows() -> None:
    lines = as_dot(GRAPH).splitlines()
    assert '  "airlines" [shape=cylinder, label="airlines -> raw.airlines"];' in lines
    assert '  "worst" -> "told" [style=dashed, label="after"];' in lines


def test_the_svg_is_well_formed_and_holds_every_step_and_edge() -> None:
    root = ET.fromstring(as_svg(GRAPH))
    space = "{http://www.w3.org/2000/svg}"
    labels = [text.text for text in root.iter(f"{space}text")]
    assert sorted(labels) == sorted(
        ["flights", "airlines -> raw.airlines", "delays", "worst", "told"]
    )
    assert len(root.findall(f"{space}path")) == 5


def test_an_empty_graph_is_an_empty_picture() -> None:
    empty = Graph([])
    assert as_text(empty) == ""
    ET.fromstring(as_svg(empty))
