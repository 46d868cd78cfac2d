"""The marked tables of the documentation: `python -m docs.tables`, or `make tables`, regenerates them.

A table stands between `<!-- table: NAME -->` and `<!-- end -->` in docs/*.md and the model cards.  Measured tables come
from docs/results (`measured`), those of config keys, recipe keys, command options and data sets from the code
(`from_code`); `pages` puts them in their places.
"""

from collections.abc import Iterator, Sequence

Rows = Iterator[Sequence[object]]  # of one table, the heading first
