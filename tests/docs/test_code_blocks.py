"""Every code block of the pages is run, or parsed, or named here with the reason."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from docs.code_blocks import (
    PAGES,
    PROJECT,
    Block,
    Command,
    blocks,
    commands,
    options,
    parsed,
    run_python,
)
from synthetic_summaries import METALS, fill
from typer.testing import CliRunner

from hts_battery.cli.app import app
from hts_battery.compositions import load_space
from hts_battery.flows.recipes.references import shipped_energies
from hts_battery.schemas.campaign import CampaignSpec
from hts_battery.settings import HTSBatterySettings, get_settings
from hts_battery.thermo import candidate_entropy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

LANGUAGES = {"bash", "js", "json", "nginx", "optimade", "python", "text", "yaml"}
BLOCKS = blocks()
COMMANDS = [
    one for block in BLOCKS if block.language == "bash" for one in commands(block)
]
LITERAL = "docs/first_campaign.md"
"""Run as it stands, by the last test."""
COVERED = {
    "docs/cluster.md": "tests/slurm/test_guide_on_slurm.py",
    "docs/analyst.md": "tests/test_analyst_guide.py",
}
"""Page → the test that runs its marked block, or its ten questions, to the end."""

RUN = {
    "hts build all", "hts build diff", "hts build list", "hts build local-structure",
    "hts build summary-table",
    "hts build thermo", "hts campaign check", "hts campaign plan", "hts db backup",
    "hts query compare", "hts query export", "hts query find", "hts query show",
    "hts query snapshot", "hts query stable", "hts references gaps",
    "hts space count", "hts space index", "hts space list", "hts space sample",
}  # fmt: skip
"""Commands that every page may show with what a reader has at that point: run."""
NOT_RUN = {
    "hts campaign run": "minutes; tests/cli and the tutorial run it",
    "hts campaign status": "with --watch it stays; tests/cli/test_status.py",
    "hts campaign submit": "needs a worker; tests/slurm",
    "hts db init-roles": "needs a server with users; tests/connections/test_roles.py",
    "hts db restore": "needs an empty database; tests/cli/test_database.py",
    "hts doctor": "finds what this machine has wrong; tests/cli/test_database.py",
    "hts launchpad feed": "needs a submitted campaign; tests/slurm",
    "hts launchpad ingest": "needs outputs of a queue; tests/slurm",
    "hts launchpad launch": "needs a queue; tests/cli/test_launching.py",
    "hts references add": "needs files of a reader's own; tests/cli",
    "hts runner start": "stays; tests/cli/test_launching.py",
    "hts worker test": "needs a queue; tests/slurm/test_launcher_on_slurm.py",
    "hts launchpad notify-test": "sends a message; tests/cli",
    "hts launchpad render": "writes into the home folder; tests/slurm",
    "hts disorder fit": "needs a training; tests/campaign/test_lattice_campaigns.py",
    "hts disorder order-temperature": "needs a model; tests/cli/test_lattice.py",
    "hts disorder plan": "writes a file; tests/docs/test_lattice_page.py",
    "hts disorder run": "needs a model; tests/docs/test_lattice_page.py",
    "hts disorder composite": "tests/cli/test_simulated_order.py",
    "hts disorder map": "a minute; tests/cli/test_simulated_order.py",
    "hts disorder order": "needs a cell; tests/cli/test_disorder.py",
    "hts disorder percolate": "needs a cell; tests/cli/test_disorder.py",
    "hts disorder scattering": "needs a cell; tests/cli/test_disorder.py",
    "hts disorder simulate": "a minute; tests/cli/test_simulated_order.py",
    "hts electro capacity": "tests/cli/test_electro.py",
    "hts electro curve": "needs energies of states; tests/cli/test_electro.py",
    "hts electro interface": "tests/cli/test_electro.py",
    "hts electro window": "tests/cli/test_electro.py",
    "hts learn apply": "needs a search; tests/cli/test_rules.py",
    "hts campaign iterate": "minutes; tests/campaign/test_proposals.py",
    "hts campaign propose": "needs a campaign; tests/campaign/test_proposals.py",
    "hts learn curve": "needs a data set; tests/learning/test_curve.py",
    "hts learn descriptor": "needs a table; tests/cli/test_rules.py",
    "hts rules filter": "needs rules; tests/cli/test_rules.py",
    "hts rules mine": "needs a table; tests/cli/test_rules.py",
    "hts rules show": "needs rules; tests/cli/test_rules.py",
    "hts transport analyse": "needs a trajectory; tests/cli/test_transport.py",
    "hts transport arrhenius": "needs a table; tests/cli/test_transport.py",
    "hts launchpad rerun": "needs failures; tests/campaign",
    "hts launchpad triage": "needs failures; tests/campaign",
    "hts references compute": "relaxes; tests/cli",
    "hts references import": "tests/slurm/test_guide_on_slurm.py",
    "hts rehearse": "a minute; tests/campaign/test_rehearsal.py",
    "hts serve": "stays until Ctrl-C; tests/dashboard",
}
PROGRAMS = {
    ".": "the shell's own", "cat": "reads a heredoc", "cd": "the shell's own",
    "export": "the shell's own", "mkdir": "makes a folder", "sed": "edits a file",
    "set": "the shell's own",
    "apt-get": "installs; .ci/run calls it with the same packages",
    "curl": "asks a server that stays; tests/dashboard ask these addresses",
    "git": "clones from an address that the reader knows",
    "install": "writes the settings; tests/slurm/test_guide_on_slurm.py",
    "make": "targets are compared with the Makefile",
    "peers/bin/pip": "installs from a registry",
    "pip": "installs from a registry",
    "printf": "writes GPAW's settings; make gpaw does the same",
    "python": "FireWorks' commands; tests/slurm run them; benchmarks, minutes each",
}  # fmt: skip
"""Programs of others, and why the shell is not asked."""

OPTIONS_OF_OTHERS = {
    "--allow-run-as-root", "--auth", "--cache-size", "--energies", "--full",
    "--no-requeue",
    "--only", "--peers", "--plot", "--quick", "--quick-only", "--standalone",
    "--sync-on-commit",
    "--tls-require-client-cert",
}  # fmt: skip
"""Of the embedded server, Open MPI, Slurm, and the benchmarks."""


def where(block: Block | Command) -> str:
    return f"{block.page}:{block.line}"


def test_every_block_names_its_language() -> None:
    assert [where(b) for b in BLOCKS if b.language not in LANGUAGES] == []


@pytest.mark.parametrize("page", COVERED)
def test_the_test_that_covers_a_page_reads_it(page: str) -> None:
    sources = [PROJECT / COVERED[page], PROJECT / "tests" / "guide.py"]
    assert any(Path(page).name in one.read_text("utf-8") for one in sources)


def test_what_is_not_run_is_shown_somewhere_and_has_a_reason() -> None:
    shown = {" ".join(one.words[:3]) for one in COMMANDS if one.is_ours}
    shown |= {" ".join(one.words[:2]) for one in COMMANDS if one.is_ours}
    assert NOT_RUN.keys() - shown == set()
    assert RUN - shown == set()
    programs = {one.words[0] for one in COMMANDS if not one.is_ours}
    assert programs == PROGRAMS.keys()


def test_every_option_in_the_text_is_one_of_a_command() -> None:
    named = {
        option
        for page in PAGES
        for option in re.findall(r"`(--[a-z][a-z-]+)", page.read_text("utf-8"))
    }
    assert named - OPTIONS_OF_OTHERS <= options()
    assert named >= OPTIONS_OF_OTHERS


def test_make_targets_exist() -> None:
    text = (PROJECT / "Makefile").read_text("utf-8")
    for one in COMMANDS:
        if one.words[0] == "make":
            named = [word for word in one.words[1:] if "=" not in word]
            assert all(f"\n{word}:" in text for word in named), where(one)


@pytest.mark.parametrize(
    "block", [b for b in BLOCKS if b.language in ("yaml", "json")], ids=where
)
def test_data_can_be_read(block: Block, tmp_path: Path) -> None:
    if block.language == "json":
        json.loads(block.text)
        return
    said = yaml.safe_load(block.text)
    if said.keys() <= CampaignSpec.model_fields.keys():
        least: dict[str, object] = {"name": "x"}
        if "source" not in said:
            least |= {"space": "space.yaml", "selection": {"method": "all"}}
        CampaignSpec.model_validate(least | said)
    elif said.keys() - {"profiles"} <= HTSBatterySettings.model_fields.keys():
        for one in (said.pop("profiles", None) or {}).values():
            if isinstance(one, dict):
                HTSBatterySettings(data_dir=tmp_path, **one)
        said.pop("data_dir", None)
        HTSBatterySettings(data_dir=tmp_path, **said)
    else:  # rows of the reference library, which its own tests read
        assert said.keys() <= {"phases", "decorations"}, where(block)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder that has what a clone has, and a campaign of one's own."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    for name in ("workflows", "launchpad_configs", "constraints.txt"):
        (folder / name).symlink_to(PROJECT / name)
    quickstart = (PROJECT / "workflows/campaigns/quickstart.yaml").read_text("utf-8")
    for name in ("mine", "my_campaign"):
        (folder / f"{name}.yaml").write_text(quickstart)
    # A rehearsal, and a space that holds the composition that a page looks for.
    (folder / "my_vasp_campaign.yaml").write_text(
        quickstart.replace("engine: chgnet", "engine: vasp-mp-gga")
    )
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def filled(
    ranked: Campaign, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """Point the settings at a small database; say what the pages' words stand for."""
    few = [name for name in METALS[:9] if name != "Cu2+"]
    fill(stores, 60, campaign="first", metals=few)
    fill(stores, 60, campaign="second", engine="gpaw", shift=0.05, metals=few)
    monkeypatch.setenv("HTS_BATTERY_MONGO_URI", stores.database.uri)
    monkeypatch.setenv("HTS_BATTERY_DATABASE", stores.database.name)
    get_settings.cache_clear()
    (known,) = stores.summary.query(
        {"campaign": ranked.spec.name}, properties=["candidate_id"], limit=1
    )
    run = stores.builds.query_one({}, properties=["run_id"])
    yield {
        "CANDIDATE_ID": known["candidate_id"],
        "CAMPAIGN": "first",
        "OTHER": "second",
        "FILE": "my_campaign.yaml",
        "FOLDER": "backup",
        "RUN": run["run_id"],
        "URI": stores.database.uri,
    }
    get_settings.cache_clear()


