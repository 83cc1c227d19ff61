"""Lists as people's programs write them."""

import csv
import io
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailpush.mail import charsets
from mailpush.mail.charsets import FileProblem, NotAList
from mailpush.mail.tables import Layout, Problem, Record, Reject, plain, read
from mailpush.mail.variables import LENGTHS, VARIABLES, variable_named

MANUAL = """用户邮箱地址{EAddr} 用户姓名{UserName} 用户昵称{NickName} 用户称呼{Gender} 用户生日{Birth}

test1@abc.com\t张三\t张三丰 先生\t1990/1/1
test2@abc.com\t张三\t张三丰 先生\t1990/1/1
"""


def table(text: str | bytes, charset: str = "utf-8") -> tuple[Layout, list[Record], list[Reject]]:
    file = io.BytesIO(text if isinstance(text, bytes) else text.encode(charset))
    layout, found = read(file, charsets.detect(file))
    blocks = list(found)
    return layout, [r for block in blocks for r in block.records], [r for block in blocks for r in block.rejects]


def records(text: str | bytes) -> list[tuple[str, dict[str, str]]]:
    return [(record.address, record.variables) for record in table(text)[1]]


def test_manuals_sample_reads_as_it_is_meant():
    values = {"UserName": "张三", "NickName": "张三丰", "Gender": "先生", "Birthday": "1990/1/1"}

    assert records(MANUAL) == [("test1@abc.com", values), ("test2@abc.com", values)]
    assert records(MANUAL.encode("gb18030")) == records(MANUAL)


def test_columns_without_heading_stand_in_the_manuals_order():
    values = {"UserName": "Tom", "NickName": "T", "Gender": "Mr", "Birthday": "1990/1/1", "Mobile": "138"}

    assert records("a@b.com,Tom,T,Mr,1990/1/1,138") == [("a@b.com", values)]


@pytest.mark.parametrize(
    ("heading", "variable"),
    [
        ("{EAddr}", "EAddr"),
        ("eaddr", "EAddr"),
        ("EmailAddr", "EAddr"),
        ("E-Mail", "EAddr"),
        ("email_address", "EAddr"),
        ("用户邮箱地址", "EAddr"),
        ("用户生日{Birth}", "Birthday"),
        ("{ Birthday }", "Birthday"),
        ("用户姓名", "UserName"),
        ("用户昵称", "NickName"),
        ("用户称呼", "Gender"),
        ("用户电话", "Mobile"),
        ("City", None),
        ("", None),
    ],
)
def test_headings(heading, variable):
    assert variable_named(heading) == variable


def test_columns_nobody_asked_for_are_named():
    layout, found, _rejects = table("City,Email,email,Name\nRome,a@b.com,x@y.com,Tom\n")

    assert layout.unused == ("City", "email")
    assert found == [Record(2, "a@b.com", {"UserName": "Tom"})]


def test_heading_without_an_address_column_is_refused():
    with pytest.raises(NotAList) as refused:
        table("UserName,Mobile\nTom,138\n")

    assert refused.value.problem == FileProblem.NO_ADDRESS_COLUMN


