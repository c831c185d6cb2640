#!/usr/bin/env python3
"""The shared library exports what the public headers declare, and modules need none of it."""

import glob
import os
import re
import sys

from tap import BUILD, main, public_api, rule, run

DECLARED = re.compile(r"\b(hf_\w+)\s*\(")
MODULE_ENTRY = "hf_store_module"
# What a module loads in its turn, only if it must.
PARTS = {"holdfast-git-objects.so": "gs_backend_table"}


def symbols(path, *flags):
    code, said = run(["nm", "-D", "-P", *flags, path])
    if code != 0:
        raise RuntimeError(said)
    return {line.split()[0].split("@")[0]: line.split()[1] for line in said.splitlines()}


def declared():
    """Functions that holdfast.h, or what it includes, declares HF_API."""
    text = re.sub(r"^\s*#.*(?:\\\n.*)*$", "", public_api(), flags=re.MULTILINE)
    found = set()
    for declaration in text.split(";"):
        if "HF_API" in declaration:
            found.add(DECLARED.search(declaration[declaration.index("HF_API") :]).group(1))
    return found


def modules():
    return sorted(glob.glob(os.path.join(BUILD, "modules", "*.so")))


@rule("libholdfast.so exports exactly what the public headers declare HF_API")
def exports_are_declared():
    library = os.path.join(BUILD, "libholdfast.so")
    exported = {n for n, kind in symbols(library, "--defined-only").items() if kind in "TDBRWV"}
    return [f"exported, not declared: {n}" for n in sorted(exported - declared())] + [
        f"declared, not exported: {n} (src/libholdfast.map?)" for n in sorted(declared() - exported)
    ]


@rule("there is a module to look at")
def there_are_modules():
    return [] if modules() else [f"none in {BUILD}/modules"]


@rule("a store module exports its entry and nothing else")
def modules_export_their_entry():
    violations = []
    for path in modules():
        found = {n for n, kind in symbols(path, "--defined-only").items() if kind in "TDBRWV"}
        if found != {PARTS.get(os.path.basename(path), MODULE_ENTRY)}:
            violations.append(f"{os.path.basename(path)}: {sorted(found)}")
    return violations


@rule("a store module needs no hf_ symbol of whoever loads it")
def modules_are_whole():
    return [
        f"{os.path.basename(path)}: {name}"
        for path in modules()
        for name in sorted(symbols(path, "--undefined-only"))
        if name.startswith("hf_")
    ]


sys.exit(main())
