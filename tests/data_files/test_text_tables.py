"""Text tables as programs of all sorts write them; pandas, which is told how, is the oracle."""

import io

import numpy as np
import pandas
import pytest

from spectral_engine.data import InputSpec, load_splits
from spectral_engine.data.reading import text
from spectral_engine.data.text_tables import encoding
from spectral_engine.errors import DatasetMismatch

FEATURES = InputSpec("x", np.dtype(np.float32), (None, 3))
RANDOM = np.random.default_rng(0)
X = (RANDOM.normal(size=(60, 3)) * 1000).round(2)
X[:, 1] = np.abs(X[:, 1]) + 1000
WORDS = np.array(["ant", "bee", "cow"])[np.arange(60) % 3]
ROWS = [*zip(*X.T, WORDS, strict=True)]


def lines(separator=",", form=str, end="", ahead=lambda _: ""):
    return [
        ahead(n) + separator.join([*map(form, row[:-1]), row[-1]]) + end
        for n, row in enumerate(ROWS)
    ]


def joined(*parts):
    return "\n".join(part for several in parts for part in several) + "\n"


def in_groups(sign, point=","):
    return lambda value: f"{value:,.2f}".replace(",", "_").replace(".", point).replace("_", sign)


HEAD = ["a,b,c,label"]
BLANKS = [" ".join(["a", "b", "c", "label"])]
ALIGNED = ["   ".join(f"{cell:>12}" for cell in line.split()) for line in [*BLANKS, *lines(" ")]]
TEXTS = {
    "blanks": (joined(BLANKS, lines(" ")), {"sep": " "}, "separated by blanks"),
    "aligned": (joined(ALIGNED), {"sep": r"\s+"}, "separated by blanks"),
    "blanks and tabs": (joined(BLANKS, lines(" ")[:20], lines("\t")[20:]), {"sep": r"\s+"}, "separated by blanks"),
    "blanks and quotes": (
        joined(BLANKS, [line.replace("ant", '"ant"') for line in lines(" ")]),
        {"sep": " "},
        "separated by blanks",
    ),
    "blanks and decimal commas": (
        joined(BLANKS, lines(" ", lambda value: str(value).replace(".", ","))),
        {"sep": " ", "decimal": ","},
        "decimals are written with commas",
    ),
    "as numpy.savetxt has it": (
        joined(["# a b c label"], lines(" ")),
        {"sep": " ", "names": ["a", "b", "c", "label"], "comment": "#"},
        "begins in line 2",
    ),
    "comments above": (
        joined(["# made by a machine", "#", "# in 2024"], HEAD, lines()),
        {"comment": "#"},
        "begins in line 4",
    ),
    "comments between": (
        joined(HEAD, lines()[:9], ["# a second batch", "# of more, rows"], lines()[9:]),
        {"comment": "#"},
        "that begin with # and are no rows",
    ),
    "comments between blanks": (
        joined(BLANKS, lines(" ")[:9], ["# four words, as rows"], lines(" ")[9:]),
        {"comment": "#", "sep": " "},
        "that begin with # and are no rows",
    ),
    "a separator declared": (
        joined(["sep=;"], ["a;b;c;label"], lines(";")),
        {"sep": ";", "skiprows": 1},
        "begins in line 2",
    ),
    "titles": (
        joined(["Report of the lab", "", "made in 2024,,,", ",,,"], HEAD, lines()),
        {"skiprows": 4},
        "begins in line 5",
    ),
    "row names of R": (
        joined(HEAD, lines(ahead=lambda n: f'"{n + 1}",')),
        {"index_col": 0},
        "the first holds names of rows",
    ),
    "row names of R between blanks": (
        joined(BLANKS, lines(" ", ahead=lambda n: f'"row {n + 1}" ')),
        {"index_col": 0, "sep": " "},
        "the first holds names of rows",
    ),
    "separators at the ends of rows": (
        joined(HEAD, lines(end=",")),
        {"index_col": False},
        "",
    ),
    "a long minus": (
        joined(HEAD, lines(form=lambda value: str(value).replace("-", "\u2212"))),
        None,
        "is read as a minus",
    ),
    **{
        f"thousands between {name}": (
            joined(["a;b;c;label"], lines(";", in_groups(sign))),
            {"sep": ";", "decimal": ",", "thousands": sign} if sign == " " else None,
            "a blank is read as a separator of thousands",
        )
        for name, sign in {"blanks": " ", "fixed": "\u00a0", "narrow": "\u202f", "thin": "\u2009"}.items()
    },
}  # fmt: skip


def rows_of(splits):
    return sorted(
        (*np.round(row.astype(float), 2).tolist(), str(label))
        for part in splits.parts
        for row, label in zip(part.inputs["x"], part.labels, strict=True)
    )


def expected(content, options):
    """Return the rows as pandas reads them, or as they were written where it has no option for that."""
    if options is None:
        return sorted((*map(float, row[:-1]), str(row[-1])) for row in ROWS)
    with io.StringIO(content) as file:
        table = pandas.read_csv(file, **options)
    return sorted((*map(float, row[:-1]), str(row[-1])) for row in table.itertuples(index=False))


def close(actual, wanted):
    assert len(actual) == len(wanted) == 60
    assert [row[-1] for row in actual] == [row[-1] for row in wanted]
    np.testing.assert_allclose(
        [row[:-1] for row in actual], [row[:-1] for row in wanted], rtol=1e-6, atol=0.01
    )


