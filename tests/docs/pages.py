"""The pages that people read, and the commands on them: in shell blocks, by section, and within sentences."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "deploy" / "iam" / "README.md",
        *(ROOT / ".github").rglob("*.md"),
    ]
)
PAGES = [page for page in PAGES if page.exists()]
_FENCE = re.compile(r"^```(?P<language>\S*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")


class Block(msgspec.Struct, frozen=True):
    """A fenced block. `title` is the heading that it stands under, without #."""

    page: str
    title: str
    language: str
    text: str

    @property
    def lines(self) -> list[str]:
        """The commands of a shell block, continuation lines joined, comments left out."""
        lines = [
            re.sub(r"\s+#\s.*", "", line).strip() for line in self.text.replace("\\\n", " ").splitlines()
        ]
        return [line for line in lines if line and not line.startswith("#")]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, *languages: str) -> Iterator[Block]:
    """In their order; of these languages, or of all."""
    text = page.read_text()
    for found in _FENCE.finditer(text):
        before = _FENCE.sub("", text[: found.start()])
        titles = re.findall(r"^#+ (.*)$", before, re.MULTILINE)
        if not languages or found["language"] in languages:
            yield Block(name(page), titles[-1] if titles else "", found["language"], found["text"])


def shell(page: str, title: str, number: int = 0) -> Block:
    """The shell block of that section, or the first but `number`."""
    return [block for block in blocks(ROOT / page, "bash") if block.title == title][number]


def inline(page: Path) -> list[str]:
    """What stands in `code` within the sentences of a page."""
    return [" ".join(code.split()) for code in _INLINE.findall(_FENCE.sub("", page.read_text()))]
