import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import ExitPolicyError
from node.exit.rules import MAX_RULES, PORT_PRESETS, PRESETS, canonical_text, read_rules


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("", "none"),
        ("  # only a comment\n\n,, ,", "none"),
        ("reject *:*", "none"),
        ("reject *:*, accept *:80", "none"),
        ("WEB", "web"),
        ("accept *:80, accept *:443, reject *:*", "web"),
        ("accept *:443,80", "web"),
        ("reject *:25\naccept *:*\nreject *:80", "open"),
        ("Accept  *:8000-8100,80 , 443,8101", "accept *:80,443,8000-8101"),
        ("accept *:web,8080", "accept *:80,443,8080"),
        ("accept 1.2.3.4:reduced", "accept 1.2.3.4:reduced"),
        ("accept 1.2.3.4/8:1-65535", "accept 1.0.0.0/8:*"),
        ("accept 1.2.3.4/32:*", "accept 1.2.3.4:*"),
        ("accept 0.0.0.0/0:80", "accept *4:80"),
        ("accept [::]/0:80", "accept *6:80"),
        ("accept [2606:4700:0:0::1]/32:443", "accept [2606:4700::]/32:443"),
        ("accept [2606:4700::1]:443", "accept [2606:4700::1]:443"),
        ("reject 192.0.2.0/24:*, web", "reject 192.0.2.0/24:*, accept *:web"),
        ("web, accept *:22", "web"),
        ("accept *:80 # http\naccept *:443 # https", "web"),
        ("accept *:80,\n443", "web"),
    ],
)
def test_canonical_texts(text, canonical):
    assert canonical_text(read_rules(text)) == canonical


def test_rules_know_their_line_and_those_of_a_preset_its():
    rules = read_rules("# x\nreject 1.1.1.1:80\n\nweb, accept *:22")
    assert [rule.line for rule in rules] == [2, 4, 4, 4]


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_are_canonical_under_their_name(name):
    assert canonical_text(read_rules(PRESETS[name])) == name


def test_port_presets_are_the_ports_of_their_policies():
    for name, ports in PORT_PRESETS.items():
        assert read_rules(name)[0].ports == ports


@pytest.mark.parametrize(
    ("text", "line", "why", "remedy"),
    [
        ("allow *:80", 1, "neither accept nor reject", "presets: none, web"),
        ("web\n\n80", 3, "neither accept nor reject", "presets"),
        ("accept *", 1, "names no port", "accept *:*"),
        ("accept [::1]", 1, "names no port", "accept [::1]:*"),
        ("accept", 1, "0 words after accept", "accept 192.0.2.0/24"),
        ("accept *:80 extra", 1, "2 words after accept", "accept 192.0.2.0/24"),
        ("web\naccept *:x", 2, "'x' is not a port", "80,443,8000-8100"),
        ("accept *:0", 1, "port 0 does not exist", "80,443"),
        ("accept *:80-", 1, "is not a port", "80,443"),
        ("accept *:90-80", 1, "runs backwards", "80,443"),
        ("accept *:70000", 1, "port 70000 does not exist", "80,443"),
        ("accept *:²", 1, "is not a port", "80,443"),
        ("accept *:80,90-85", 1, "runs backwards", "80,443"),
        ("accept *:open", 1, "open is not a list of ports", "web, reduced"),
        ("accept 1.2.3:80", 1, "'1.2.3'", "accept 192.0.2.0/24"),
        ("accept 1.2.3.4/33:80", 1, "33", "accept 192.0.2.0/24"),
        ("accept 1.2.3.0/255.255.255.0:80", 1, "no number of bits", "accept 192.0.2.0/24"),
        ("accept 0x7f.1:80", 1, "0x7f.1", "accept 192.0.2.0/24"),
        ("accept 2606::1/32:443", 1, "without brackets", "[2606::1]/32:PORT"),
        ("accept [1.2.3.4]:443", 1, "is not an address", "accept 192.0.2.0/24"),
        ("accept [fe80::1%eth0]:443", 1, "is not an address", "accept 192.0.2.0/24"),
        ("accept [::ffff:1.2.3.4]:443", 1, "judged as IPv4", "the IPv4 address"),
        ("accept [64:ff9b::]/96:443", 1, "judged as IPv4", "the IPv4 address"),
        ("reject *:25\naccept *:80," + "accept *:80," * 300, 2, "limit 256", "join rules"),
        ("web," * 200, 1, "limit 256", "join rules"),
    ],
)
def test_errors_name_line_cause_and_remedy(text, line, why, remedy):
    with pytest.raises(ExitPolicyError) as caught:
        read_rules(text)
    assert caught.value.message.startswith(f"line {line}: ")
    assert why in caught.value.why
    assert remedy in " ".join(caught.value.try_)
    assert len(caught.value.message) < 120


def test_a_long_text_is_refused():
    with pytest.raises(ExitPolicyError, match="too long"):
        read_rules("#" * 5000)
    assert len(read_rules("accept *:80," * MAX_RULES)) == MAX_RULES


@given(st.one_of(st.text(max_size=200), st.text("accept rj*:,-/0123456789.[]#\nweb", max_size=80)))
def test_any_text_is_read_or_refused(text):
    try:
        rules = read_rules(text)
    except ExitPolicyError:
        return
    assert read_rules(canonical_text(rules)) is not None
