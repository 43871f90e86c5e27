"""The Responses API, stateless: items in, typed events or one object out."""
