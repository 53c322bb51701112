"""The writes: create, update, patch, apply and delete, each as one pass from what a client sent to what is
stored. HTTP is not known here.
"""

from dataclasses import replace
from typing import Any

import msgspec

from nodeeni.sandbox.kube import admission, cel, crd, kinds, managed, metadata, patches, schema
from nodeeni.sandbox.kube.managed import Manager, Owners
from nodeeni.sandbox.kube.resources import Registry, Resource
from nodeeni.sandbox.kube.schema import ABSENT
from nodeeni.sandbox.kube.status import (
    ApiError,
    Cause,
    Object,
    already_exists,
    bad_request,
    conflict,
    forbidden,
    invalid,
    invalid_value,
    not_found,
    required,
    unsupported_media_type,
)
from nodeeni.sandbox.kube.storage import Entry, Store
from nodeeni.sandbox.kube.targets import Deletion, Options, Target, Written

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"


class Operations:
    def __init__(self, store: Store, registry: Registry) -> None:
        self.store = store
        self.registry = registry
        self.rules: dict[tuple[str, str, str], cel.Rules] = {}

    def get(self, target: Target) -> Entry:
        entry = self.store.get(target.storage, target.key)
        if entry is None:
            raise self._missing(target)
        return entry

    def create(self, target: Target, obj: Object, options: Options) -> Written:
        """`target.key` has the namespace; the name comes from the object."""
        obj = admission.incoming(target, obj)
        if obj["metadata"].get("resourceVersion"):
            raise ApiError(500, "", "resourceVersion should not be set on objects to be created")
        return self._create(replace(target, key=(target.key[0], "")), obj, options, owners=None)

    def _create(self, target: Target, obj: Object, options: Options, owners: Owners | None) -> Written:
        resource, namespace = target.resource, target.key[0]
        self._check_namespace(resource, namespace)
        obj = {**obj, "metadata": metadata.fresh(resource, obj, namespace)}
        target = replace(target, key=(namespace, obj["metadata"].get("name") or ""))
        obj = admission.settled(resource, obj, None, options)
        sent = obj
        stored = kinds.prepared(resource, obj)
        obj = admission.as_read(resource, stored)
        stored_otherwise = obj != stored
        admission.check(resource, self._rules(resource), obj, None)
        if self.store.get(target.storage, target.key) is not None:
            raise already_exists(resource.plural, resource.group, target.key[1])
        obj = self._established(resource, obj)
        if owners is None:
            sent = {k: v for k, v in sent.items() if not (k == "status" and resource.status)}
            changed, _ = managed.differences(resource.schema, None, sent)
            me = Manager(options.manager, "Update", resource.api_version)
            owners = managed.after_update({}, changed, set(), me, metadata.timestamp())
        written = self._commit(target, managed.write(obj, owners), options)
        entry = self.store.get(target.storage, target.key)
        if entry is not None:
            entry.stored_otherwise = stored_otherwise
        return Written(written, created=True)

    def update(self, target: Target, obj: Object, options: Options) -> Written:
        resource = target.resource
        obj = admission.incoming(target, obj)
        name = obj["metadata"].get("name")
        if not name:
            raise bad_request("name must be provided")
        if name != target.key[1]:
            raise _other_name(name, target.key[1])
        entry = self.store.get(target.storage, target.key)
        if entry is None:
            if resource.create_on_update and not target.subresource:
                return self._create(target, obj, options, owners=None)
            raise self._missing(target)
        uid = obj["metadata"].get("uid")
        if uid and uid != entry.obj["metadata"]["uid"]:
            why = _other_uid(uid, entry.obj["metadata"]["uid"])
            raise conflict(resource.plural, resource.group, name, why)
        if not obj["metadata"].get("resourceVersion") and not resource.unconditional_update:
            cause = invalid_value("metadata.resourceVersion", 0, "must be specified for an update")
            raise invalid(resource.plural, resource.group, name, [cause])
        return Written(self._replace(target, entry, obj, options))

    def patch(self, target: Target, content_type: str, body: Any, options: Options) -> Written:
        """`body` is the decoded patch: an object, or for a JSON patch a list of operations."""
        if content_type == patches.APPLY_PATCH:
            return self._apply(target, body, options)
        resource = target.resource
        if content_type not in accepted_patches(resource):
            raise unsupported_media_type(accepted_patches(resource))
        entry = self.get(target)
        live = kinds.served_form(resource, entry.obj)
        if content_type == patches.MERGE_PATCH:
            changed = patches.merge_patch(live, body)
        elif content_type == patches.JSON_PATCH:
            changed = patches.json_patch(live, body)
        else:
            changed = patches.strategic_patch(resource.schema, live, body)
        changed = admission.incoming(target, changed)
        if changed["metadata"].get("name") != target.key[1]:
            raise _other_name(changed["metadata"].get("name", ""), target.key[1])
        return Written(self._replace(target, entry, changed, options))

    def _apply(self, target: Target, wanted: Object, options: Options) -> Written:
        resource, name = target.resource, target.key[1]
        if not options.manager:
            cause = required("fieldManager", "is required for apply patch")
            raise invalid("PatchOptions", "meta.k8s.io", "", [cause])
        wanted = admission.incoming(target, wanted)
        if wanted["metadata"].get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        if wanted["metadata"].setdefault("name", name) != name:
            raise _other_name(wanted["metadata"]["name"], name)
        unknown: list[str] = []
        schema.settle(resource.schema, wanted, ABSENT, "", unknown)
        if unknown:
            listed = ", ".join(f".{path}: field not declared in schema" for path in unknown)
            which = f"{target.key[0]}/{name}; {resource.api_version}, Kind={resource.kind}"
            message = f"failed to create typed patch object ({which}): {listed}"
            raise ApiError(500, "", message)
        entry = self.store.get(target.storage, target.key)
        me = Manager(options.manager, "Apply", resource.api_version, target.subresource)
        now = metadata.timestamp()
        if entry is None:
            if target.subresource:
                raise self._missing(target)
            made = managed.apply(resource.schema, None, wanted, me, now, force=True)
            return self._create(target, made.obj, options, made.owners)
        version = wanted["metadata"].get("resourceVersion")
        if version and version != str(entry.revision):
            raise conflict(resource.plural, resource.group, name)
        if target.subresource == "status":
            wanted = {k: v for k, v in wanted.items() if k in ("apiVersion", "kind", "metadata", "status")}
        elif resource.status:
            wanted = {k: v for k, v in wanted.items() if k != "status"}
        made = managed.apply(resource.schema, entry.obj, wanted, me, now, force=options.force)
        obj = made.obj
        if options.manager == "kubectl" and managed.last_applied(entry.obj) is not None:
            obj = _noting(obj, wanted)
        return Written(self._replace(target, entry, obj, options, made.owners))

    def _replace(
        self, target: Target, entry: Entry, obj: Object, options: Options, owners: Owners | None = None
    ) -> Object:
        """Stores the object over `entry`. `owners` are given by an apply, else worked out."""
        resource, old = target.resource, entry.obj
        version = obj["metadata"].get("resourceVersion")
        if version and version != str(entry.revision):
            raise conflict(resource.plural, resource.group, target.key[1])
        uid = obj["metadata"].get("uid")
        if uid and uid != old["metadata"]["uid"]:
            cause = invalid_value("metadata.uid", uid, "field is immutable")
            raise invalid(resource.kind, resource.group, target.key[1], [cause])
        obj = _scoped(target, old, obj)
        obj = {**obj, "metadata": metadata.carried(old["metadata"], obj["metadata"])}
        obj = admission.settled(resource, obj, old, options)
        admission.check(resource, self._rules(resource), obj, old)
        if owners is None:
            owners = self._owners_after(target, old, obj, options)
        obj = self._established(resource, obj)
        if resource.generation and not target.subresource and _spec_changed(resource, old, obj):
            counted = {**obj["metadata"], "generation": old["metadata"].get("generation", 0) + 1}
            obj = {**obj, "metadata": counted}
        obj = managed.write(obj, owners)
        if obj == old and not entry.stored_otherwise:
            return old
        return self._commit(target, obj, options)

    def _owners_after(self, target: Target, old: Object, obj: Object, options: Options) -> Owners:
        resource = target.resource
        fields = obj["metadata"].get("managedFields")
        if fields is not None and fields != old["metadata"].get("managedFields"):
            before = managed.read(obj)
        else:
            before = managed.read(old)
        changed, removed = managed.differences(resource.schema, old, obj)
        me = Manager(options.manager, "Update", resource.api_version, target.subresource)
        return managed.after_update(before, changed, removed, me, metadata.timestamp())

    def _commit(self, target: Target, obj: Object, options: Options) -> Object:
        """Stores the object, or removes it if it was waiting for its last finalizer."""
        if options.dry_run:
            return obj
        meta = obj["metadata"]
        if meta.get("deletionTimestamp") and not meta.get("finalizers") and not _holds(obj):
            return self.store.remove(target.storage, target.key, obj).obj
        return self.store.put(target.storage, target.key, obj).obj

    def delete(self, target: Target, deletion: Deletion, options: Options) -> tuple[Object, bool]:
        """The object's last state, and whether it is gone already (else finalizers hold it)."""
        resource, entry = target.resource, self.get(target)
        meta = entry.obj["metadata"]
        self._check_preconditions(target, entry, deletion)
        finalizers = list(meta.get("finalizers") or ())
        wanted = {"Foreground": FOREGROUND, "Orphan": ORPHAN}.get(deletion.propagation)
        if wanted and wanted not in finalizers and not meta.get("deletionTimestamp"):
            finalizers.append(wanted)
        is_namespace = resource.plural == "namespaces" and not resource.group
        if not finalizers and not is_namespace:
            if options.dry_run:
                return entry.obj, True
            return self.store.remove(target.storage, target.key).obj, True
        if meta.get("deletionTimestamp"):
            return entry.obj, False
        marked: Object = {
            **entry.obj,
            "metadata": {
                **meta,
                "deletionTimestamp": metadata.timestamp(),
                "deletionGracePeriodSeconds": 0,
            },
        }
        if finalizers:
            marked["metadata"]["finalizers"] = finalizers
        if resource.generation:
            marked["metadata"]["generation"] = meta.get("generation", 0) + 1
        if is_namespace:
            marked["status"] = {**(entry.obj.get("status") or {}), "phase": "Terminating"}
        return self._commit(target, marked, options), False

    def _check_preconditions(self, target: Target, entry: Entry, deletion: Deletion) -> None:
        resource, name = target.resource, target.key[1]
        uid = entry.obj["metadata"]["uid"]
        called = resource.kind if resource.custom else resource.plural
        if deletion.uid is not None and deletion.uid != uid:
            why = (
                f"the UID in the precondition ({deletion.uid}) does not match the UID in record ({uid}). "
                "The object might have been deleted and then recreated"
            )
            raise conflict(called, resource.group, name, why)
        if deletion.resource_version is not None and deletion.resource_version != str(entry.revision):
            why = (
                f"the ResourceVersion in the precondition ({deletion.resource_version}) does not match the "
                f"ResourceVersion in record ({entry.revision}). The object might have been modified"
            )
            raise conflict(called, resource.group, name, why)

    def _rules(self, resource: Resource) -> cel.Rules | None:
        return self.rules.get((resource.group, resource.version, resource.plural))

    def _established(self, resource: Resource, obj: Object) -> Object:
        if resource.plural != "customresourcedefinitions" or obj["metadata"].get("deletionTimestamp"):
            return obj
        finalizers = obj["metadata"].get("finalizers") or []
        if crd.CLEANUP not in finalizers:
            obj = {**obj, "metadata": {**obj["metadata"], "finalizers": [*finalizers, crd.CLEANUP]}}
        return {**obj, "status": crd.established(obj, metadata.timestamp())}

    def _check_namespace(self, resource: Resource, namespace: str) -> None:
        if not resource.namespaced:
            return
        entry = self.store.get("namespaces", ("", namespace))
        if entry is None:
            raise not_found("namespaces", "", namespace)
        if entry.obj["metadata"].get("deletionTimestamp"):
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            cause = Cause(
                "NamespaceTerminating", f"namespace {namespace} is being terminated", "metadata.namespace"
            )
            raise forbidden(resource.plural, resource.group, "", why, [cause])

    def _missing(self, target: Target) -> ApiError:
        return not_found(target.resource.plural, target.resource.group, target.key[1])


