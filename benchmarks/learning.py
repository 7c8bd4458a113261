"""
Speed of the room learning, each figure beside a peer of the same run.

Processor time of one thread, on 3,104 rows of 14 columns like those of the published
NASICON table. SISSO v3.5 is not on the package index: the rates measured once on
one quiet core (17,000 features and 23,000 pairs a second) are quoted, not run.

    OMP_NUM_THREADS=1 python benchmarks/learning.py --json --peers PYTHON

pyoperon and gplearn may be installed in an environment of their own, PYTHON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pandas as pd
from figures import Printer
from scipy.stats import norm, rankdata
from sklearn.svm import LinearSVC
from statsmodels.discrete.discrete_model import Logit

from hts_battery.compositions import load_space
from hts_battery.learning import (
    DescriptorSearch,
    RankingSVM,
    SeparableSurrogate,
    pair_accuracy,
    rank_space,
)
from hts_battery.learning.closed_form import best_subsets
from hts_battery.learning.feature_table import feature_table
from hts_battery.learning.logit import fit_logit
from hts_battery.learning.screening import Screen
from hts_battery.learning.units import read_units

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Found = TypeVar("Found")

ROWS = 3104
SPACE = "workflows/campaigns/hedrx_full.yaml"
MADE = 2000
PEERS = Path(__file__).with_name("symbolic_peers.py")
NASICON = Path(__file__).parents[2] / "shared" / "data" / "nasicon_2021"
NASICON /= "compositions.csv"
SISSO_FEATURES, SISSO_PAIRS = 17_000, 23_000  # a second
UNITS = {
    **dict.fromkeys(("a", "b"), "eV"),
    **dict.fromkeys(("c", "d", "e"), "angstrom"),
    **dict.fromkeys(("f", "g", "h", "i"), "pauling"),
}
show = Printer()


def processor(work: Callable[[], Found]) -> tuple[Found, float]:
    """Do it twice; return what it gave and the shorter seconds of processor."""
    took = []
    for _ in range(2):
        start = time.process_time()
        found = work()
        took.append(time.process_time() - start)
    return found, min(took)


def table() -> tuple[pd.DataFrame, Array]:
    """Fourteen columns, some of few values, and a target of two planted features."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        random.uniform(0.2, 2, (ROWS, 14)), columns=list("abcdefghijklmn")
    )
    frame["m"] = random.integers(0, 9, ROWS) / 2
    frame["n"] = random.integers(0, 3, ROWS) / 2
    target = np.exp(frame.n) * np.cbrt(frame.m) + frame.a * frame.d * (
        frame.f + frame.g
    )
    return frame, (target + random.normal(size=ROWS)).to_numpy()


def screening(frame: pd.DataFrame, target: Array) -> None:
    """Screen all features of two operators, with units and without."""
    columns = {name: frame[name].to_numpy() for name in frame}
    for name, units in (("with units", read_units(UNITS)), ("without units", None)):

        def screened(units: object = units) -> int:
            screen = Screen(feature_table(columns, units))  # type: ignore[arg-type] - one of two
            screen.best(target, 1000)
            return screen.count

        count, took = processor(screened)
        rate = count / took
        peer = "SISSO, quoted: 17,000 features/s"
        show(f"screening {name}", rate, "features/s", peer, rate / SISSO_FEATURES)
    features = np.random.default_rng(1).normal(size=(ROWS, 2000))
    _, took = processor(lambda: best_subsets(features, target, 2, 100))
    rate = 2000 * 1999 / 2 / took
    peer = "SISSO's L0, quoted: 23,000 pairs/s"
    show("pairs in closed form", rate, "pairs/s", peer, rate / SISSO_PAIRS)


def ranking(frame: pd.DataFrame, target: Array) -> None:
    """Fit the exact ranking of two features; LinearSVC on all pairs at one optimum."""
    features = frame[["a", "m"]].to_numpy()
    first, second = np.triu_indices(ROWS, k=1)
    pairs = features[first] - features[second]
    higher = np.where(target[first] > target[second], 1, -1)
    ours, took = processor(lambda: RankingSVM().fit(features, target))
    start = time.process_time()
    peer = LinearSVC(fit_intercept=False, dual=False, tol=1e-6).fit(pairs, higher)
    slow = time.process_time() - start
    assert np.allclose(peer.coef_[0], ours.coef_, rtol=1e-3)
    show(
        "exact ranking of 4.8 million pairs",
        took * 1000,
        "ms",
        "LinearSVC",
        slow / took,
    )


