import pytest

from qnet.config import ConfigModel, load_toml
from qnet.errors import ConfigError


class Section(ConfigModel):
    port: int
    name: str = "x"


class Settings(ConfigModel):
    exit: Section


def write(tmp_path, text):
    path = tmp_path / "a.toml"
    path.write_text(text)
    return path


def test_loads(tmp_path):
    assert load_toml(write(tmp_path, "[exit]\nport = 5\n"), Settings).exit.port == 5


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[exit]\n\nport = 'a'\n", r"a\.toml:3: exit\.port"),
        ("[exit]\nport = 1\nnmae = 'a'\n", r"a\.toml:3: exit\.nmae"),
        ("[exit]\n", r"a\.toml: exit\.port"),
        ("[exit\n", "a.toml"),
    ],
)
def test_errors_name_the_line(tmp_path, text, problem):
    with pytest.raises(ConfigError, match=problem):
        load_toml(write(tmp_path, text), Settings)


def test_missing_and_oversized_files(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        load_toml(tmp_path / "none.toml", Settings)
    with pytest.raises(ConfigError, match="larger"):
        load_toml(write(tmp_path, "#" * (1 << 20) + "##"), Settings)
