"""Hooks of MkDocs: pages from the project's root, and links that leave the docs folder."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
FROM_ROOT = {
    "index.md": "README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
}
"""Pages of the site by the files that they are made of."""
LINK = re.compile(r"\[([^\]]*)\]\((?![a-z]+:)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside the docs folder."""
    for page, source in FROM_ROOT.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links at pages of the site; replace a link to source code by its path."""
    source = page.file.src_uri
    folder = ROOT if source in FROM_ROOT else (ROOT / "docs" / source).parent
    pages = {ROOT / name: page for page, name in FROM_ROOT.items()}

    def moved(link: re.Match[str]) -> str:
        text, target, anchor = link[1], link[2], link[3] or ""
        path = (folder / target).resolve()
        if path in pages:
            target = pages[path]
        elif path.is_relative_to(ROOT / "docs") and path.is_file():
            target = path.relative_to(ROOT / "docs").as_posix()
        elif path.exists():
            return f"{text} (`{path.relative_to(ROOT).as_posix()}`)"
        else:
            return link[0]
        up = "../" * source.count("/")
        return f"[{text}]({up}{target}{anchor})"

    return LINK.sub(moved, markdown)