@pytest.mark.parametrize(
    ("line", "problem", "detail"),
    [
        ("nobody,Tom,T,Mr,1990,138", Problem.BAD_ADDRESS, None),
        (",Tom", Problem.NO_ADDRESS, None),
        (f"x@b.com,{'n' * 76}", Problem.TOO_LONG, "UserName"),
        (f"x@b.com,Tom,{'n' * 26}", Problem.TOO_LONG, "NickName"),
        ("x@b.com,Smith, John,J,Mr,1990,138", Problem.TOO_MANY_CELLS, "7"),
        ('x@b.com,"Tom', Problem.OPEN_QUOTE, None),
        ("john@b.com John Smith", Problem.BAD_ADDRESS, None),
    ],
)
def test_a_line_that_cannot_be_used_says_why_and_harms_no_other(line, problem, detail):
    _layout, found, rejects = table(f"a@b.com,Anna\n{line}\nc@b.com,Carl\nd@b.com,Dora\n")

    assert [record.address for record in found] == ["a@b.com", "c@b.com", "d@b.com"]
    assert [(reject.line, reject.text, reject.problem) for reject in rejects] == [(2, line, problem)]
    assert detail is None or rejects[0].detail == detail


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a@b.com\r\nc@d.com\r\n", [("a@b.com", {}), ("c@d.com", {})]),
        ("a@b.com\rc@d.com", [("a@b.com", {}), ("c@d.com", {})]),
        ("\n\n  \na@b.com\n\n", [("a@b.com", {})]),
        ("a@b.com,,,\n", [("a@b.com", {})]),
        (
            "A@B.COM，张三，三丰\nb@b.com，李\n",
            [("A@b.com", {"UserName": "张三", "NickName": "三丰"}), ("b@b.com", {"UserName": "李"})],
        ),
        ('a@b.com, "Smith, Anna"\n', [("a@b.com", {"UserName": "Smith, Anna"})]),
        ('a@b.com,"Anna\nSmith"\nc@d.com\n', [("a@b.com", {"UserName": "Anna Smith"}), ("c@d.com", {})]),
        (
            'a@b.com,5" pipe\nc@d.com,6" pipe\n',
            [("a@b.com", {"UserName": '5" pipe'}), ("c@d.com", {"UserName": '6" pipe'})],
        ),
        ('a@b.com,"Tom" Smith\n', [("a@b.com", {"UserName": "Tom Smith"})]),
        ("a@b.com,Tom\nc@d.com;Carl\n", [("a@b.com", {"UserName": "Tom"}), ("c@d.com", {"UserName": "Carl"})]),
        ("Email Name\na@b.com Tom\n", [("a@b.com", {"UserName": "Tom"})]),
        ("a@b.com,张三,张三丰,先生\n", [("a@b.com", {"UserName": "张三", "NickName": "张三丰", "Gender": "先生"})]),
        ("a@b.com,Tom\0my\u2028x\n", [("a@b.com", {"UserName": "Tom my x"})]),
        (
            "a@b.com\tSmith, John\nb@b.com\tDoe, Jane\n",
            [("a@b.com", {"UserName": "Smith, John"}), ("b@b.com", {"UserName": "Doe, Jane"})],
        ),
    ],
)
def test_what_is_beyond_doubt_is_read_as_meant(text, expected):
    file = io.BytesIO(text.encode())  # not detected: a NUL would make it binary
    blocks = list(read(file, "utf-8")[1])

    assert [(record.address, record.variables) for block in blocks for record in block.records] == expected
    assert not any(block.rejects for block in blocks)


def test_local_parts_beyond_ascii_are_kept_in_lower_case():
    assert records("Ünï@b.com\nAbc@b.com\n") == [("ünï@b.com", {}), ("Abc@b.com", {})]


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        (b"", FileProblem.EMPTY),
        (b" \r\n\r\n", FileProblem.EMPTY),
        (b"PK\x03\x04....[Content_Types].xml", FileProblem.EXCEL),
        (b"PK\x03\x04....list.csv", FileProblem.ARCHIVE),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", FileProblem.EXCEL),
        (b"%PDF-1.7", FileProblem.PDF),
        (b"\x89PNG\r\n\x1a\n\0\0", FileProblem.IMAGE),
        (b"\x7fELF\0\0\1", FileProblem.BINARY),
    ],
)
def test_other_files_are_refused_by_what_they_are(head, problem):
    with pytest.raises(NotAList) as refused:
        charsets.detect(io.BytesIO(head))

    assert refused.value.problem == problem


def test_file_without_line_ends_is_refused_before_it_fills_the_memory():
    with pytest.raises(NotAList) as refused:
        table("x" * 1_000_000)

    assert refused.value.problem == FileProblem.LINE_TOO_LONG


