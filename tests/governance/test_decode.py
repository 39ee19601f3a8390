from hypothesis import given
from hypothesis import strategies as st

from governance.decode import decode_action, decode_set
from governance.proposal import set_parameter_call

NAMES = {b"\x11" * 20: "Parameters"}


def test_parameter_change_is_told_in_words():
    action = decode_action(b"\x11" * 20, 0, set_parameter_call("slot_s", 9), names=NAMES)
    assert action.change.name == "slot_s"
    assert "set slot_s 5 -> 9 on Parameters 0x1111" in action.describe({"slot_s": 5})


def test_the_same_bytes_on_a_stranger_are_not_trusted():
    action = decode_action(b"\x44" * 20, 0, set_parameter_call("slot_s", 9), names=NAMES)
    assert action.change is None
    assert "UNKNOWN" in action.describe()


def test_out_of_bounds_and_unknown_keys_are_marked():
    call = set_parameter_call("slot_s", 9)
    far = call[:36] + (2**255).to_bytes(32, "big")
    assert "OUT OF BOUNDS" in decode_action(b"\x11" * 20, 0, far, names=NAMES).describe()
    odd = decode_set(call[:4] + b"no_such_key".ljust(32, b"\0") + call[36:])
    assert not odd.known


@given(st.binary(max_size=200))
def test_decoder_never_crashes(data):
    assert decode_action(b"\x11" * 20, 0, data, names=NAMES).describe()


@given(st.binary(min_size=64, max_size=64))
def test_any_key_decodes(data):
    change = decode_set(set_parameter_call("slot_s", 9)[:4] + data)
    assert change.value == int.from_bytes(data[32:], "big")
