"""Networks as files: what is written is read again, and mistakes name line and rule."""

import pytest

from mlsmac.data.network_file import network_table, parse_network, read_network
from mlsmac.data.networks import NETWORKS, Convolution
from mlsmac.support.errors import UserError

SMALL = """in_channels,out_channels,kernel,stride,size
3,8,3,1,8
8,8,3,1,8
8,10,1,1,1
"""


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_a_network_comes_back(network, tmp_path):
    path = tmp_path / "net.csv"
    path.write_text(network_table(network))
    assert read_network(path) == network


def test_a_short_file_has_defaults(tmp_path):
    path = tmp_path / "small.csv"
    path.write_text("# a comment: it is\n\n" + SMALL)
    network = read_network(path)
    assert (network.name, network.data, network.batch) == ("small", str(path), 128)
    assert network.convolutions == (Convolution(3, 8, 3, 1, 8), Convolution(8, 8, 3, 1, 8))
    assert network.classifier == Convolution(8, 10, 1, 1, 1)


def test_optional_columns_may_be_empty():
    network = parse_network(
        "# batch: 7\nsize,stride,kernel,out_channels,in_channels,groups,adds,normalized\n"
        "8,1,3,8,4,,,\n8,1,3,8,8,8,1,0\n1,1,1,10,8,,0,0\n"
    )
    assert network.batch == 7
    assert network.convolutions == (
        Convolution(4, 8, 3, 1, 8),
        Convolution(8, 8, 3, 1, 8, groups=8, adds=True, normalized=False),
    )
    assert network.convolutions[1].weights == 8 * 9


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (("size\n", "width\n"), "line 1: columns are in_channels, .*, not 'width'"),
        ((",size\n", "\n"), "line 1: there must be a column size"),
        (("kernel,stride", "kernel,kernel"), "line 1: there must be a column stride"),
        (("stride,size\n", "stride,size,size\n"), "line 1: a column must stand once, and size"),
        (("8,8,3,1,8", "8,8,3,1"), "line 3: there must be 5 values, not 4"),
        (("8,8,3,1,8", "8,8,x,1,8"), r"line 3: kernel must be an integer in 1..1024, not 'x'"),
        (("8,8,3,1,8", "8,8,3,0,8"), r"line 3: stride must be an integer in 1..65536, not '0'"),
        (("8,8,3,1,8", "8,8,3,,8"), r"line 3: stride must be an integer in 1..65536, not ''"),
        (("8,8,3,1,8\n", ""), "net must have three layers or more, .*, not 2"),
        (("in_ch", "# batch: none\nin_ch"), r"net: batch must be an integer in 1..\d+, not 'none'"),
    ],
)
def test_mistakes(change, rule):
    with pytest.raises(UserError, match=rule):
        parse_network(SMALL.replace(*change), "net")


def test_mistakes_of_optional_columns():
    head = SMALL.replace("size\n", "size,groups,adds\n")
    for cells, rule in (
        (",3,0", "line 3: groups must divide in_channels, 8, and 3 does not"),
        (",2,yes", "line 3: adds must be 0 or 1, not 'yes'"),
    ):
        text = head.replace("3,8,3,1,8\n", "3,8,3,1,8,,\n").replace(
            "8,8,3,1,8\n", f"8,8,3,1,8{cells}\n"
        )
        with pytest.raises(UserError, match=rule):
            parse_network(text.replace("1,1,1\n", "1,1,1,,\n"), "net")


def test_binary_is_no_text(tmp_path):
    path = tmp_path / "net.csv"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="must be text"):
        read_network(path)