def test_broken_bytes_cost_their_line_alone():
    good = "".join(f"u{n}@b.com,张三丰\n" for n in range(20)).encode()

    _layout, found, rejects = table(good + b"bad@b.com,\xff\xfe\n")

    assert len(found) == 20
    assert [(reject.line, reject.problem) for reject in rejects] == [(21, Problem.UNREADABLE)]


@pytest.mark.parametrize(
    ("charset", "names"),
    [
        ("cp1252", ["Jürgen Müßig", "Käthe Größer", "Björn Äckerle", "Jörg Schön"]),
        ("big5", ["陳怡君", "林志明", "黃淑芬", "張雅婷", "李冠宇", "王麗華", "吳宗翰"]),
    ],
)
def test_charsets_of_other_countries_are_guessed(charset, names):
    lines = "".join(f"a{number}@b.com,{name}\n" for number, name in enumerate(names * 5))

    assert [record.variables["UserName"] for record in table(lines, charset)[1]] == names * 5


def test_blocks_do_not_grow_with_the_file():
    lines = "".join(f"user{n}@example.com,Name {n}\n" for n in range(100_000)).encode()
    blocks = list(read(io.BytesIO(lines), "utf-8")[1])

    assert sum(len(block.records) for block in blocks) == 100_000
    assert max(len(block.records) for block in blocks) < 15_000
    assert blocks[-1].position == len(lines)
    assert [record.line for block in blocks for record in block.records] == list(range(1, 100_001))


# Whatever is written by a csv writer, in any charset, column order and with any separator, is read back.

CHARSETS = ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be"]
LETTERS = "abcdeXYZ019 .'-,;\t\"\n张三李四王五，、"
values = st.text(LETTERS, max_size=20)
rows = st.lists(st.tuples(*[values] * 5), min_size=1, max_size=12)


@settings(max_examples=300, deadline=None)
@given(
    rows=rows,
    order=st.permutations(VARIABLES),
    charset=st.sampled_from(CHARSETS),
    separator=st.sampled_from([",", "\t", ";"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    braces=st.booleans(),
)
def test_written_tables_are_read_back(rows, order, charset, separator, line_end, quoting, braces):
    expected = []
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, lineterminator=line_end, quoting=quoting)
    writer.writerow([f"{{{name}}}" if braces else name for name in order])
    for number, row in enumerate(rows):
        cells = {"EAddr": f"user{number}@example.com", **dict(zip(LENGTHS, row, strict=True))}
        writer.writerow([cells[name] for name in order])
        expected.append(
            (f"user{number}@example.com", {n: plain(v) for n, v in cells.items() if n != "EAddr" and plain(v)})
        )
    body = text.getvalue()
    encoded = body.encode(charset)
    file = io.BytesIO(encoded)
    # GB18030 is told from UTF-8 by Chinese characters; without any they are the same.
    _layout, blocks = read(file, charset if charset == "gb18030" else charsets.detect(file))
    parts = list(blocks)

    found = [r for part in parts for r in part.records]
    rejects = [r for part in parts for r in part.rejects]

    assert [(record.address, record.variables) for record in found] == expected
    assert rejects == []


@settings(max_examples=300, deadline=None)
@given(st.text('a@b.,;\t"\n\r{}EAddr 张，先生\0\ufeff', max_size=200))
def test_every_line_is_a_record_a_reject_or_blank(text):
    file = io.BytesIO(text.encode())
    try:
        parts = list(read(file, "utf-8")[1])
    except NotAList:
        return

    numbers = [row.line for part in parts for row in (*part.records, *part.rejects)]
    assert len(set(numbers)) == len(numbers)
    assert all(1 <= number <= text.count("\n") + text.count("\r") + 1 for number in numbers)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_surprise_the_reader(content):
    file = io.BytesIO(content)
    with suppress(NotAList):
        list(read(file, charsets.detect(file))[1])
