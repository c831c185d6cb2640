"""A folder to try things in as a reader would: a git repository, the built command."""

import contextlib
import os
import shutil
import tempfile

from tap import BUILD, TOP, run

DEPLOY = "#!/bin/sh\necho deploying with token $HOLDFAST_TOKEN\n"


def write_script(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, 0o755)


@contextlib.contextmanager
def scratch():
    """(folder to work in, environment); the folder is removed afterwards."""
    folder = tempfile.mkdtemp(prefix="holdfast-example-")
    try:
        work, commands = os.path.join(folder, "work"), os.path.join(folder, "bin")
        for name in ("work", "bin", "run", "state"):
            os.mkdir(os.path.join(folder, name), 0o700)
        for name in ("holdfast", "git-hold"):
            os.symlink(os.path.join(BUILD, "holdfast"), os.path.join(commands, name))
        env = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("HOLDFAST_", "GIT_", "XDG_"))
        }
        env.update(
            PATH=commands + ":" + env["PATH"],
            HOME=folder,
            XDG_RUNTIME_DIR=os.path.join(folder, "run"),
            XDG_STATE_HOME=os.path.join(folder, "state"),
            GIT_CONFIG_NOSYSTEM="1",
        )
        for setting in ("user.name=reader", "user.email=reader@example.org"):
            run(["git", "config", "--global", *setting.split("=")], env=env)
        write_script(os.path.join(work, "deploy.sh"), DEPLOY)
        setup = "git init -q . && git add . && git commit -q -m start"
        code, said = run(["sh", "-ec", setup], cwd=work, env=env)
        if code != 0:
            raise RuntimeError(said)
        yield work, env
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_shell(text):
    with scratch() as (work, env):
        return run(["timeout", "60", "sh", "-ec", text], cwd=work, env=env)


def run_c(text):
    """Compile a whole program against the built library, and run it."""
    with scratch() as (work, env):
        with open(os.path.join(work, "example.c"), "w", encoding="utf-8") as file:
            file.write(text)
        code, said = run(
            ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-o", "example", "example.c"]
            + ["-I", os.path.join(TOP, "include")]
            + ["-L", BUILD, "-lholdfast", f"-Wl,-rpath,{BUILD}"],
            cwd=work,
            env=env,
        )
        if code != 0:
            return code, said
        # Where a program that is not installed looks for stores: beside itself.
        os.symlink(os.path.join(BUILD, "modules"), os.path.join(work, "modules"))
        return run(["timeout", "60", "./example"], cwd=work, env=env)
