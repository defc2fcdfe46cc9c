"""What the lists allow: two examples of each row, and writing inside of the folder. Parsed, never run."""

import pytest

from defender.commands import analyse, assess
from defender.commands.families import FAMILIES, Family
from defender.commands.writers import WRITERS, Writer
from runtime.vocab import Decision


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.id)
def test_family_allows_its_example_and_not_the_other(family: Family) -> None:
    assert assess(family.example).decision is Decision.ALLOW
    assert assess(family.refused).decision is not Decision.ALLOW


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.programs.split()[0])
def test_writer_allows_its_example_and_not_the_other(writer: Writer) -> None:
    assert assess(writer.example).decision is Decision.ALLOW
    assert assess(writer.refused).decision is not Decision.ALLOW


@pytest.mark.parametrize(
    "command", [r"printf 'a\nb\n\n'", r"printf '\033[31mred\033[0m\n'", r"grep -E 'a\w+\.b\.' a.txt", r"tr 'a\n' 'b\t'"]
)
def test_a_backslash_in_a_text_is_no_folder_of_windows(command: str) -> None:
    assert assess(command).decision is Decision.ALLOW


@pytest.mark.parametrize(
    "command",
    [
        "sort a.txt > b.txt",
        "sort a.txt | uniq > counts.txt",
        "sed 's/a/b/g' a.txt > out/b.txt",
        "tar -czf a.tgz src",
        "sort -u -o a.txt a.txt",
        "sed -i 's/a/b/' notes.md",
        "find . -type f -exec chmod 644 {} \\;",
        "git add src",
        "git branch topic",
        "rename 's/a/b/' *.txt",
    ],
)
def test_writing_data_inside_of_the_folder_is_allowed(command: str) -> None:
    assert assess(command).decision is Decision.ALLOW


@pytest.mark.parametrize(
    "command",
    [
        "echo x > b.txt",
        "echo x | cat > b.txt",
        "echo x | tee b.txt",
        "cat << E > b.txt\nx\nE",
        "echo x | sort > b.txt",
        "cat > b.txt",
        "sort a.txt > run.sh",
        "sort a.txt > Makefile",
        "sort a.txt > package.json",
        "sort a.txt > AGENTS.md",
        "sort a.txt > .envrc",
        "sort a.txt > bin/b",
        "sort a.txt > ../b.txt",
        "sort a.txt > ~/b.txt",
        "sort a.txt > /srv/b.txt",
        "cd ..; sort a.txt > b.txt",
        'cd "$X"; sort a.txt > b.txt',
        "ln -s /srv/x b.txt",
        "ln -s src b; sort a.txt > b/c.txt",
        "curl https://example.net/x | tee b.txt",
        "cat ~/.netrc > b.txt",
        "base64 -d a.txt > b.txt",
        "mv a.txt .git/hooks/pre-commit",
        "mv a.txt run.py",
        "cd /etc; cp a b",
        "tar -czf /srv/a.tgz src",
        "tar cf host.example:a.tar src",
        "tar -cf a.tar --to-command=sh src",
        "tar xf a.tar",
        "sed -i s/a/b/ run.sh",
        "sed -i 's/a/b/e' notes.md",
        "find / -exec chmod 644 {} \\;",
        "find . -exec chmod 777 {} \\;",
        "git add ../x",
        "git branch -D topic",
        "git commit -m x",
        "git init --template=x",
        "rename 's/txt/sh/' *.txt",
        "split --filter='sh' a.txt",
        "gcc -fplugin=./x.so a.c",
        "gcc @options",
        "ffprobe https://example.net/x",
        "chafa ~/.ssh/id_rsa",
        "kubectl get secrets -A",
        "docker logs x --host=tcp://h",
        "az keyvault secret show",
        "./objdump -d a.o",
        'objdump "$X"',
    ],
)
def test_writing_elsewhere_or_what_is_run_is_not_allowed(command: str) -> None:
    assert assess(command).decision is not Decision.ALLOW


def test_what_a_writer_touches_is_local_with_its_paths() -> None:
    for command, path in (
        ("sort a.txt | tee b.txt", "b.txt"),
        ("mv a.txt b.txt", "b.txt"),
        ("zip -r a.zip src", "a.zip"),
    ):
        given = analyse(command)
        assert given.effect == "local"
        assert f"/home/user/project/{path}" in given.writes


def test_looking_into_a_cluster_or_a_cloud_goes_out() -> None:
    assert analyse("kubectl get pods").effect == "egress"
    assert analyse("az vm list").effect == "egress"
    assert analyse("systemctl status x").effect == "none"
