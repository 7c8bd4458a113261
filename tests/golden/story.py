"""
What a user types, command by command, in a folder with some campaign files.

Each line is a command of ``hts``, to which ``--json`` is added; a line in brackets is
what happens in between. The answers are recorded by chapter.
"""

from __future__ import annotations

import json

CAMPAIGN = """\
name: small
space:
  family: hedrx
  basis: formula-unit
  step: 0.1
  sublattices:
    cation: {sites: 2, species: [Li+, Mn3+, Cr3+, Ti4+]}
    anion: {sites: 2, species: [O2-, F-]}
selection:
  method: formulas
  formulas: [Li1.3Mn0.4Ti0.3O1.7F0.3, Li1.2Mn0.4Ti0.4O2, Li1.2Mn0.2Cr0.2Ti0.4O2]
structure: {atoms: 40, iterations: 500, seed: 3, n_orderings: {sqs: 1, random: 1}}
engine: fake
temperatures: [0, 1473]
"""
_FORMULAS = (
    "[Li1.3Mn0.4Ti0.3O1.7F0.3, Li1.2Mn0.4Ti0.4O2, Li1.2Mn0.2Cr0.2Ti0.4O2]",
    "{sqs: 1, random: 1}",
)
_TWO = "[Li1.3Cr0.4Ti0.3O1.7F0.3, Li1.2Cr0.4Ti0.4O2]", "{random: 1}"


def _variant(name: str, *changes: tuple[str, str]) -> str:
    text = CAMPAIGN.replace("name: small", f"name: {name}")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


