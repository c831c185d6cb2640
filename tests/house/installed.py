#!/usr/bin/env python3
"""What `make install` puts where, and that a stranger's program builds with it."""

import fnmatch
import glob
import os
import shutil
import sys
import tempfile

from tap import BUILD, TOP, main, rule, run, tracked

WANTED = [
    "bin/holdfast",
    "bin/git-hold",
    *[name for name in tracked(".h") if name.startswith("include/")],
    "lib*/libholdfast.so",
    "lib*/libholdfast.so.0",
    "lib*/libholdfast.a",
    "lib*/pkgconfig/holdfast.pc",
    "lib*/holdfast/holdfast-store-git.so",
    "share/man/man1/holdfast.1*",
    "share/man/man3/holdfast.3*",
    "share/man/man7/holdfast.7*",
]
PROGRAM = """#include <holdfast/holdfast.h>
#include <stdio.h>
int main(void)
{
	hf_manager *m;
	hf_lease *lease;
	if (hf_open("memory:", NULL, &m, NULL) || hf_acquire(m, "a", NULL, &lease, NULL))
		return 1;
	printf("%s %u\\n", hf_version(), (unsigned)hf_lease_token(lease));
	hf_release(lease, NULL);
	hf_close(m);
	return 0;
}
"""

ROOT = tempfile.mkdtemp(prefix="holdfast-install-")
CODE, SAID = run(
    ["meson", "install", "-C", BUILD, "--no-rebuild"], env=dict(os.environ, DESTDIR=ROOT)
)


def files():
    """Installed files, by their paths under the prefix."""
    found = []
    for folder, _, names in os.walk(ROOT):
        found += [os.path.relpath(os.path.join(folder, name), ROOT) for name in names]
    tops = [f[: -len("bin/holdfast")] for f in found if f.endswith("bin/holdfast")]
    return tops[0] if tops else "", found


def build_with(*flags):
    prefix, _ = files()
    lib = glob.glob(os.path.join(ROOT, prefix, "lib*", "**", "pkgconfig"), recursive=True)
    source = os.path.join(ROOT, "program.c")
    with open(source, "w", encoding="utf-8") as file:
        file.write(PROGRAM)
    env = dict(os.environ, PKG_CONFIG_LIBDIR=":".join(lib), PKG_CONFIG_SYSROOT_DIR=ROOT)
    env["LD_LIBRARY_PATH"] = os.path.dirname(lib[0]) if lib else ""
    modules = " ".join(["--cflags", "--libs", *flags, "holdfast"])
    static = "-static" if flags else ""
    code, said = run(
        ["sh", "-ec", f'gcc {static} "$0" -o "$0.out" $(pkg-config {modules}) && "$0.out"', source],
        env=env,
    )
    return [] if code == 0 else [said]


@rule("make install puts everything where it belongs")
def everything_is_there():
    if CODE != 0:
        return [SAID]
    prefix, found = files()
    inside = [f[len(prefix) :] for f in found]
    return [
        f"missing: {wanted}"
        for wanted in WANTED
        if not any(fnmatch.fnmatch(name, wanted) for name in inside)
    ]


@rule("git-hold is the same program")
def git_hold_is_holdfast():
    prefix, _ = files()
    link = os.path.join(ROOT, prefix, "bin", "git-hold")
    return [] if os.path.islink(link) and os.readlink(link) == "holdfast" else [link]


@rule("a program builds and runs with pkg-config holdfast")
def a_program_builds():
    return build_with()


@rule("a program links statically with pkg-config --static holdfast")
def a_program_links_statically():
    return build_with("--static")


@rule("the manual says the version that the library is")
def one_version():
    _, version = run([os.path.join(BUILD, "holdfast"), "version"])
    number = version.split()[-1] if version.split() else "?"
    violations = []
    for page in sorted(glob.glob(os.path.join(TOP, "man", "*.[1-8]"))):
        with open(page, encoding="utf-8") as file:
            if f'"holdfast {number}"' not in file.read():
                violations.append(f"{os.path.relpath(page, TOP)}: not of holdfast {number}")
    return violations


try:
    RESULT = main()
finally:
    shutil.rmtree(ROOT, ignore_errors=True)
sys.exit(RESULT)
