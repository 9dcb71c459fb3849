"""Parts of a document that a command writes, between marks that stay: `<!-- NAME: begin -->`, `<!-- NAME: end -->`."""


def with_part(text: str, name: str, content: str) -> str:
    """The document with this between the marks of `name`. Raises ValueError where it has none."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, _, rest = text.partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        raise ValueError(f"document: the marks {begin} and {end} are not in it: put them where the table goes")
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"