def whole_search(frame: pd.DataFrame, target: Array) -> None:
    """Search two dimensions, units given, from columns to formulas."""
    search = DescriptorSearch(units=UNITS)
    start = time.process_time()
    search.fit(frame, target)
    show("whole search, two dimensions", time.process_time() - start, "s")


def accuracy(python: str) -> None:
    """Compare order-free accuracy on the rows of the fit, all at our time."""
    frame, energies = nasicon_rows() if NASICON.is_file() else table()
    start = time.process_time()
    search = DescriptorSearch().fit(frame, energies)
    took = time.process_time() - start
    ours = pair_accuracy(search.predict(frame), energies)
    show("search without units, published rows or alike", took, "s")
    scores = norm.ppf((rankdata(energies) - 0.5) / len(energies))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.npz"
        np.savez(file, columns=frame.to_numpy(), target=scores)
        for peer in ("pyoperon", "gplearn"):
            command = [python, str(PEERS), peer, str(file), str(took)]
            done = subprocess.run(  # noqa: S603 - our own script
                command, capture_output=True, text=True, check=False
            )
            if done.returncode:
                show(f"{peer}_peer_missing", 0, "1", peer)
                continue
            found = pair_accuracy(json.loads(done.stdout.splitlines()[-1]), energies)
            name = f"order-free accuracy at {peer}'s equal time"
            show(name, ours, "1", f"{peer}: {found:.4f}", ours / found)


def nasicon_rows() -> tuple[pd.DataFrame, Array]:
    """Read the published rows: the 14 columns of the file, E(1000 K)."""
    rows = pd.read_csv(NASICON)
    energies = rows["NewEhullLst"].to_numpy()
    return rows.drop(columns=["CompName", "NewEhullLst", "EFormLst"]), energies


def logits() -> None:
    """Fit a logit of 20 columns with the variance between groups."""
    random = np.random.default_rng(2)
    design = np.column_stack([np.ones(ROWS), random.normal(size=(ROWS, 20))])
    label = (random.random(ROWS) < 1 / (1 + np.exp(1 - design[:, 1]))).astype(float)
    groups = random.integers(0, 130, ROWS)
    _, took = processor(lambda: fit_logit(design, label, groups))
    how = {"cov_type": "cluster", "cov_kwds": {"groups": groups}}
    _, slow = processor(lambda: Logit(label, design).fit(disp=0, **how))
    show(
        "logit, variance between groups", took * 1000, "ms", "statsmodels", slow / took
    )


def whole_space() -> None:
    """Rank 4.7e9 members; the peer makes and scores each, on the first of them."""
    space = load_space(SPACE)
    elements = sorted(space.spec.symbols)  # type: ignore[attr-defined]
    values = np.random.default_rng(0).normal(0, 0.3, len(elements))
    surrogate = SeparableSurrogate(dict(zip(elements, values.tolist(), strict=True)))
    count = space.count  # the tables that count are made once, before
    start = time.process_time()
    found = rank_space(space, surrogate, temperature=1473, n=1000)
    took = time.process_time() - start
    assert found.visited == count
    start = time.process_time()
    for one in space.iterate(0, MADE):
        surrogate.score(one, temperature=1473)
    rate = MADE / (time.process_time() - start)
    show("whole space ranked, hedrx_full", took, "s")
    show("members ranked", count / took, "members/s", "one by one", count / took / rate)


def main() -> None:
    """Print every figure."""
    global show  # noqa: PLW0603 - one printer for the run
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--peers", default=sys.executable, help="Python with pyoperon and gplearn."
    )
    asked = parser.parse_args()
    show = Printer(as_json=asked.json)
    frame, target = table()
    screening(frame, target)
    ranking(frame, target)
    whole_search(frame, target)
    logits()
    whole_space()
    accuracy(asked.peers)


if __name__ == "__main__":
    main()
