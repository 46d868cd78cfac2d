"""The benchmark of quiet footage, and how footage is made harder for it."""
