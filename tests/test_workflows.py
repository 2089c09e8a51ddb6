"""Workflows, hooks and the guide call what there is, and publish the full book alone."""

import re

import pytest
import yaml

import analysis_lib
from analysis_lib import ROOT
from analysis_lib.notebooks import Project

WORKFLOWS = {p.stem: p for p in (ROOT / ".github" / "workflows").glob("*.yml")}
GUIDES = [ROOT / "README.md", ROOT / ".github" / "CONTRIBUTING.md"]
HOOKS = ROOT / ".pre-commit-config.yaml"
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(path):
    return [step for job in read(path)["jobs"].values() for step in job["steps"]]


def commands(path):
    """Return what a file tells to run: steps, entries of hooks, code of a page."""
    if path == HOOKS:
        return [hook["entry"] for repo in read(path)["repos"] for hook in repo["hooks"]]
    if path.suffix == ".yml":
        return [step["run"] for step in steps(path) if "run" in step]
    text = path.read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    return blocks + re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def made(texts):
    """Return the targets of make among some commands."""
    return {
        target
        for text in texts
        for target in re.findall(r"(?:^|&& |; )\s*make ([a-z]+)", text, re.MULTILINE)
    }


def test_there_are_targets_and_workflows():
    assert {"lint", "test", "quick", "book"} <= TARGETS
    assert set(WORKFLOWS) == {"check", "publish"}


@pytest.mark.parametrize("path", [*WORKFLOWS.values(), *GUIDES], ids=lambda p: p.name)
def test_every_target_it_names_exists(path):
    found = made(commands(path))
    assert found and found <= TARGETS


def test_a_target_is_found_in_commands_alone():
    assert made(["make lint && make tset", "x=1; make book", "remake it", "cmake x"]) == {
        "lint",
        "tset",
        "book",
    }


def test_a_change_is_checked_as_the_guide_says():
    assert made(commands(WORKFLOWS["check"])) == {"lint", "quick", "test"}
    assert made(commands(WORKFLOWS["publish"])) == {"book"}


@pytest.mark.parametrize("path", WORKFLOWS.values(), ids=lambda p: p.name)
def test_actions_have_pinned_major_versions(path):
    used = [step["uses"] for step in steps(path) if "uses" in step]
    assert used and [u for u in used if not re.fullmatch(r"actions/[a-z-]+@v\d+", u)] == []


@pytest.mark.parametrize("path", WORKFLOWS.values(), ids=lambda p: p.name)
def test_a_failing_command_fails_the_job_and_its_log_is_kept(path):
    content = read(path)
    assert content["defaults"]["run"]["shell"].startswith("bash -eo pipefail ")
    assert content["concurrency"]["group"]
    logged = re.findall(r"tee (\S+)/\w+\.log", " ".join(commands(path)))
    kept = [s["with"]["path"] for s in steps(path) if s.get("if") == "failure()"]
    assert len(kept) == 1 and {*logged, "_build/executed"} == set(kept[0].split())
    assert all(job["timeout-minutes"] <= 120 for job in content["jobs"].values())


def test_permissions_are_those_that_are_needed():
    for name, path in WORKFLOWS.items():
        content = read(path)
        assert content["permissions"] == {"contents": "read"}
        jobs = content["jobs"].items()
        further = {job: about["permissions"] for job, about in jobs if "permissions" in about}
        needed = {"deploy": {"pages": "write", "id-token": "write"}} if name == "publish" else {}
        assert further == needed


def test_only_the_full_book_is_published():
    published = {
        name: step["with"]["path"]
        for name, path in WORKFLOWS.items()
        for step in steps(path)
        if step.get("uses", "").startswith("actions/upload-pages-artifact")
    }
    assert published == {"publish": "_build/book/full"}
    assert Project("full").executed.relative_to(ROOT).as_posix() == "_build/executed/full"
    assert "PROFILE" not in WORKFLOWS["publish"].read_text()
    kept = {
        s["with"]["path"] for s in steps(WORKFLOWS["check"]) if s.get("name") == "Keep the book"
    }
    assert kept == {"_build/book/quick"}


def test_what_is_installed_is_kept_by_the_pins():
    pins = re.search(r"^PINS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    for path in WORKFLOWS.values():
        (setup,) = (s["with"] for s in steps(path) if "setup-python" in s.get("uses", ""))
        assert setup["cache"] == "pip" and setup["cache-dependency-path"].split() == pins


def test_hooks_run_the_projects_own_environment_as_lint_does():
    hooks = [hook for repo in read(HOOKS)["repos"] for hook in repo["hooks"]]
    assert [repo["repo"] for repo in read(HOOKS)["repos"]] == ["local"]
    assert {hook["language"] for hook in hooks} == {"system"}
    lint = re.search(r"^lint:.*?\n\n", (ROOT / "Makefile").read_text(), re.MULTILINE | re.DOTALL)[0]
    for hook in hooks:
        program, *words = hook["entry"].split()
        assert program.startswith(".venv/bin/")
        tool = words[0] if program.endswith("ruff") else words[1]
        assert tool in lint
        assert [w for w in words if w.startswith("tests/") and not (ROOT / w).exists()] == []


def test_the_guide_links_what_there_is():
    path = ROOT / ".github" / "CONTRIBUTING.md"
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text(encoding="utf-8"))
    assert links and [link for link in links if not (path.parent / link).exists()] == []
    files = re.findall(r"`((?:tests|analysis_lib|notebooks|book|data)/[\w./-]+)`", path.read_text())
    assert len(files) > 8 and [f for f in files if not (ROOT / f).exists()] == []


def test_there_is_one_version():
    project = (ROOT / "analysis_lib" / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{analysis_lib.__version__}"\n' in project
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == analysis_lib.__version__