@pytest.mark.parametrize("block", BLOCKS, ids=lambda one: f"{one.page}:{one.line}")
def test_fireworks_commands_are_told_which_files_to_read(block: Block) -> None:
    if re.search(r"\b[qr]launch\b", block.text) and block.language == "bash":
        assert "FW_CONFIG_FILE=" in block.text


def test_every_command_is_one(scratch: Path) -> None:
    for name in ("first", "rhodium", "wrong", "my_vasp_campaign"):
        (scratch / f"{name}.yaml").write_text("name: there\n")
    for one in COMMANDS:
        if not one.is_ours:
            continue
        words = tuple("my_campaign.yaml" if w == "FILE" else w for w in one.words)
        name = parsed(words)
        assert name in RUN | NOT_RUN.keys(), where(one)


@pytest.mark.mongo
@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    sorted(
        {b.page for b in BLOCKS if b.language == "python"}
        | {one.page for one in COMMANDS if one.is_ours}
    ),
)
def test_the_blocks_of_a_page_run(
    page: str, scratch: Path, filled: dict[str, str]
) -> None:
    scope: dict[str, Any] = _given()
    for block in BLOCKS:
        if block.page != page or page == LITERAL or _is_a_question(block):
            continue
        if block.language == "python":
            text = block.text.replace("mongodb://HOST:27017", filled["URI"])
            run_python(text, scope, where(block))
        elif block.language == "bash":
            for one in commands(block):
                _run(one, filled)
    assert scratch.is_dir()


