"""Search the stored people of a run for a person, and show why two tracklets are linked."""
