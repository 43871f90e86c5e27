"""What can go wrong in an export. Every message is one line that says what to do."""


class ExportError(Exception):
    """An export that cannot go on: a bad source, an unsupported architecture, an artefact beyond its bounds."""
