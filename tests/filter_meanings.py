"""Filters in OPTIMADE's language, and what each says of a summary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Summary = dict[str, Any]

LIGHT = {"Li", "O", "F", "Mg", "Al", "Sc", "Ti", "V", "Cr", "Mn", "Fe"}
SAME: dict[str, Callable[[Summary], bool]] = {
    "e_hull <= 0.05": lambda d: d["energy_above_hull"] <= 0.05,
    "0.05 >= e_hull": lambda d: d["energy_above_hull"] <= 0.05,
    "e_hull_1473 < 0 AND e_hull > 0.05": lambda d: (
        d["energy_above_hull_at"]["1473K"] < 0 and d["energy_above_hull"] > 0.05
    ),
    "t_mix IS KNOWN": lambda d: d["mixing_temperature"] is not None,
    "t_mix IS UNKNOWN": lambda d: d["mixing_temperature"] is None,
    "NOT t_mix > 900": lambda d: (
        d["mixing_temperature"] is not None and d["mixing_temperature"] <= 900
    ),
    "n_metals = 5": lambda d: d["n_metals"] == 5,
    "n_metals != 5": lambda d: d["n_metals"] != 5,
    "nelements >= 8": lambda d: d["n_elements"] >= 8,
    "elements LENGTH 7": lambda d: d["n_elements"] == 7,
    'elements HAS "Mn"': lambda d: "Mn" in d["elements"],
    'NOT elements HAS "Mn"': lambda d: "Mn" not in d["elements"],
    'elements HAS ALL "Mn","Ti"': lambda d: {"Mn", "Ti"} <= set(d["elements"]),
    'elements HAS ALL "Li","F"': lambda d: "F" in d["elements"],
    'elements HAS ALL "Mn","Ti","Fe","F"': lambda d: (
        {"Mn", "Ti", "Fe", "F"} <= set(d["elements"])
    ),
    'NOT elements HAS ALL "Mn","Ti"': lambda d: not {"Mn", "Ti"} <= set(d["elements"]),
    'elements HAS ANY "Mn","W"': lambda d: bool({"Mn", "W"} & set(d["elements"])),
    'elements HAS ONLY "Li","O","F","Mg","Al","Sc","Ti","V","Cr","Mn","Fe","Co"': (
        lambda d: set(d["elements"]) <= {*LIGHT, "Co"}
    ),
    'NOT elements HAS ONLY "Li","O","F","Mg","Al","Sc","Ti","V","Cr","Mn","Fe"': (
        lambda d: not set(d["elements"]) <= LIGHT
    ),
    'redox_centres HAS "Mn"': lambda d: "Mn" in d["roles"].get("redox_centre", ()),
    'redox_centres HAS ALL "Mn","Fe"': lambda d: (
        {"Mn", "Fe"} <= set(d["roles"].get("redox_centre", ()))
    ),
    'charge_compensators HAS ANY "Ti","Nb"': lambda d: bool(
        {"Ti", "Nb"} & set(d["roles"].get("charge_compensator", ()))
    ),
    'anions HAS ONLY "O"': lambda d: d["roles"]["anion"] == ["O"],
    'species HAS "Mn3+"': lambda d: "Mn3+" in d["species"],
    'species HAS ALL "Mn3+","Ti4+"': lambda d: {"Mn3+", "Ti4+"} <= set(d["species"]),
    'flags HAS "releases gas"': lambda d: "releases gas" in d["flags"],
    'decomposition HAS ONLY "LiF","Li2O","MgO","TiO2"': lambda d: (
        {phase["formula"] for phase in d["decomposition"]}
        <= {"LiF", "Li2O", "MgO", "TiO2"}
    ),
    'NOT decomposition HAS ONLY "LiF","Li2O","MgO","TiO2"': lambda d: (
        not {phase["formula"] for phase in d["decomposition"]}
        <= {"LiF", "Li2O", "MgO", "TiO2"}
    ),
    'decomposition HAS "LiF"': lambda d: (
        "LiF" in [phase["formula"] for phase in d["decomposition"]]
    ),
    'label_1473 = "LS"': lambda d: d["label_at"]["1473K"] == "LS",
    'label_1473 != "US"': lambda d: d["label_at"]["1473K"] != "US",
    "open_1473 = TRUE": lambda d: d["open_at"]["1473K"],
    "open_1473 != TRUE": lambda d: not d["open_at"]["1473K"],
    "NOT open_0 = FALSE": lambda d: d["open_at"]["0K"],
    "open_1473 = TRUE AND e_hull_1473 <= 0": lambda d: (
        d["open_at"]["1473K"] and d["energy_above_hull_at"]["1473K"] <= 0
    ),
    "p_stable_1473 > 0.9": lambda d: d["probability_stable_at"]["1473K"] > 0.9,
    "e_hull_other_1473 <= 0": lambda d: d["energy_above_hull_other_at"]["1473K"] <= 0,
    "deviation = 0": lambda _: True,
    "same_cell_as IS UNKNOWN": lambda _: True,
    'family = "hedrx" AND campaign = "synthetic"': lambda _: True,
    'family = "nasicon" OR family = "layered"': lambda _: False,
    'formula STARTS WITH "Li1.2"': lambda _: True,
    'formula CONTAINS "."': lambda _: True,
    'NOT formula CONTAINS "F0"': lambda d: "F0" not in d["formula"],
    'formula ENDS WITH "O2"': lambda d: d["formula"].endswith("O2"),
    "n_metals = 4 OR (n_metals = 5 AND e_hull_1473 <= 0)": lambda d: (
        d["n_metals"] == 4
        or (d["n_metals"] == 5 and d["energy_above_hull_at"]["1473K"] <= 0)
    ),
    'NOT (n_metals = 4 OR elements HAS "Mn")': lambda d: (
        d["n_metals"] != 4 and "Mn" not in d["elements"]
    ),
    'NOT (n_metals = 4 AND elements HAS "Mn")': lambda d: (
        d["n_metals"] != 4 or "Mn" not in d["elements"]
    ),
    "e_hull > 0.02 AND e_hull > 0.06 AND e_hull < 0.1": lambda d: (
        0.06 < d["energy_above_hull"] < 0.1
    ),
    "": lambda _: True,
}
