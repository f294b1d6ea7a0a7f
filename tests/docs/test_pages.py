"""What README and pages say holds: links lead somewhere, commands have the flags, systems and tests are named."""

import importlib
import pathlib
import re
import shlex

import pytest

from experiments.cli import COMMANDS
from jmpose_jax.systems import SYSTEMS

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
README = REPOSITORY / "README.md"
PAGES = [README, REPOSITORY / "ARCHITECTURE.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page):
    """The anchors of a page's headings, as GitHub and the site make them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def commands(page):
    """The lines of a page's shell blocks that call jmpose, each as its words."""
    found = []
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            found += [shlex.split(part) for part in re.findall(r"(?:^|&& )(jmpose [^&#\"$]*)", line.strip())]
    return found


def test_the_readme_is_short():
    assert len(README.read_bytes()) <= 7000


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in LINK.findall(page.read_text()):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        place = (page.parent / target) if target else page
        assert place.exists(), link
        assert not anchor or anchor in anchors(place), link


def test_every_page_is_linked_from_the_readme_or_the_index():
    said = README.read_text() + (REPOSITORY / "docs" / "index.md").read_text()
    missing = [page.name for page in (REPOSITORY / "docs").glob("*.md") if page.name not in said]
    assert missing == []


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.name)
def test_commands_have_the_flags_that_pages_give_them(page):
    for _, name, *words in commands(page):
        assert name in COMMANDS
        module = importlib.import_module(f"experiments.{name}")
        text = pathlib.Path(module.__file__).read_text()
        known = set(re.findall(r"DEFINE_\w+\(\s*\"(\w+)\"", text)) | {"config"} | _helpers(text)
        for word in words:
            flag = re.match(r"--(?:no)?(\w+)", word)
            if flag:
                assert flag[1] in known, (name, word)
        if "--config" in words:
            _config(words[words.index("--config") + 1], words)


def _helpers(text):
    """Flags that helpers define for several commands."""
    found = set()
    for path in (REPOSITORY / "experiments" / "command").glob("*.py"):
        if path.stem in text:
            found |= set(re.findall(r"DEFINE_\w+\(\s*\"(\w+)\"", path.read_text()))
    return found


def _config(source, words):
    """The config is there, and has the keys that are overridden."""
    path, _, variant = source.partition(":")
    module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    config = module.get_config(*([variant] if variant else []))
    for word in words:
        if word.startswith("--config."):
            section = config
            for part in word.removeprefix("--config.").split("=")[0].split("."):
                assert part in section, word
                section = section[part]


def test_every_system_is_in_the_table():
    assert set(re.findall(r"^\| `(\w+)` \|", README.read_text(), re.MULTILINE)) == set(SYSTEMS)


def test_ci_calls_the_readmes_test_command():
    (command,) = re.findall(r"^pip install .*&& (pytest.*)$", README.read_text(), re.MULTILINE)
    lines = (REPOSITORY / ".ci" / "run").read_text().splitlines()
    assert any(line.split(" --durations")[0].strip() == command for line in lines)
