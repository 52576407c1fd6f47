public import GoogleCloud
import Kubernetes

/// How things of ours are recognised: only what carries these labels with the right values is ever changed or deleted.
public enum Ownership {
    /// Kubernetes label of children and nodes: the TrainingJob's name.
    public static let jobLabel = "trainyard.dev/job"
    /// Kubernetes label of children and nodes: the run's id.
    public static let runLabel = "trainyard.dev/run"
    /// Kubernetes label of children: the TrainingJob's uid. Tells a namesake's from ours, also where the owner
    /// reference was taken away (`kubectl delete --cascade=orphan`).
    public static let uidLabel = "trainyard.dev/uid"
    /// Kubernetes label of nodes: the TrainingJob's namespace.
    public static let namespaceLabel = "trainyard.dev/namespace"
    /// Google label: `metadata.uid` of the object that owns the resource.
    public static let ownerLabel = ResourceOwner.ownerLabel
    /// Google label: the cluster's uid.
    public static let clusterLabel = ResourceOwner.clusterLabel
    /// Google label of a bucket: which object it was made for, as `Naming.objectKey`; outlives that object.
    public static let objectLabel = "trainyard-object"
    /// Google label of a Cloud Run service: whether it goes with its object, as `goesWithObject`, or is to stay.
    public static let onDeletionLabel = "trainyard-on-deletion"
    public static let goesWithObject = "delete"
    static let staysWithoutObject = "orphan"
    /// Google label: the run's id.
    public static let googleRunLabel = "trainyard-run"
    /// Removed when nothing of ours is left in the cloud.
    public static let finalizer = "trainyard.dev/finalizer"
    /// `<runID>`: ends that run as Cancelled.
    public static let cancelAnnotation = "trainyard.dev/cancel"
    /// `<revision>`: that revision of a ModelEndpoint may get all requests.
    public static let promoteAnnotation = "trainyard.dev/promote"
    /// `<object's name>`: data may be deleted with the object.
    public static let confirmDeletionAnnotation = "trainyard.dev/confirm-deletion"

    /// The labels of a cloud resource that belongs to an object.
    public static func googleLabels(ownerUID: String, clusterUID: String) -> [String: String] {
        [ownerLabel: ownerUID, clusterLabel: clusterUID]
    }

    /// The labels of a cloud resource that outlives its object: an object that is made again takes it back.
    static func retainableLabels(_ owner: ObjectReference, clusterUID: String) -> [String: String] {
        var labels = googleLabels(ownerUID: owner.uid ?? "", clusterUID: clusterUID)
        labels[objectLabel] = objectKey(owner)
        return labels
    }

    /// Whether a resource with these labels was made in this cluster for an object of that name.
    static func isRetained(_ labels: [String: String]?, for owner: ObjectReference, clusterUID: String) -> Bool {
        labels?[clusterLabel] == clusterUID && labels?[objectLabel] == objectKey(owner)
    }

    private static func objectKey(_ owner: ObjectReference) -> String {
        Naming.objectKey(kind: owner.type.kind, namespace: owner.namespace ?? "", name: owner.name)
    }

    /// Whether a resource with these labels belongs to that object of this cluster.
    public static func isOurs(_ labels: [String: String]?, ownerUID: String, clusterUID: String) -> Bool {
        ResourceOwner(ownerUID: ownerUID, clusterUID: clusterUID)?.owns(labels: labels) ?? false
    }

    /// Whether a node pool belongs to that object of this cluster.
    public static func isOurs(_ pool: NodePool, ownerUID: String, clusterUID: String) -> Bool {
        ResourceOwner(ownerUID: ownerUID, clusterUID: clusterUID)?.owns(pool) ?? false
    }
}

extension ObjectMeta {
    /// The uid; empty only for an object that was never stored, which owns nothing.
    var ownerUID: String { uid ?? "" }

    /// A controller owner reference to this object, as children carry it.
    func ownerReference(to type: ResourceType) -> OwnerReference {
        OwnerReference(
            apiVersion: type.apiVersion, kind: type.kind, name: name, uid: ownerUID, controller: true,
            blockOwnerDeletion: true)
    }
}
