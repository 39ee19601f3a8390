import shutil
import subprocess

import pytest

from node.client.command.surroundings import Ways, proxy_variables, shell_lines
from node.errors import StageError

WAYS = Ways("127.0.0.1:9150", "127.0.0.1:9151")


def test_names_are_left_to_the_exit_and_nothing_goes_around():
    found = proxy_variables(WAYS, "a b@c")
    assert found["ALL_PROXY"] == "socks5h://a%20b%40c:qnet@127.0.0.1:9150"
    assert found["https_proxy"] == "http://a%20b%40c:qnet@127.0.0.1:9151"
    assert found["no_proxy"] == found["NO_PROXY"] == ""
    assert {name.lower() for name in found} == {
        *("all_proxy", "http_proxy", "https_proxy", "no_proxy"),
    }


def test_one_port_serves_all_programs():
    assert proxy_variables(Ways("h:1"))["http_proxy"] == "socks5h://h:1"
    assert proxy_variables(Ways("", "h:2"))["all_proxy"] == "http://h:2"


def test_without_ports_there_is_nothing_to_print():
    with pytest.raises(StageError, match="no port for proxies"):
        proxy_variables(Ways(""))


def test_sh_reads_the_lines_back():
    odd = {"A": 'x\'y "z" $HOME `id` \\', "B": ""}
    script = shell_lines(odd, "sh") + 'printf "%s|%s" "$A" "$B"'
    shell = shutil.which("sh")
    assert subprocess.check_output([shell, "-c", script]).decode() == odd["A"] + "|"


def test_other_shells_are_quoted():
    odd = {"A": "it's \\ $x"}
    assert shell_lines(odd, "fish") == "set -gx A 'it\\'s \\\\ $x'\n"
    assert shell_lines(odd, "powershell") == "$Env:A = 'it''s \\ $x'\n"