_OTHERS = tuple(zip(_FORMULAS, _TWO, strict=True))
_GATE = (
    "engine: fake",
    "engine: fake\nprerelax: {engine: fake}\ngate: {energy_above_hull: -5}",
)
CELL = """Li2Mn2O4
4.2
1 0 0
0 1 0
0 0 1
Li Mn O
2 2 4
direct
0 0 0
0.5 0.5 0
0.5 0 0.5
0 0.5 0.5
0.5 0 0
0 0.5 0
0 0 0.5
0.5 0.5 0.5
"""
LINE = """\
T,D,D_error
600,1.2e-6,3e-7
700,2.1e-6,5e-7
800,3.6e-6,7e-7
900,5.1e-6,7e-7
1050,8.2e-6,1e-6
1200,1.3e-5,2e-6
"""
MSD = "fs,A^2\n" + "".join(f"{time},{0.05 * time}\n" for time in range(100, 2100, 100))
MIXED = """data_mixed
_cell_length_a 4.1
_cell_length_b 4.1
_cell_length_c 4.1
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 4/m m m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
M1 Li 0 0 0 0.5
M1 Co 0 0 0 0.5
M2 Li 0.5 0.5 0 0.5
M2 Co 0.5 0.5 0 0.5
M3 Li 0 0.5 0.5 0.5
M3 Co 0 0.5 0.5 0.5
O1 O 0.5 0.5 0.5 1
O2 O 0 0 0.5 1
O3 O 0.5 0 0 1
"""
_METALS = ("Zr2", "Ti2", "ZrTi", "HfTi", "Hf2", "SnZr")
ROWS = "formula,energy,a,b\n" + "".join(
    f"Na{1 + n}{_METALS[row % 6]}Si{n}P{3 - n}O12,"
    f"{(row * 7 % 11) - 5},{1 + row * 3 % 7},{2 + row * 5 % 9}\n"
    for row in range(60)
    for n in (row // 6 % 3,)
)
"""A table of NASICONs with made-up energies."""
LATTICE = {
    "digest": "ce1e0fd7546b269d",
    "parameters": {
        "pairs": [{"species": ["Li+", "Mn3+"], "energies": [-0.02, 0.01]}],
        "species_energies": {"Li+": 0.0, "Mn3+": 0.0, "O2-": 0.0},
    },
    "campaigns": ["training"],
    "calculator": "fake 1",
    "used": [],
    "refused": [],
    "error": 0.001,
    "absolute_error": 0.001,
    "swap_error": 0.01,
    "features": 1,
    "rank": 1,
    "ridge": 0.0,
    "seed": 0,
    "columns": ["electrostatics"],
    "covariance": [[0.0]],
    "learning_curve": [],
    "domain": [{"Li+": 0.5, "Mn3+": 0.5, "O2-": 1.0}],
}
"""A lattice model of one pair."""
FILES = {
    "model.json": json.dumps(LATTICE),
    "cell.vasp": CELL,
    "states.csv": "formula,energy_per_atom\nLiCoO2,-5.9\nCoO2,-5.6\n",
    "mixed.cif": MIXED,
    "rows.csv": ROWS,
    "line.csv": LINE,
    "msd.csv": MSD,
    "small.yaml": CAMPAIGN,
    "deeper.yaml": _variant("deeper", ("engine: fake", "engine: deeper")),
    "gated.yaml": _variant("gated", *_OTHERS, _GATE),
    "broken.yaml": _variant("broken", *_OTHERS, ("engine: fake", "engine: broken")),
    "filtered.yaml": CAMPAIGN
    + "filters: [{rule: redox-compatibility, pairs: [[F-, Mn3+]]}]\n",
    "vasp.yaml": _variant("later", *_OTHERS, ("engine: fake", "engine: vasp-mp-gga")),
}
FIRST = "{first}"
"""Stands for the id of the first candidate."""
KEPT = {
    "rehearse": ("candidates",),
    "campaign usage": ("campaign",),
    "doctor": ("check",),
    "disorder run": ("formula", "model", "temperature", "cations"),
    "disorder order-temperature": ("ground_state_formula", "space_group"),
    "db restore": ("documents", "database", "layout"),
}
"""Command whose answer depends on the machine, or is recorded before → keys whose
values are recorded."""
MEASURED = frozenset(("dispatch",))
"""Chapters in which node-hours are measured."""

STORY = """\
# empty
space count small.yaml
space list small.yaml --offset 3 --limit 3
space sample small.yaml -n 3 --seed 7
space index small.yaml Li1.2Mn0.4Ti0.4O2
space from-cif mixed.cif --state Li+ --state Co3+ --state Co2+
space from-cif nothing.cif
disorder percolate Li1.2Mn0.4Ti0.4O2 --cations 2000 --samples 10
disorder percolate cell.vasp --small
disorder order cell.vasp
disorder plan Li1.2Mn0.4Ti0.4O2 --engine ionic --cells 8
disorder fit training
disorder close model.json LiMnO2
disorder run model.json LiMnO2 --temperature 1273 --cations 256 --sweeps 60
disorder order-temperature model.json LiMnO2 --cations 128 --sweeps 16
disorder scattering cell.vasp --pdf --longest 5
disorder simulate Li1.2Mn0.4Ti0.4O1.9F0.1 --size 3 --cells 2 --attempts 5
disorder map --lithium 1.2 --fluorine 0.2 --size 3 --cells 2 --attempts 5
disorder composite --fast 0.001 --slow 0.000001 --share 0.3
electro capacity Li1.2Mn0.4Ti0.4O2
electro window Li3PO4
electro interface Li3PO4 Li
electro curve states.csv --metal -1.9
rules mine --table rows.csv --energy energy --save rules.json
rules show rules.json
rules filter rules.json
learn descriptor rows.csv --target energy --columns a,b --dimensions 1 --save found.json
learn apply found.json rows.csv
learn curve --dataset nothing.json
transport analyse msd.csv --method mogroup
transport arrhenius line.csv
campaign check small.yaml
campaign check filtered.yaml
campaign plan small.yaml
campaign run small.yaml --dry-run
campaign run small.yaml
campaign status small.yaml
campaign propose small --batch 2 --dry-run
campaign iterate small --rounds 1 --temperature 1473 --least-probability 0.5 --dry-run
build all --dry-run
build list
query find
query stable
references list --elements Li,Ti
campaign list
jobs list
worker list
profile list
references gaps small.yaml --engine chgnet
references compute --phase LiF-rocksalt --dry-run
rehearse vasp.yaml --dry-run
# references
references import fake.json --engine fake --dry-run
references import fake.json --engine fake
references import fake.json --engine fake
references import deeper.json --engine deeper
references import broken.json --engine broken
references compute --engine fake --phase LiF-rocksalt
references add mixed.cif --dry-run
references add mixed.cif --order 1 --state Li+ --state Co3+ --state O2- --dry-run
campaign check small.yaml
references gaps small.yaml
# run
campaign run small.yaml
campaign run deeper.yaml
campaign status small.yaml
campaign status small.yaml --exact
campaign plan small.yaml
build all
build all --dry-run
build all --verify
build entries
build thermo
build summary
build summary-table
build capacity
build charged-cells
build descriptors
build equation-of-state
build lattice-order
build lattice-training
build local-structure
build migration-barrier
build molecular-dynamics
build ordering-spectrum
build percolation
build simulated-order
build stability-window
campaign run gated.yaml
campaign status gated.yaml
campaign list
campaign usage small
campaign release gated.yaml --dry-run
campaign release gated.yaml
campaign release gated.yaml nobody
# query
query find
query find --filter 'elements HAS "Cr" AND e_hull_1473 <= 100'
query find --filter 'n_metals = 2' --fields formula,e_hull,t_mix --sort -t_mix
query find --filter 'nothing = 1'
query find --distinct elements
query find --group-by element
query find --group-by element-set
query find --group-by n-metals --temperature 0
query stable --threshold 1000
query stable --threshold 1000 --campaign small --limit 1 --temperature 0
query stable --temperature 1000
query show {first}
query show {first} --campaign small --why
query show nobody
query show {first} --campaign small --at 0:1000:500
query show {first} --campaign small --left-out
query compare small deeper
query snapshot rows.csv
# builds
references import changed.json --engine fake
build all
build list --limit 2
build diff
build diff --all --campaign small
# dispatch
campaign submit broken.yaml --worker here
campaign submit broken.yaml --worker here --any-worker --chunk 1 --dry-run
campaign submit broken.yaml --worker here --any-worker --chunk 1
campaign submit broken.yaml --worker here --any-worker --chunk 1
campaign status broken.yaml
campaign plan broken.yaml --worker here
launchpad feed --dry-run
campaign pause broken --dry-run
campaign pause broken
campaign pause nobody
campaign resume broken
launchpad triage
jobs list
jobs show 1
jobs files 1
jobs log 1
worker list
worker pause here --dry-run
worker pause here --reason maintenance
worker resume here
worker drain here --dry-run
worker cap here 4 --dry-run
worker exclude here node1 --dry-run
(launch)
launchpad feed
campaign status broken.yaml
launchpad triage --campaign broken
launchpad rerun --class nothing --dry-run
launchpad rerun --class unknown --dry-run
launchpad rerun --class unknown --force --dry-run
launchpad rerun --class unknown --force
launchpad feed --dry-run
launchpad feed
launches clean --folder queue --dry-run
launches clean --folder queue
launchpad recover --dry-run
launchpad recover
campaign rerun broken --candidate nobody
campaign usage broken
campaign own broken --dry-run
campaign delete broken --dry-run
campaign cancel broken --dry-run
campaign cancel broken
launchpad feed
# housekeeping
launchpad render local --target config --dry-run
launchpad render local --target config
launchpad launch config --dry-run
runner status
runner start config --dry-run
runner stop --dry-run
runner stop
launchpad ingest empty --dry-run
launchpad ingest empty
launchpad notify-test
launches clean --dry-run
db init-roles --user analyst=ann --dry-run
db backup backup --dry-run
db backup backup
db restore backup --dry-run
db restore backup
db up
doctor
# restored
query find --limit 1
db restore backup
query find --limit 1
launchpad notify-test
# server
db status
db up --dry-run
db up
db status
db down --dry-run
db down
"""


def chapters() -> dict[str, dict[str, str]]:
    """Return chapter → key of an answer → command; a key is the command, numbered."""
    found: dict[str, dict[str, str]] = {}
    for line in STORY.splitlines():
        if line.startswith("# "):
            found[line.removeprefix("# ")] = chapter = {}
            continue
        number, key = 1, line
        while key in chapter:
            number += 1
            key = f"{line} ({number})"
        chapter[key] = line
    return found
