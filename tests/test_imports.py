"""Which package may use which, and what an import costs."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "matplotlib", "dask", "sklearn")


@pytest.mark.parametrize("package", ["oscillators", "analysis"])
def test_importing_a_package_loads_nothing_heavy(package):
    code = f"import sys, {package}; print([m for m in {HEAVY!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def imported(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} must name its imports in full"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def within(names: set[str], *packages: str) -> set[str]:
    return {name for name in names if name.split(".")[0] in packages}


@pytest.mark.parametrize("path", modules("oscillators"), ids=lambda p: p.name)
def test_what_moves_knows_nothing_of_analysis_or_networks(path):
    assert within(imported(path), "analysis", "neural", "examples", "benchmarks", "tests") == set()


@pytest.mark.parametrize("path", modules("analysis"), ids=lambda p: p.name)
def test_analysis_shares_only_the_array_code(path):
    names = imported(path)
    assert within(names, "neural", "examples", "benchmarks", "tests") == set()
    assert all(name.startswith("oscillators.arrays") for name in within(names, "oscillators"))


@pytest.mark.parametrize("path", modules("neural"), ids=lambda p: p.name)
def test_networks_use_no_example(path):
    assert within(imported(path), "examples", "benchmarks", "tests") == set()


def test_a_wheel_holds_the_three_packages():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["oscillators", "analysis", "neural"]
    assert all((ROOT / name / "__init__.py").is_file() for name in ("oscillators", "analysis", "neural"))
