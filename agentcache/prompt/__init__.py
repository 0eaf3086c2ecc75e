"""From what an author declares to the bytes of a request: sections, rendering, layout, breakpoints, wire."""
