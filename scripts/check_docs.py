"""Check the documents: relative links lead somewhere and every `qnet` command shown exists."""

import re
import shlex
import subprocess
import sys
from importlib.metadata import entry_points
from itertools import takewhile
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[[^\]]*\]\(([^)\s#]+)(?:#[^)]*)?\)")
FENCE = re.compile(r"```[a-z]*\n(.*?)```", re.DOTALL)
INLINE = re.compile(r"`(qnet [^`\n]+)`")


def documents() -> list[Path]:
    """Return every Markdown file git knows or does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def broken_links(path: Path, text: str) -> list[str]:
    """Return the relative links of a document that lead nowhere."""
    targets = [target for target in LINK.findall(text) if "://" not in target]
    return [target for target in targets if not (path.parent / target).exists()]


def commands(text: str) -> list[str]:
    """Return the `qnet …` commands a document shows."""
    lines = [line.strip() for block in FENCE.findall(text) for line in block.splitlines()]
    shown = [re.sub(r"^(\$ |\.venv/bin/)+", "", line) for line in lines]
    return [line for line in shown if line.startswith("qnet ")] + INLINE.findall(text)


def unknown_word(command: str, groups: dict[str, click.Command]) -> str | None:
    """Return the first word or flag of a command that the program does not know."""
    words = [word for word in shlex.split(re.split(r"[#|]", command)[0]) if word != "\\"][1:]
    current: click.Command | None = None
    for word in takewhile(lambda word: word != "--", words):
        if word.startswith("-"):
            flag = word.split("=")[0]
            if current is not None and not _has_flag(current, flag):
                return flag
        elif current is None or isinstance(current, click.Group):
            table = groups if current is None else current.commands
            following = table.get(word)
            if following is None:
                if current is not None and current.invoke_without_command:
                    return None
                return word if re.fullmatch(r"[a-z-]+", word) else None
            current = following
    return None


def _has_flag(command: click.Command, flag: str) -> bool:
    return flag in {"--help", "-h"} or any(
        flag in [*parameter.opts, *parameter.secondary_opts] for parameter in command.params
    )


def load_groups() -> dict[str, click.Command]:
    """Import every command group with its global options."""
    from qnet.cli.settings import add_global_options

    groups = {point.name: point.load() for point in entry_points(group="qnet.commands")}
    for group in groups.values():
        add_global_options(group)
    return groups


def main() -> int:
    """Print what is wrong; 1 if anything is."""
    groups = load_groups()
    wrong = 0
    for path in documents():
        text = path.read_text("utf-8")
        name = path.relative_to(ROOT)
        for target in broken_links(path, text):
            print(f"{name}: link to {target} leads nowhere")
            wrong = 1
        if "spec" in name.parts or "adr" in name.parts:
            continue
        for command in commands(text):
            word = unknown_word(command, groups)
            if word is not None:
                print(f"{name}: `{command}`: {word!r} does not exist")
                wrong = 1
    return wrong


if __name__ == "__main__":
    sys.exit(main())
