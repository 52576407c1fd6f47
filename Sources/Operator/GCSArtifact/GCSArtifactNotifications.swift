import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes

/// Messages to Pub/Sub about what happens at the artifact's place. Ours carry the artifact's uid as an attribute; others
/// of the bucket are nobody's business here.
enum GCSArtifactNotifications {
    typealias Observation = GCSArtifactObservation
    typealias Decision = GCSArtifactDecision

    static let condition = "NotificationsConfigured"
    static let ownerAttribute = "trainyard-uid"
    static let nameAttribute = "trainyard-name"
    static let retryInterval: Duration = .seconds(60)

    /// The spec's, as Cloud Storage keeps them.
    static func wanted(_ spec: GCSArtifact.Spec, uid: String) -> [BucketNotification] {
        (spec.notifications ?? []).map { notification in
            let prefix = (spec.prefix ?? "") + (notification.prefix ?? "")
            return BucketNotification(
                topic: "//pubsub.googleapis.com/\(notification.topic)", eventTypes: [notification.event.apiValue],
                objectNamePrefix: prefix.isEmpty ? nil : prefix,
                customAttributes: [ownerAttribute: uid, nameAttribute: notification.name])
        }
    }

    /// What is missing, and ids of what is ours and not wanted, or there twice.
    static func difference(
        _ found: [BucketNotification], _ wanted: [BucketNotification], uid: String
    ) -> (missing: [BucketNotification], surplus: [String]) {
        var missing = wanted
        var surplus: [String] = []
        for notification in found where notification.customAttributes?[ownerAttribute] == uid {
            if let index = missing.firstIndex(where: { isSame($0, notification) }) {
                missing.remove(at: index)
            } else if let id = notification.id {
                surplus.append(id)
            }
        }
        return (missing, surplus)
    }

    private static func isSame(_ wanted: BucketNotification, _ found: BucketNotification) -> Bool {
        wanted.topic == found.topic && Set(wanted.eventTypes ?? []) == Set(found.eventTypes ?? [])
            && (wanted.objectNamePrefix ?? "") == (found.objectNamePrefix ?? "")
            && wanted.customAttributes == found.customAttributes
    }

    /// Topics of other projects would carry names out of this one.
    static func problem(_ observation: Observation) -> String? {
        guard let notifications = observation.spec.notifications, !notifications.isEmpty else { return nil }
        if observation.spec.bucket?.isManaged == false || observation.referenced?.isObserved == true {
            return "notifications of an observed bucket are not managed"
        }
        let project = observation.configuration.cluster.project
        let other = notifications.first { !$0.topic.hasPrefix("projects/\(project)/topics/") }
        return other.map {
            "notifications[\($0.name)].topic is not in the cluster's project \(project)"
        }
    }

    // MARK: Rules

    /// The object stays ready.
    static func configuring(_ observation: Observation) -> Decision? {
        guard let found = observation.notifications,
            observation.notificationFailure == nil || observation.isNotificationRetryDue,
            let bucket = observation.ownBucket
        else { return nil }
        let difference = difference(found, wanted(observation.spec, uid: observation.uid), uid: observation.uid)
        guard !difference.missing.isEmpty || !difference.surplus.isEmpty else { return nil }
        return Decision(
            steps: [.cloud(.setNotifications(of: bucket.name, owner: observation.owner))], status: observation.status,
            situation: .ready, next: .after(.zero))
    }

    /// While deleting: ours go before the finalizer does.
    static func removing(_ observation: Observation) -> Decision? {
        guard let found = observation.notifications, let bucket = observation.ownBucket,
            !difference(found, [], uid: observation.uid).surplus.isEmpty
        else { return nil }
        return Decision(
            steps: [.cloud(.setNotifications(of: bucket.name, owner: observation.owner))], status: observation.status,
            situation: .deleting("removing notifications"), next: .after(.zero))
    }

    /// `NotificationsConfigured`: there exactly while there may be some of ours, so that they are looked for.
    static func verdict(
        _ observation: Observation
    ) -> (isTrue: Bool, reason: GCSArtifactReason, message: String)? {
        guard let found = observation.notifications else { return nil }
        let wanted = wanted(observation.spec, uid: observation.uid)
        let difference = difference(found, wanted, uid: observation.uid)
        // Where the list may not be read, nobody knows.
        if wanted.isEmpty, difference.surplus.isEmpty, observation.notificationFailure == nil { return nil }
        if let failure = observation.notificationFailure { return (false, failure.reason, failure.message) }
        guard difference.missing.isEmpty, difference.surplus.isEmpty else {
            return (false, .configuring, "\(difference.missing.count) to make, \(difference.surplus.count) to remove")
        }
        return (true, .configured, "\(wanted.count) as described")
    }
}
