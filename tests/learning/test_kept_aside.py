"""Rows kept aside: recall at equal false positives, subgroups, and documents."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hts_battery.learning import DescriptorSearch
from hts_battery.learning.kept_aside import separation
from hts_battery.learning.learned import learned, search_rows


def test_a_bound_that_is_moved_raises_no_recall() -> None:
    random = np.random.default_rng(0)
    unstable = random.random(1000) < 0.8
    scores = unstable + random.normal(size=1000)
    folds = np.arange(1000) % 5
    names = np.where(np.arange(1000) % 3 > 0, "a", "b")
    found = separation(scores, unstable, folds, names)
    moved = separation(np.exp(scores) - 7, unstable, folds, names)
    assert found is not None
    assert found == moved
    assert (found.n, found.folds, found.stable) == (1000, 5, int((~unstable).sum()))
    assert found.auc == pytest.approx(0.76, abs=0.04)
    assert found.balanced_accuracy == pytest.approx(0.69, abs=0.05)
    assert found.recall.recall == pytest.approx(0.39, abs=0.07)
    assert sum(one.n for one in found.subgroups.values()) == found.stable


def test_noise_is_the_dummy() -> None:
    random = np.random.default_rng(1)
    unstable = random.random(4000) < 0.7
    found = separation(random.normal(size=4000), unstable, np.arange(4000) % 5)
    assert found is not None
    assert found.auc == pytest.approx(0.5, abs=0.03)
    assert found.balanced_accuracy == pytest.approx(0.5, abs=0.03)
    assert found.recall.recall == pytest.approx(0.1, abs=0.03)


def test_folds_of_one_label_say_nothing() -> None:
    unstable = np.arange(40) < 20
    scores = np.arange(40.0)
    assert separation(scores, unstable, np.repeat([0, 1], 20)) is None
    scores[3] = np.nan
    found = separation(scores, unstable, np.arange(40) % 2)
    assert found is not None
    assert found.folds == 1
    assert found.recall.recall is not None
    few = separation(np.arange(40.0), np.arange(40) % 5 == 0, np.arange(40) % 4)
    assert few is not None
    assert (few.recall.n, few.recall.recall) == (0, None)


def test_a_document_does_not_hang_on_the_order_of_rows() -> None:
    random = np.random.default_rng(2)
    frame = pd.DataFrame(random.uniform(1, 2, (180, 2)), columns=["a", "b"])
    frame["energy"] = frame.a * frame.b - 2 + 0.05 * random.normal(size=180)
    frame["set"] = [f"s{number % 18}" for number in range(180)]
    frame["empty"] = np.nan
    documents = []
    for table in (frame, frame.sample(frac=1, random_state=3)):
        rows = search_rows(table, "energy", groups="set", subgroups="set")
        search = DescriptorSearch(dimensions=1).fit(
            rows.columns, rows.target, rows.groups
        )
        documents.append(learned(search, rows, limit=2))
    assert documents[0] == documents[1]
    assert documents[0].columns == ("a", "b")
    best = documents[0].formulas[0].kept_aside
    assert best is not None
    assert best.recall.recall is not None
    assert best.recall.recall > 0.8
    assert len(best.subgroups) == 18
