"""One library in many dialects: each is read like the plain one, by us and by the tools."""

import bz2
import gzip
import lzma
import re
from pathlib import Path

import pytest

from mlsmac.synth.liberty.library import LibertyError, load
from mlsmac.synth.liberty.pdk import find
from mlsmac.synth.liberty.syntax import cleaned, decoded, parse, written

TINY = Path(__file__).parents[1] / "data" / "power" / "tiny.liberty"
TEXT = TINY.read_text()


def _without_quotes(text):
    return re.sub(r'"([\w.]+)"', r"\1", text)


DIALECTS = {
    "a string continued": lambda t: t.replace(
        '"1, 11", "2, 12"', '"1, \\\n 11", \\\n"2, \\  \n12"'
    ),
    "an expression continued": lambda t: t.replace('"!(A B)"', '"!(A \\\n B)"'),
    "a string on two lines": lambda t: t.replace('"2, 3", "22, 23"', '"2,\n3", "22,\n 23"'),
    "long comment first": lambda t: f"/* {'licence ' * 3000} */\n{t}",
    "// first": lambda t: f"// by a characterizer\n//\n{t}",
    "// after code": lambda t: t.replace("area : 2;", "area : 2; // of INV\n"),
    "comments within": lambda t: t.replace(
        "cell (INV) {", "cell /* a */ (INV) /* } */ {\n/* { \n */"
    ),
    "comment marks in a string": lambda t: t.replace(
        "nom_voltage", 'comment : "http://a /* b // { \\"c\\" ;";\n  nom_voltage', 1
    ),
    "an address without quotes": lambda t: t.replace(
        "nom_voltage", "comment : http://a.b/c;\n  nom_voltage", 1
    ),
    "};": lambda t: f"{t.rstrip()};\n",
    "comment last": lambda t: f"{t}/* end */",
    "// last": lambda t: f"{t}// end",
    "semicolons after groups": lambda t: re.sub(r"}\n", "} ;\n", t),
    "no semicolons": lambda t: t.replace(";", "\n"),
    "no quotes": _without_quotes,
    "names in quotes": lambda t: re.sub(r"(cell|pin|library) ?\((\w+)\)", r'\1 ( "\2" )', t),
    "braces on lines of their own": lambda t: t.replace("{", "\n{\n").replace("}", "\n}\n"),
    "blanks in lists": lambda t: t.replace("(IQ, IQN)", '("IQ" "IQN")').replace(
        "(1, pf)", "(1 pf)"
    ),
    "lists of pins": lambda t: t.replace('related_pin : "CK"', 'related_pin : " CK, "'),
    "other operators": lambda t: t.replace('"A & B"', '"A && B"').replace('"!A & Y"', '"~A Y"'),
    "windows lines": lambda t: t.replace("\n", "\r\n"),
    "old macintosh lines": lambda t: t.replace("\n", "\r"),
}
ENCODINGS = {
    "byte order mark": lambda b: b"\xef\xbb\xbf" + b,
    "utf-16": lambda b: b.decode().encode("utf-16"),
    "latin-1": lambda b: b"/* \xb5m\xb2 */" + b,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


def _cells(library):
    return {kind: library.cells[kind] for kind in library.cells}


@pytest.fixture
def plain():
    return load(TINY)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialects(dialect, plain, tmp_path):
    path = tmp_path / "tiny.lib"
    path.write_bytes(DIALECTS[dialect](TEXT).encode())
    assert path.read_bytes() != TINY.read_bytes()
    found = load(path)
    assert _cells(found) == _cells(plain)
    assert found.corner == plain.corner
    told = found.text(found.cells)  # what the tools get, in one dialect
    assert not re.search(r"[\\\r\v]|\*/", told)
    path.write_text(told)
    assert _cells(load(path)) == _cells(plain)


@pytest.mark.parametrize("name", ["tiny.lib", "tiny.lib.gz", "tiny"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_encodings_whatever_the_name(encoding, name, plain, tmp_path):
    path = tmp_path / name
    path.write_bytes(ENCODINGS[encoding](TINY.read_bytes()))
    assert _cells(load(path)) == _cells(plain)


def test_plain_text_called_gz(plain, tmp_path):
    path = tmp_path / "tiny.lib.gz"
    path.write_bytes(TINY.read_bytes())
    assert _cells(load(path)) == _cells(plain)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t + "the end\n", r"line \d+: only library groups may stand here, not 'the end'"),
        (lambda t: t + "}\n", "only library groups may stand here, not '}'"),
        (
            lambda t: t.replace("area : 2;", "area : 2; % ;"),
            r"line 31: an attribute or a group must",
        ),
        (lambda t: t + '/* "', r"line \d+: the comment that begins here must end"),
        (lambda t: t + 'a : "b', r"line \d+: the string that begins here must end"),
        (lambda t: t.replace("library(tiny) {", "library(tiny) { /* two\nlines */ %"), "line 5: "),
        (lambda t: t.replace("library(tiny) {", "library(tiny) { a : \\\n b; %"), "line 5: "),
        (lambda t: t[:-3], "end with the library's closing brace: is it cut off?"),
        (lambda t: t[:3000], "line 56: the string that begins here must end: is it cut off?"),
    ],
)
def test_faults_are_one_line_with_their_own(change, message, tmp_path):
    path = tmp_path / "odd.lib"
    path.write_text(change(TEXT))
    with pytest.raises(LibertyError, match=rf"^odd\.lib must .*{message}") as found:
        load(path)
    assert "\n" not in str(found.value)


