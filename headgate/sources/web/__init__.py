"""Web pages: asked for as their hosts want it, and cut into records by CSS selectors."""
