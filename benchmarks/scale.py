"""
What grows with a campaign: members, submission, status, entries, thermo, the hull.

Candidates are members of the space of ``workflows/campaigns/hedrx_18810.yaml``, more or
fewer than its 18,810; references are the shipped CHGNet energies, candidates have the
energy of the lowest mixture of those plus 10 to 50 meV/atom, by their id. Their entries
are written as the entries builder would leave them, without relaxed cells; the
thermo builder then works as at night. Each size has an embedded server of its own.

Prints one JSON object a line as soon as it is known: seconds of the processors (this
process and the server; on a busy machine they say more than the clock), bytes of the
database, peak memory, and the number of candidates. Beside each larger size stands the
smallest as its peer: ``ratio`` is the cost of a candidate there over that at this size,
so that 1 is linear growth and less is worse.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from builders import CAMPAIGN, candidate_energies, opened, reference_energies
from figures import Printer

from hts_battery.campaign.build import build
from hts_battery.campaign.references import store_references
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.campaign.status import campaign_status
from hts_battery.connections.database import embedded
from hts_battery.connections.launchpad.launchpad import open_launchpad
from hts_battery.dispatch.submission import plan_submission, submit_campaign
from hts_battery.schemas.entry import EntryDoc, EntryKind, EntryState
from hts_battery.thermo import Hull

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.candidate import CandidateDoc

SIZES = (1_000, 10_000, 100_000)
TEMPERATURES = (0.0, 1473.0)
BATCH = 1_000
MIB = 1024**2
Costs = dict[str, tuple[int, float]]
"""Step → smallest size and seconds of the processors of a candidate there."""


def main() -> None:
    """Read the options and measure each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="accepted; always JSON")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    first: Costs = {}
    for size in parser.parse_args().sizes:
        with tempfile.TemporaryDirectory() as name, opened(Path(name)) as stores:
            measure(Meter(size, Path(name), first), stores)


class Meter:
    """Prints what a step took, a candidate, beside the smallest size."""

    def __init__(self, size: int, folder: Path, first: Costs) -> None:
        self.size = size
        self.folder = folder
        self.first = first
        pid = embedded.status(folder).pid
        assert pid is not None
        self.server = psutil.Process(pid)
        self.show = partial(Printer(), candidates=size)

    @contextmanager
    def step(self, figure: str) -> Iterator[None]:
        """Measure one step: processor seconds and growth of the database."""
        start, spent, stored = time.perf_counter(), self.spent(), self.stored()
        yield
        clock = time.perf_counter() - start
        each = (self.spent() - spent) / self.size
        size, cost = self.first.setdefault(figure, (self.size, each))
        peer, ratio = None, None
        if size != self.size:
            peer, ratio = f"ours with {size} candidates", cost / each
        unit = "ms a candidate"
        self.show(f"{figure}, processor", 1000 * each, unit, peer, ratio)
        self.show(f"{figure}, clock", clock, "s")
        grown = (self.stored() - stored) / self.size
        if grown > 1:
            self.show(f"{figure}, stored", grown, "bytes a candidate")

    def spent(self) -> float:
        """Return processor seconds of this process and the server so far."""
        times = self.server.cpu_times()
        return time.process_time() + float(times.user + times.system)

    def stored(self) -> int:
        """Return the bytes of the server's files."""
        return embedded.status(self.folder).size_bytes


def measure(meter: Meter, stores: Stores) -> None:
    """Take one size through the rooms."""
    path = campaign_file(meter.folder, meter.size)
    with meter.step("campaign read and members listed"):
        campaign = load_campaign(path)
        members = list(campaign.members())
    candidates = [candidate for _, candidate in members]
    references = reference_energies(campaign, None)
    store_references(references, stores)
    hull = Hull(
        [energy.formula for energy in references],
        [float(energy.energy_per_atom or 0) for energy in references],
    )
    with meter.step("hull alone"):
        energies = candidate_energies(candidates, hull)
    with open_launchpad(stores.database):
        pass
    submission = plan_submission(campaign.spec, "local")
    with meter.step("submission"):
        submit_campaign(campaign, stores, submission, members=members)
    with meter.step("submitted again"):
        submit_campaign(campaign, stores, submission, members=members)
    with tempfile.TemporaryDirectory() as record, meter.step("status"):
        campaign_status(path, stores, execution_folder=Path(record))
    build(campaign.spec, stores, temperatures=TEMPERATURES, only="entries")
    with meter.step("entries written"):
        write_entries(candidates, energies, campaign, stores)
    with meter.step("thermo, from scratch"):
        build(campaign.spec, stores, temperatures=TEMPERATURES, only="thermo")
    with meter.step("thermo, unchanged"):
        build(campaign.spec, stores, temperatures=TEMPERATURES, only="thermo")
    meter.show("server, memory at the end", meter.server.memory_info().rss / MIB, "MiB")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    meter.show("builder, peak memory so far", peak, "MiB")


def campaign_file(folder: Path, size: int) -> Path:
    """Write the campaign with another number of candidates."""
    path = folder / CAMPAIGN.name
    text = CAMPAIGN.read_text(encoding="utf-8")
    path.write_text(text.replace("count: 18810,", f"count: {size},"), "utf-8")
    return path


def write_entries(
    candidates: Sequence[CandidateDoc],
    energies: dict[str, float],
    campaign: Campaign,
    stores: Stores,
) -> None:
    """Write an entry of each candidate, like a reference's but of a candidate."""
    like = stores.entries.query_one({"kind": "reference", "state": "used"})
    for start in range(0, len(candidates), BATCH):
        docs = [
            entry(one, energies[one.candidate_id], campaign, like)
            for one in candidates[start : start + BATCH]
        ]
        stores.entries.update(docs, key="entry_id")


def entry(
    candidate: CandidateDoc, energy: float, campaign: Campaign, like: dict[str, Any]
) -> dict[str, Any]:
    """Return the entry of one candidate; energy in eV/atom."""
    name = f"{candidate.candidate_id}-task"
    comparable = like["energy"] | {
        "entry_id": name,
        "formula": candidate.formula,
        "uncorrected_energy": energy,
        "n_atoms": 1,
        "energy_per_atom": energy,
    }
    return EntryDoc(
        entry_id=name,
        kind=EntryKind.CANDIDATE,
        candidate_id=candidate.candidate_id,
        content_key=campaign.key(candidate),
        formula=candidate.formula,
        elements=tuple(sorted(candidate.elements)),
        engine=campaign.spec.engine,
        calculator=like["calculator"],
        calculation=campaign.spec.calculation,
        state=EntryState.USED,
        energy=comparable,
        ordering_id=name,
        ordering_method="sqs",
        input_digest=name,
    ).model_dump(mode="json")


if __name__ == "__main__":
    main()
