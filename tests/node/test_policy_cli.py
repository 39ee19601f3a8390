"""`qnet node policy` as an operator runs it."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from node.config import ExitSection
from node.exit.nameservers import NameServers
from node.exit.policy import ExitPolicy
from node.exit.service import outbound_addresses
from qnet.cli.root import run

GUIDE = (Path(__file__).parents[2] / "docs" / "how-to" / "run-an-exit.md").read_text("utf-8")

CONFIG = """
[node]
role = "{role}"
listen = "127.0.0.1:9001"
sni = "exit.example"

[keys]
passphrase_file = "/nonexistent"

[network]
bundle = "/nonexistent"

[exit]
policy = "reject 1.2.3.0/24:*, web"
operator = "Ann & <friends>"
contact = "abuse@example.org"
"""


@pytest.fixture
def home(tmp_path):
    (tmp_path / "node.toml").write_text(CONFIG.format(role="exit"))
    return tmp_path


@pytest.fixture
def policy(capsys):
    def call(*words, expect=0):
        assert run(["node", "policy", *map(str, words)]) == expect
        return capsys.readouterr()

    return call


def data(done):
    return json.loads(done.out)["data"]


def test_show_names_canonical_form_summary_and_idle_rules(policy):
    told = data(policy("show", "reject 10.0.0.0/8:*, WEB, accept *:22", "--json"))
    assert told["canonical"] == "reject 10.0.0.0/8:*, accept *:web"
    assert told["usual_ports"] == "80,443"
    assert [row["decides"] for row in told["rules"]] == ["never", "yes", "yes", "never"]
    text = policy("show", "reject 10.0.0.0/8:*, web").out
    assert "reject 10.0.0.0/8:*    (never decides)" in text
    assert "in short   ports 80,443" in text


def test_the_policy_of_the_node_is_the_default(policy, home):
    assert data(policy("show", "--home", home, "--json"))["canonical"] == (
        "reject 1.2.3.0/24:*, accept *:web"
    )
    (home / "node.toml").write_text(CONFIG.format(role="relay"))
    assert data(policy("show", "--home", home, "--json"))["canonical"] == "none"


def test_test_says_which_rule_decides_and_exits_1_when_one_is_refused(policy, tmp_path):
    rules = tmp_path / "rules"
    rules.write_text("# no mail\nreject *:25\n\naccept *:*\n")
    told = policy("test", f"@{rules}", "93.184.216.34:25", "93.184.216.34:80", "--json", expect=1)
    refused, accepted = data(told)
    assert (refused["verdict"], refused["line"], refused["rule"]) == ("refuse", 2, "reject *:25")
    assert (accepted["verdict"], accepted["line"]) == ("accept", 4)
    assert "first rule that matches" in refused["why"]
    assert "93.184.216.34:80  accept" in policy("test", f"@{rules}", "93.184.216.34:80").out


@pytest.mark.parametrize(
    ("policy_text", "destination", "verdict", "why"),
    [
        ("web", "[2606:4700::1111]:443", "accept", "accept *:web"),
        ("web", "169.254.169.254:80", "refuse", "not a public host (link-local)"),
        ("web", "[::ffff:127.0.0.1]:80", "refuse", "127.0.0.1 is not a public host (loopback)"),
        ("web", "1.2.3.4:0", "refuse", "no rule matches"),
        ("accept *:443", "1.2.3.4:80", "refuse", "no rule matches"),
        ("web", "example.org:443", "accept", "every public address on port 443"),
        ("web", "example.org:22", "refuse", "no address is accepted on port 22"),
        ("reject 1.0.0.0/8:*, web", "example.org:443", "depends", "example.org."),
        ("web", "0x7f.1:80", "refuse", "not a host name"),
        ("web", "site.onion:80", "refuse", "DNS does not serve .onion"),
    ],
)
def test_verdicts(policy, policy_text, destination, verdict, why):
    expect = 1 if verdict == "refuse" else 0
    (told,) = data(policy("test", policy_text, destination, "--json", expect=expect))
    assert told["verdict"] == verdict
    assert why in told["why"]


def test_diff_tells_what_changes(policy):
    assert data(policy("diff", "web", "accept *:443,80", "--json")) == {
        "equal": True,
        "changes": [],
    }
    assert "decide the same for every address" in policy("diff", "web", "web").out
    told = data(policy("diff", "web", "reject 1.2.3.0/24:443, web", "--json", expect=1))
    assert told == {
        "equal": False,
        "changes": [
            {
                "change": "refused",
                "addresses": "1.2.3.0/24",
                "ports": "443",
                "first": "1.2.3.0",
                "last": "1.2.3.255",
                "port_ranges": [[443, 443]],
            }
        ],
    }
    assert (
        "refused  1.2.3.0/24" in policy("diff", "web", "reject 1.2.3.0/24:443, web", expect=1).out
    )


def test_errors_name_line_cause_and_remedy(policy, tmp_path):
    rules = tmp_path / "rules"
    rules.write_text("accept *:80\nreject 1.2.3.4\n")
    told = policy("test", f"@{rules}", "1.1.1.1:80", expect=4).err
    assert "error[Q0411]: line 2: malformed exit rule 'reject 1.2.3.4'" in told
    assert "why   it names no port" in told
    assert "try   write `reject 1.2.3.4:*` for all ports" in told
    assert "cannot read" in policy("show", "@/nonexistent", expect=2).err
    assert "is not host:port" in policy("test", "web", "example.org", expect=2).err


def test_notice_writes_the_page(policy, home, tmp_path):
    out = tmp_path / "notice.html"
    told = data(policy("notice", "--home", home, "--out", out, "--json"))
    page = out.read_text()
    assert told == {"out": str(out), "bytes": len(page.encode())}
    assert "Ann &amp; &lt;friends&gt;" in page
    assert "reject 1.2.3.0/24:*" in page
    assert out.stat().st_mode & 0o777 == 0o644


def test_notice_without_a_contact_says_what_to_set(policy, home, tmp_path):
    config = home / "node.toml"
    config.write_text(config.read_text().replace("abuse@example.org", ""))
    told = policy("notice", "--home", home, "--out", tmp_path / "n.html").err
    assert "set [exit] contact" in told


def test_the_configuration_of_the_guide_can_be_read():
    blocks = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    sections = [ExitSection(**tomllib.loads(block)["exit"]) for block in blocks]
    assert len(sections) == 3
    for section in sections:
        ExitPolicy.parse(section.policy)
        NameServers(section.dns)
        outbound_addresses(section.outbound)


def test_the_commands_of_the_guide_do_what_it_says(home, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = [line for line in GUIDE.splitlines() if line.startswith("qnet node policy ")]
    codes = [run([*shlex.split(line)[1:], "--home", str(home)]) for line in lines]
    assert codes == [0, 1, 1, 0]
    assert (tmp_path / "notice.html").exists()
    assert "error" not in capsys.readouterr().err
