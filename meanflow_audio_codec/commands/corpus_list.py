"""The list of public corpora that `meanflow-codec data --download` knows."""

import json
import sys


def list_corpora(*, as_json: bool) -> None:
    """Print name, parts with their sizes, licence and terms of every corpus, as text or as JSON."""
    from meanflow_audio_codec.datasets.corpora import corpus_names, find_corpus

    corpora = [find_corpus(name) for name in corpus_names()]
    if as_json:
        records = [
            {
                "name": corpus.name,
                "title": corpus.title,
                "licence": corpus.licence,
                "terms": corpus.terms,
                "parts": {part: archive.size for part, archive in corpus.parts.items()},
                "default_parts": corpus.default_parts,
            }
            for corpus in corpora
        ]
        sys.stdout.write(json.dumps(records, indent=2) + "\n")
        return
    # Lines, not a table with columns: a licence must not be cut off at the width of a terminal.
    for corpus in corpora:
        print(f"{corpus.name}: {corpus.title}. {corpus.licence}: {corpus.terms}.")
        for part, archive in corpus.parts.items():
            usual = "*" if part in corpus.default_parts else " "
            print(f"  {usual} {part:24}{archive.size / 1e9:6.1f} GB  {archive.file_name}")
    print("* is fetched by --download; --part chooses others")
