"""Writes the reference in docs/ from the source, or checks whether it is current."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.reference import construct_pages, safe_updates_page, schema, settings_page
from tests.reference.docstrings import ROOT


def files() -> dict[Path, str]:
    """Every generated file, and what is to be in it."""
    docs = ROOT / "docs"
    return {
        docs / "batch.schema.json": schema.text(),
        docs / "settings.md": settings_page.text(),
        docs / "safe-updates.md": safe_updates_page.text(),
        **{docs / "constructs" / name: text for name, text in construct_pages.pages().items()},
    }


def problems() -> list[str]:
    """What is out of date, a line each."""
    wanted = files()
    found = [path for path, text in wanted.items() if not path.is_file() or path.read_text("utf-8") != text]
    found += [path for path in (ROOT / "docs" / "constructs").glob("*") if path not in wanted]
    return [f"{path.relative_to(ROOT)} is out of date: run make docs" for path in sorted(found)]


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or with ``--check`` say which are out of date."""
    parser = argparse.ArgumentParser(prog="python -m tests.reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is out of date")
    if parser.parse_args(arguments).check:
        sys.stderr.writelines(f"{line}\n" for line in problems())
        return 1 if problems() else 0
    wanted = files()
    for path, text in wanted.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for path in (ROOT / "docs" / "constructs").glob("*"):
        if path not in wanted:
            path.unlink()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
