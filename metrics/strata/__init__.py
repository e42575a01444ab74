"""Strata: all predictions of a version split by (predicted class, confidence bin, what feedback says), with the audit in each.

- `make.py`: `make_strata(predictions, items)` -> version -> `Strata`, the finest ones, from counts and items.
- `strata.py`: `Strata`, one row each: how many predictions N_h (`size`), how many audit labels (`n`), how many of them right,
  and their weights. `merge(groups)` adds rows up.
- `collapse.py`: `group_strata(strata)` -> for each row the number of the group that it is collapsed into, so that each group
  has at least 20 audit labels. The groups are chosen without looking at what an audit label says.
- `assessed.py`: strata of held-out rows in place of an audit's, for a version that has no labels.
"""
