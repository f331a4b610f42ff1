"""Pixels coded exactly, by adaptive predictions in integers (format/SPEC.md, section 9)."""