@pytest.mark.parametrize("codec", ["utf-8", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("form", TEXTS)
def test_every_way_of_writing_gives_the_rows_that_pandas_reads(tmp_path, form, end, codec):
    content, options, said = TEXTS[form]
    (tmp_path / "d").write_bytes(content.replace("\n", end).encode(codec))
    splits = load_splits(tmp_path / "d", [FEATURES], seed=0)
    close(rows_of(splits), expected(content, options))
    assert said in "\n".join(splits.summary.notes)
    assert splits.summary.label == "label"


@pytest.mark.parametrize("form", TEXTS)
def test_what_is_unusual_may_also_lie_beyond_the_bytes_that_are_looked_at(
    tmp_path, form, monkeypatch
):
    content, options, _ = TEXTS[form]
    (tmp_path / "d").write_text(content)
    monkeypatch.setattr(encoding, "LOOKED_AT", 150)
    monkeypatch.setattr("spectral_engine.data.text_tables.dialect.LOOKED_AT", 150)
    splits = load_splits(tmp_path / "d", [FEATURES], seed=0)
    close(rows_of(splits), expected(content, options))


def test_only_what_needs_it_is_written_anew(tmp_path, monkeypatch):
    read = []
    plain = text._read
    monkeypatch.setattr(text, "_read", lambda path, how: read.append(path) or plain(path, how))
    for form, (content, _, _) in TEXTS.items():
        (tmp_path / "d").write_text(content)
        load_splits(tmp_path / "d", [FEATURES], seed=0)
        rewritten = (
            "blanks" in form.split("thousands")[0] or "between" in form.split("thousands")[0]
        )
        rewritten |= form in {"aligned", "as numpy.savetxt has it"}
        assert (read[-1] != tmp_path / "d") == rewritten, form


def test_values_that_begin_with_the_mark_of_comments_are_values(tmp_path):
    rows = [f"#{n:06x},{','.join(map(str, row[:3]))},{row[3]}" for n, row in enumerate(ROWS)]
    (tmp_path / "d").write_text(joined(["colour,a,b,c,label"], rows))
    splits = load_splits(tmp_path / "d", [FEATURES], seed=0)
    close(rows_of(splits), expected("", None))
    assert "column 'colour' holds another text in each row, and is left out" in splits.summary.notes


def test_labels_are_numbers_where_they_are_typeset_so(tmp_path):
    form = in_groups("\u202f")
    rows = [";".join(map(form, (*row[:3], row[0]))).replace("-", "\u2212") for row in ROWS]
    (tmp_path / "d").write_text(joined(["a;b;c;target"], rows))
    splits = load_splits(tmp_path / "d", [FEATURES], seed=0)
    np.testing.assert_allclose(splits.train.labels, splits.train.inputs["x"][:, 0], rtol=1e-6)


@pytest.mark.parametrize(
    ("value", "said"),
    [("12 34", "holds text, as '12 34' in row 7"), ("1 234.5", "written in several ways")],
)
def test_numbers_of_no_one_way_of_writing_are_refused_by_the_row(tmp_path, value, said):
    written = lines(";", in_groups(" "))
    written[7] = ";".join([value, *written[7].split(";")[1:]])
    (tmp_path / "d").write_text(joined(["a;b;c;label"], written))
    with pytest.raises(DatasetMismatch, match=said) as refused:
        load_splits(tmp_path / "d", [FEATURES], seed=0)
    assert refused.value.pointer.startswith("#/a")


def test_a_label_in_the_first_column_of_numbers_alone_is_named_with_the_remedy(tmp_path):
    rows = [f"{n % 3},{row[0]},{row[1]},{row[2]}" for n, row in enumerate(ROWS)]
    (tmp_path / "d").write_text(joined(rows))
    doubt = load_splits(tmp_path / "d", [FEATURES], seed=0).doubt
    assert "such as 'column_0', which has few values, pass --label COLUMN" in doubt
    splits = load_splits(tmp_path / "d", [FEATURES], seed=0, label="column_0")
    assert sorted(splits.labels) == sorted(np.arange(60) % 3)


@pytest.mark.parametrize("content", ["sep=;", "# a\n# b\n", "\n\n", ",,\n,,\n", '"', "sep=,\n#\n"])
def test_a_text_without_a_table_is_refused(tmp_path, content):
    (tmp_path / "d").write_text(content)
    with pytest.raises(DatasetMismatch, match=r"has no rows|is not a table") as refused:
        load_splits(tmp_path / "d", [FEATURES], seed=0)
    assert refused.value.pointer == "#/file"


def test_lines_may_be_longer_than_any_cell(tmp_path):
    width = 30_000
    head = ",".join([*(f"f{n}" for n in range(width)), "label"])
    rows = [",".join([*[f"{n}.25"] * width, str(n % 2)]) for n in range(12)]
    (tmp_path / "d").write_text(joined([head], rows))
    spec = InputSpec("x", np.dtype(np.float32), (None, width))
    splits = load_splits(tmp_path / "d", [spec], seed=0)
    assert sorted(row[-1] for part in splits.parts for row in part.inputs["x"]) == [
        n + 0.25 for n in range(12)
    ]
