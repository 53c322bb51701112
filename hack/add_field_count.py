"""Adds a field to a scratch copy of the tree, and counts what that takes: files by hand, tests that fail.

`hack/add_field_count.py [arguments of pytest]`, by default with the tests that meet fields. The field is
`enaExpress`, an attribute of the attachment; a test of its own edits it on a live NodeENI.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# By file: what stands there, and what is to follow it (or, with a `-` before it, to come before it).
EDITS: dict[str, list[tuple[str, str]]] = {
    "src/nodeeni/api/v1alpha1.py": [
        (
            'source/destination check of the ENI.")] = True\n',
            '    ena_express: Annotated[bool, schema("ENA Express of the ENI\'s attachment.")] = False\n',
        )
    ],
    "src/nodeeni/ec2/types.py": [
        (
            "-class NetworkInterfaceAttachmentShape(Shape):\n",
            "class AttachmentEnaSrdSpecificationShape(Shape):\n    ena_srd_enabled: bool = False\n\n\n",
        ),
        (
            "    network_card_index: int = 0\n    delete_on_termination: bool = False\n",
            "    ena_srd_specification: AttachmentEnaSrdSpecificationShape | None = None\n",
        ),
        (
            '    status: str = "attached"\n    delete_on_termination: bool = False\n',
            "    ena_express: bool = False\n",
        ),
        (
            "        delete_on_termination=shown.delete_on_termination,\n",
            """\
        ena_express=bool(
            shown.ena_srd_specification and shown.ena_srd_specification.ena_srd_enabled
        ),
""",
        ),
    ],
    "src/nodeeni/ec2/attributes.py": [
        (
            "-# In the order in which they are put right.\n",
            """\
ENA_EXPRESS: Attribute[bool] = Attribute(
    name="enaExpress",
    label="ENA Express",
    fields=("ena_express",),
    shown_as="ena_express",
    of_attachment=True,
    made_with=False,
    modify=lambda value, _: {"EnaSrdSpecification": {"EnaSrdEnabled": value}},
    printed=_truth,
    refused=("UnsupportedOperation",),
)

""",
        ),
        ("(DELETE_ON_TERMINATION, GROUPS, DESCRIPTION, SOURCE_DEST_CHECK", ", ENA_EXPRESS"),
    ],
    "src/nodeeni/sandbox/ec2/model.py": [
        (
            "    attached_at: str\n",
            """\
    ena_express: Annotated[
        bool | None, Attribute("EnaSrdSpecification.EnaSrdEnabled", "enaSrdSpecification.enaSrdEnabled")
    ] = None
""",
        )
    ],
}
OWN_TEST = """\
from .conftest import Stage


async def test_ena_express_is_an_edit_in_place(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
        (before,) = stage.ours()
        stage.apply(enaExpress=True)
        await stage.until(lambda: stage.ours()[0].attachment.ena_express)
        await stage.until(lambda: stage.status().get("observedGeneration") == 2)
        await stage.stays(lambda: stage.ours()[0].attachment.ena_express)
    assert [i.id for i in stage.ours()] == [before.id]
    sent = [call for call in stage.ec2.calls if "EnaSrdSpecification.EnaSrdEnabled" in call.parameters]
    assert [call.code for call in sent] == ["ok"], "one call, since it is seen in EC2's answers"
"""
OWN = "tests/controller/test_ena_express.py"
TESTS = ["tests/api", "tests/plan", "tests/ec2", "tests/sandbox/ec2", "tests/contract/test_answers.py"]
TESTS += ["tests/contract/test_definitions_recorded.py", "tests/contract/test_kubectl_session.py", OWN]


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="nodeeni-field-") as place:
        copy = Path(place)
        _copy(copy)
        lines = [_edit(copy / name, edits) for name, edits in EDITS.items()]
        (copy / OWN).write_text(OWN_TEST)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "PATH": path}
        for made in ("hack/generate.py", "hack/render.py"):
            subprocess.run([sys.executable, made], cwd=copy, env=environment, check=True)
        for name, count in zip(EDITS, lines, strict=True):
            print(f"by hand  {name}: {count} lines", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2"]
        tests = [*command, *(arguments or TESTS)]
        return subprocess.run(tests, cwd=copy, env=environment, check=False).returncode


def _copy(to: Path) -> None:
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)


def _edit(file: Path, edits: list[tuple[str, str]]) -> int:
    """Lines added or changed."""
    text = file.read_text()
    for there, added in edits:
        anchor = there.removeprefix("-")
        assert text.count(anchor) == 1, f"{file}: {anchor!r} stands there {text.count(anchor)} times"
        text = text.replace(anchor, added + anchor if there != anchor else anchor + added)
    file.write_text(text)
    return sum(added.count("\n") or 1 for _, added in edits)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