def accepted_patches(resource: Resource) -> list[str]:
    accepted = [patches.JSON_PATCH, patches.MERGE_PATCH]
    if not resource.custom:
        accepted.append(patches.STRATEGIC_PATCH)
    return [*accepted, patches.APPLY_PATCH]


def _scoped(target: Target, old: Object, obj: Object) -> Object:
    """The object with what this endpoint does not write put back: status on the main one, all but status on
    the status one (built-in types keep metadata changes there)."""
    if not target.resource.status:
        return obj
    if not target.subresource:
        rest = {k: v for k, v in obj.items() if k != "status"}
        return {**rest, "status": old["status"]} if "status" in old else rest
    kept = dict(old)
    if not target.resource.custom:
        kept["metadata"] = obj["metadata"]
    elif "managedFields" in obj["metadata"]:
        kept["metadata"] = {**old["metadata"], "managedFields": obj["metadata"]["managedFields"]}
    kept.pop("status", None)
    if obj.get("status") is not None:
        kept["status"] = obj["status"]
    return kept


def _spec_changed(resource: Resource, old: Object, new: Object) -> bool:
    ignored = ("metadata", "status") if resource.status else ("metadata",)
    return {k: v for k, v in old.items() if k not in ignored} != {
        k: v for k, v in new.items() if k not in ignored
    }


def _noting(obj: Object, applied: Object) -> Object:
    """An apply by kubectl keeps the annotation of client-side applies in step with what it applied."""
    annotations = {**obj["metadata"]["annotations"]}
    annotations[managed.LAST_APPLIED] = msgspec.json.encode(applied).decode() + "\n"
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}


def _other_name(given: str, in_url: str) -> ApiError:
    return bad_request(f"the name of the object ({given}) does not match the name on the URL ({in_url})")


def _other_uid(wanted: str, found: str) -> str:
    return f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"


def _holds(obj: Object) -> bool:
    """Whether spec.finalizers (of namespaces) keep the object."""
    return obj["kind"] == "Namespace" and bool((obj.get("spec") or {}).get("finalizers"))
