"""The questions that clients post and nothing stores: may I (`kubectl auth can-i`), who am I. On this server
everybody may do everything.
"""

from collections.abc import Callable

from nodeeni.sandbox.kube.resources import Resource
from nodeeni.sandbox.kube.status import Object

USER: Object = {"username": "kubernetes-admin", "groups": ["system:masters", "system:authenticated"]}

RESOURCES: tuple[Resource, ...] = tuple(
    Resource(group, "v1", plural, kind, kind.lower(), namespaced=namespaced, verbs=("create",))
    for group, plural, kind, namespaced in (
        ("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False),
        ("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview", False),
        ("authorization.k8s.io", "localsubjectaccessreviews", "LocalSubjectAccessReview", True),
        ("authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview", False),
        ("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview", False),
    )
)

_ALL = ["*"]
_STATUS: dict[str, Callable[[], Object]] = {
    "SelfSubjectAccessReview": lambda: {"allowed": True},
    "SubjectAccessReview": lambda: {"allowed": True},
    "LocalSubjectAccessReview": lambda: {"allowed": True},
    "SelfSubjectRulesReview": lambda: {
        "resourceRules": [{"verbs": _ALL, "apiGroups": _ALL, "resources": _ALL}],
        "nonResourceRules": [{"verbs": _ALL, "nonResourceURLs": _ALL}],
        "incomplete": False,
    },
    "SelfSubjectReview": lambda: {"userInfo": USER},
}


def answered(resource: Resource, review: Object) -> Object:
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {},
        **{k: v for k, v in review.items() if k == "spec"},
        "status": _STATUS[resource.kind](),
    }
