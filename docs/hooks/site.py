"""What `mkdocs build` makes beside the pages of docs/: the README, a page a config, and the reference of the code.

Nothing of it lies in the repository, so that nothing of it goes stale.
"""

import importlib
import pathlib
import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]+)(#[^)]*)?\)")
CONFIGS = {
    "backbone": ("tiny", "w32", "w48"),
    "jmpose": ("tiny", "tiny_raft", "paper"),
    "jmpose_ablation": ("tiny", "tiny_paper"),
    "dcpose": ("tiny", "paper"),
    "tdmi": ("tiny", "paper"),
    "gamma_grid": ("alpha", "terms"),
    "tipsd": ("tiny", "paper"),
    "tipsd_grid": ("table1", "table2"),
    "raft_synthetic": ("small", "basic"),
    "hanet": ("embedded_3d", "embedded_2d", "posetrack", "jhmdb", "h36m", "pw3d", "aist", "smpl"),
}
ROOMS = {
    "jmpose_jax": "records, skeletons, systems, errors, checks, files, npz",
    "jmpose_jax.models": "",
    "jmpose_jax.ops": "",
    "jmpose_jax.information": "",
    "jmpose_jax.losses": "",
    "jmpose_jax.metrics": "",
    "jmpose_jax.weights": "",
    "jmpose_jax.boxes": "",
    "jmpose_jax.posetrack": "",
    "jmpose_jax.pose_files": "",
    "jmpose_jax.refinement": "",
    "jmpose_jax.body_model": "",
    "jmpose_jax.inference": "",
    "jmpose_jax.train": "",
    "jmpose_jax.inspection": "",
    "data_pipeline.clips": "",
    "data_pipeline.formats": "",
    "data_pipeline.sequences": "",
    "data_pipeline.sources": "",
    "data_pipeline.synthetic": "",
}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The pages that are made join the navigation."""
    config.nav.append({"Configs": [{name: f"configs/{name}.md"} for name in CONFIGS]})
    config.nav.append({"Reference": [{room: f"reference/{room}.md"} for room in ROOMS]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the README as the first page, ARCHITECTURE.md, configs and reference."""
    made = {"index.md": from_root("README.md"), "architecture.md": from_root("ARCHITECTURE.md")}
    made |= {f"configs/{name}.md": config_page(name) for name in CONFIGS}
    made |= {f"reference/{room}.md": reference_page(room, names) for room, names in ROOMS.items()}
    for uri, content in made.items():
        if (known := files.get_file_from_path(uri)) is not None:
            files.remove(known)
        files.append(File.generated(config, uri, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links to files of the repository that are no pages become their names."""

    def link(match: re.Match) -> str:
        picture, text, target, _ = match.groups()
        if picture or "://" in target:
            return match[0]
        place = (pathlib.Path(config.docs_dir) / page.file.src_uri).parent / target
        outside = not place.resolve().is_relative_to(config.docs_dir) and place.resolve().exists()
        return f"{text} (`{place.resolve().relative_to(REPOSITORY)}`)" if outside else match[0]

    return LINK.sub(link, markdown)


def from_root(name: str) -> str:
    """A page of the repository's root, its links as they are seen from docs/."""
    moved = {"README.md": "index.md", "ARCHITECTURE.md": "architecture.md"}

    def link(match: re.Match) -> str:
        picture, text, target, anchor = match.groups()
        if "://" not in target:
            target = moved.get(target) or (target[5:] if target.startswith("docs/") else f"../{target}")
        return f"{picture}[{text}]({target}{anchor or ''})"

    return LINK.sub(link, (REPOSITORY / name).read_text(encoding="utf-8"))


def config_page(name: str) -> str:
    """Every key of a config file: its value in each variant, and what it means."""
    from experiments.configuration.changes import flatten
    from experiments.configuration.comments import comment_of, comments

    module = importlib.import_module(f"configs.{name}")
    source = f"configs/{name}.py"
    tables = {variant: module.get_config(variant).to_dict() for variant in CONFIGS[name]}
    values = {variant: dict(flatten(table)) for variant, table in tables.items()}
    said: dict[str, str] = {}
    for table in tables.values():
        said = comments(table, source) | said
    first, *rest = (module.__doc__ or "").strip().split("\n")
    lines = [f"# {name}", "", first, "", "```text", *rest, "```", ""]
    section = None
    for key in dict.fromkeys(key for table in values.values() for key in table):
        if (top := key.split(".")[0]) != section:
            section = top
            lines += [
                "",
                f"## {section}",
                "",
                f"| key | {' | '.join(tables)} | meaning |",
                "|---" * (len(tables) + 2) + "|",
            ]
        cells = [f"`{values[variant][key]!r}`" if key in values[variant] else "–" for variant in tables]
        cells = [cell.replace("|", "\\|") for cell in cells]
        meaning = comment_of(key, said).replace("|", "\\|")
        lines.append(f"| `{key}` | {' | '.join(cells)} | {meaning} |")
    return "\n".join(lines) + "\n"


def reference_page(room: str, names: str) -> str:
    """The public names of the modules of a room, by their docstrings."""
    package = REPOSITORY / room.replace(".", "/")
    if names:
        modules = [f"{room}.{name.strip()}" for name in names.split(",")]
    else:
        paths = sorted(path for path in package.rglob("*.py") if path.name != "__init__.py")
        modules = [".".join(path.relative_to(REPOSITORY).with_suffix("").parts) for path in paths]
    return "\n\n".join([f"# {room}", *(f"::: {module}" for module in modules)]) + "\n"


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> Navigation:
    """Every page of docs/ must be in the navigation."""
    missing = [file.src_uri for file in files.documentation_pages() if file.page is None]
    if missing:
        raise ValueError(f"mkdocs.yml: nav lacks {', '.join(missing)}")
    return nav


def main() -> None:
    """`python docs/hooks/site.py`: print the page of every config, to look at."""
    for name in CONFIGS:
        print(config_page(name))


if __name__ == "__main__":
    main()