def test_cut_compressed_file(tmp_path):
    path = tmp_path / "cut.lib"
    path.write_bytes(gzip.compress(TINY.read_bytes())[:-20])
    with pytest.raises(LibertyError, match=r"^cut\.lib must be a whole compressed file: "):
        load(path)


def test_text_for_tools_has_nothing_of_a_dialect():
    text = (
        'library (a) {\n  b : 1 ; // c\n  d (e, \\\n "f\n g");/* h */ w : A + B; cell(x) { }'
        'comment : "} /* ; // {"; };\n'
    )
    (group,) = parse(cleaned(decoded(text.encode(), ""), ""), "")
    assert "".join(written(group)) == (
        'library (a) {\nb : 1;\nw : "A + B";\ncomment : "   *       ";\nd (e, "f  g");\n'
        "cell (x) {\n}\n}\n"
    )


# Of one name, of delays and of energies, with axes in another order.
COLLISION = [("lu_table_template (delay)", "lu_table_template (t)"), ("(delay) {", "(t) {")]
COLLISION += [("power_lut_template (energy)", "power_lut_template (t)"), ("(energy) {", "(t) {")]


def test_templates_of_delays_and_energies_have_names_of_their_own(plain, tmp_path):
    text = TEXT
    for old, new in COLLISION:
        text = text.replace(old, new)
    for first, second in (("lu_", "power_"), ("power_", "lu_")):
        head, cells = text.split("  cell (INV)", 1)
        declared = re.findall(r"  (?:lu_table|power_lut)_template[^}]*}\n", head)
        declared.sort(key=lambda each: each.strip().startswith(first))
        rest = re.sub(r"  (?:lu_table|power_lut)_template[^}]*}\n", "", head)
        path = tmp_path / f"{second}last.lib"
        path.write_text(f"{rest}{''.join(declared)}  cell (INV){cells}")
        assert _cells(load(path)) == _cells(plain)


# A library in parts, each with templates of its own under the same names.
def _parts(folder, *changes):
    head, *cells = re.split(r"(?=^  cell \()", TEXT.rstrip()[:-1], flags=re.MULTILINE)
    other = head.replace("lu_table_template (swapped)", "lu_table_template (delay)", 1)
    other = other.replace("lu_table_template (delay)", "lu_table_template (swapped)", 1)
    for old, new in changes:
        assert old in other
        other = other.replace(old, new)
    swap = {"(delay)": "(swapped)", "(swapped)": "(delay)"}
    second = re.sub(r"\((?:delay|swapped)\)", lambda m: swap[m[0]], "".join(cells[2:]))
    texts = {"one.lib": head + "".join(cells[:2]), "two.lib": other + second}
    for name, text in texts.items():
        (folder / name).write_text(f"{text}}}\n")
    return [folder / name for name in texts]


def test_several_files_are_one_library(plain, tmp_path):
    files = _parts(tmp_path)
    whole = load(files)
    assert _cells(whole) == _cells(plain)
    assert whole.files == ("one.lib", "two.lib")
    assert find(liberty=files) == find(liberty=tuple(files))
    again = tmp_path / "again.lib"
    again.write_text(whole.text(whole.cells))
    assert _cells(load(again)) == _cells(plain)
    assert "swapped__1" in again.read_text()


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('time_unit : "1ns"', 'time_unit : "1ps"', "units"),
        ("voltage : 2.0", "voltage : 1.8", "supply"),
        ("nom_voltage", "nom_temperature : 25; nom_voltage", "temperature"),
        ("input_threshold_pct_rise : 50", "input_threshold_pct_rise : 40", None),
        ("slew_lower_threshold_pct_fall : 20", "slew_lower_threshold_pct_fall : 30", "slew_lower"),
        ("nom_voltage", "default_input_pin_cap : 1; nom_voltage", "default_input_pin_cap"),
    ],
)
def test_files_of_unlike_corners_are_refused(old, new, what, tmp_path):
    files = _parts(tmp_path, (old, new))
    message = rf"^one\.lib and two\.lib must agree in {what}" if what else r"^two\.lib: output_thr"
    with pytest.raises(LibertyError, match=message):
        load(files)


def test_cells_of_two_files_must_differ(tmp_path):
    (tmp_path / "copy.lib").write_text(TEXT)
    with pytest.raises(
        LibertyError, match=r"^tiny\.liberty and copy\.lib: cell INV must stand once"
    ):
        load([TINY, tmp_path / "copy.lib"])


def test_libraries_in_one_file(plain, tmp_path):
    files = _parts(tmp_path)
    path = tmp_path / "both.lib"
    path.write_text("\n".join(file.read_text() for file in files))
    assert _cells(load(path)) == _cells(plain)
