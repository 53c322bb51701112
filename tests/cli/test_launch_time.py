"""What the commands that look tell of ENIs that came with a launch."""

from nodeeni.sandbox.ec2 import Interface, LaunchInterface
from nodeeni.sandbox.world import NODE_LABELS, SECURITY_GROUP

from .looking import NAME, Site


def launched(site: Site, name: str, zone: str = "a") -> Interface:
    """A node whose launch template brought one, with a subnet of that zone."""
    brought = LaunchInterface(
        subnet=site.world.subnets[zone],
        device_index=2,
        group_ids=(SECURITY_GROUP,),
        tags={"node.k8s.amazonaws.com/no_manage": "true"},
    )
    node, registration = site.world.launch(name, labels=NODE_LABELS, brought=[brought])
    site.world.kube.create(registration)
    return site.world.ec2.interfaces_of(node.instance_id)[-1]


async def test_each_tells_which_is_taken_over_and_at_which_point_one_does_not_fit(site: Site) -> None:
    fits, misfit = launched(site, "n1"), launched(site, "n2", "b")
    subnets = [site.world.subnets[zone].id for zone in "ba"]
    point = f"{misfit.id} is left alone: it is in {subnets[0]}, and the NodeENI's subnets are {subnets[1]}"
    site.apply(adoption="LaunchTime", description=None)
    first, second = (await site.run("plan", "-o", "json")).json["nodes"]
    (step,) = first["now"]
    assert fits.attachment is not None
    assert step["text"].startswith(
        f"adopt {fits.id}, which came with the launch of {fits.attachment.instance_id}, by tagging it with "
    )
    (refused,) = second["refused"]
    assert (second["now"], refused["reason"]) == ([], "NotAdopted")
    assert refused["message"].startswith(point)
    async with site.controller():
        await site.until_attached(1)
        doctor = await site.run("doctor", "-o", "json")
        assert doctor.status == 1
        (found,) = [each for each in doctor.json if each["check"] == f"NodeENI {NAME}"]
        assert found["result"] == "wrong"
        assert found["message"].startswith(f"NotAdopted: n2: {point}")
        assert point in (await site.run("explain", "n2")).out
        assert point in (await site.run("status")).out
        explained = (await site.run("explain", fits.id)).out
        assert "adoption: it came with its instance's launch and was taken over" in explained
