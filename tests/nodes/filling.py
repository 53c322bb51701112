"""Makes the image of a machine on a disk that is full once the machine has booted so far that it writes:
what is told, and after how many seconds; then on one that is not."""

import asyncio
import subprocess
import time

from nodeeni.sandbox.machines.images import Image, ImageError, built, cache

WRITTEN = 4 << 20  # bytes on the disk of the machine: it mounts its file systems


async def main() -> None:
    making = asyncio.create_task(built(Image(), lambda _text: None))
    while not making.done() and await asyncio.to_thread(_written) < WRITTEN:  # noqa: ASYNC110  another program writes
        await asyncio.sleep(0.05)
    await asyncio.to_thread(_resize, "full")
    began = time.monotonic()
    try:
        await making
    except ImageError as error:
        print(error)
    print(f"{time.monotonic() - began:.1f}")
    await asyncio.to_thread(_resize, "large")
    made = await built(Image(), lambda _text: None)
    print(made.directory)


def _written() -> int:
    return sum(disk.stat().st_blocks * 512 for disk in cache().glob("making-*/disk.qcow2"))


def _resize(to: str) -> None:
    place = cache().parents[1]
    used = int(subprocess.check_output(("df", "--output=used", "-k", place), text=True).split()[1])
    size = f"{used + 64}k" if to == "full" else "7g"
    subprocess.run(("mount", "-o", f"remount,size={size}", place), check=True)


if __name__ == "__main__":
    asyncio.run(main())
