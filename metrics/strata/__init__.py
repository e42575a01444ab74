"""Strata: all predictions of a version split by (predicted class, confidence bin, what feedback says), with the audit in each.

- `make.py`: `make_strata(predictions, items)` -> version -> `Strata`, the finest ones, from counts and items;
  `make_strata_of_cells(cells)` the same from counts alone, where what feedback says is not looked at.
- `strata.py`: `Strata`, one row each: how many predictions N_h (`size`), how many audit labels (`n`), how many of them right,
  and their weights. `merge(groups)` adds rows up.
- `collapse.py`: `group_strata(strata)` -> for each row the number of the group that it is collapsed into, so that each group
  has at least 20 audit labels. The groups are chosen without looking at what an audit label says.
- `shares.py`: `estimate_shares(strata)` -> for each row p_h, the share right of the group that it is in, with two more of
  either kind, so that none is certain.

Neyman allocation needs N_h and the spread S_h = sqrt(p_h (1 - p_h)) of each (predicted class, confidence bin): N_h is what the
counts of the day to be drawn say, p_h is `by_cell(strata, estimate_shares(strata))` of an earlier evaluation's window, a
dictionary of contract.samples.Cell; a cell that is not in it was never seen. Feedback has not come yet when a sample is
drawn, so strata of `make_strata_of_cells` are the ones to use.
"""