def _is_a_question(block: Block) -> bool:
    """Whether another test asks it, in four languages."""
    following = [b.language for b in BLOCKS if b.page == block.page]
    return "optimade" in following and _heading(block)[:1].isdigit()


def _heading(block: Block) -> str:
    text = (PROJECT / block.page).read_text("utf-8").splitlines()[: block.line]
    return next(
        (line.lstrip("# ") for line in reversed(text) if line.startswith("#")), ""
    )


def _given() -> dict[str, Any]:
    """Names that the pages' examples begin with."""
    candidate = load_space("workflows/campaigns/quickstart.yaml")[344]
    known = shipped_energies("ionic", elements=candidate.amounts).energies
    phases = [phase for phase in known if phase.rejected is None]
    return {
        "candidate": candidate,
        "candidate_id": candidate.candidate_id,
        "entropy": candidate_entropy(candidate),
        "formula": candidate.formula,
        "energy_per_atom": -7.4,
        "formulas": [phase.formula for phase in phases],
        "energies_per_atom": [phase.energy_per_atom for phase in phases],
        "entry_ids": [phase.phase_id for phase in phases],
        "references_before": {
            phase.phase_id: (phase.formula, phase.energy_per_atom)
            for phase in phases[1:]
        },
    }


def _run(one: Command, stands_for: dict[str, str]) -> None:
    if not one.is_ours:
        return
    words = tuple(stands_for.get(word, word) for word in one.words)
    if parsed(words) not in RUN:
        return
    done = CliRunner().invoke(app, list(words[1:]))
    assert done.exit_code == 0, f"{where(one)}: {done.output}\n{done.exception}"


@pytest.mark.mongo
@pytest.mark.slow
def test_the_first_campaign_as_a_new_user_types_it(tmp_path: Path) -> None:
    # CHGNet needs minutes: from the run on, the ionic potential takes its place.
    page = (PROJECT / LITERAL).read_text("utf-8")
    script = "\n".join(
        b.text for b in BLOCKS if (b.page, b.language) == (LITERAL, "bash")
    )
    script = script.replace(". .venv/bin/activate\n", "").replace(
        "\nhts campaign run first.yaml\n",
        "\nsed -i 's/^engine: .*/engine: ionic\\nrelaxation: {steps: 1, fmax: 10}/' "
        "first.yaml\nhts campaign run first.yaml\n",
        1,
    )
    done = subprocess.run(  # noqa: S603 - the page's words
        ["/bin/bash", "-e", "-x", "-c", script],
        env={
            "HOME": str(tmp_path),
            "OMP_NUM_THREADS": "1",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(PROJECT),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    printed = re.sub(r"\s+", " ", done.stdout + done.stderr)
    before_the_run = page.partition("## Run it")[0]
    for block in BLOCKS:
        shown = (block.page, block.language) == (LITERAL, "text")
        if shown and block.text in before_the_run:
            for line in block.text.splitlines():
                assert re.sub(r"\s+", " ", line).strip() in printed
    assert "6 candidates: 6 ranked" in printed
    assert "0 computed now, 6 known before" in printed
    assert (tmp_path / "first" / "first.csv").read_text("utf-8").count("\n") >= 6
