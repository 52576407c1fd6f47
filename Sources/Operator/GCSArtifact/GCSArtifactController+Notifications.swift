import ControllerRuntime
import GoogleCloud
import HTTP
import Kubernetes
import Telemetry

extension GCSArtifactController {
    /// The bucket's notifications, where some of the object's are wanted or may be there.
    func observeNotifications(_ observation: inout GCSArtifactObservation) async throws(APIError) {
        let artifact = observation.artifact
        let mayHave = artifact.status?.conditions.first(ofType: GCSArtifactNotifications.condition) != nil
        guard mayHave || artifact.spec.notifications?.isEmpty == false else { return }
        if artifact.metadata.isDeleting {
            guard let name = artifact.status?.uri.flatMap({ StorageURI($0) })?.bucket else { return }
            observation.bucket = try await bucket(name, known: artifact.status?.bucket)
        }
        guard let bucket = observation.ownBucket else { return }
        do throws(APIError) {
            observation.notifications = try await storage.notifications(in: bucket.name)
        } catch {
            let isRefusal = error.code == .forbidden && !artifact.metadata.isDeleting
            guard error.code == .notFound || isRefusal else { throw error }
            // A bucket that went meanwhile notifies nobody.
            observation.notifications = []
            if isRefusal { observation.notificationFailure = Self.notificationObstacle(error) }
        }
        guard let uid = artifact.metadata.uid, observation.notificationFailure == nil else { return }
        let failure = memory.notificationFailure(
            of: uid, every: GCSArtifactNotifications.retryInterval, now: clock.uptime)
        observation.notificationFailure = failure?.obstacle
        observation.isNotificationRetryDue = failure?.isDue == true
    }

    private static func notificationObstacle(_ error: APIError) -> VersionObstacle? {
        switch error.code {
        case .forbidden:
            VersionObstacle(
                reason: .permissionDenied,
                message:
                    "\(error.message) (the account needs storage.buckets.update, and Cloud Storage's service agent "
                    + "roles/pubsub.publisher on the topic)")
        case .notFound, .invalid: VersionObstacle(reason: .notificationRefused, message: error.message)
        default: nil
        }
    }

    /// Makes the bucket's notifications that carry the object's uid the ones that it asks for, read live.
    func setNotifications(of name: String, _ owner: ObjectReference) async throws(APIError) {
        let live = try await kubernetes.find(GCSArtifact.self, namespace: owner.namespace, name: owner.name)
        guard let live, let uid = live.metadata.uid, uid == owner.uid else { throw changed("the object is gone") }
        try await requireOurs(name, owner: live.spec.bucket == nil ? nil : owner)
        let wanted = live.metadata.isDeleting ? [] : GCSArtifactNotifications.wanted(live.spec, uid: uid)
        let found = try await storage.notifications(in: name)
        let difference = GCSArtifactNotifications.difference(found, wanted, uid: uid)
        do throws(APIError) {
            for id in difference.surplus {
                do throws(APIError) {
                    try await storage.deleteNotification(id, in: name)
                } catch  where error.code == .notFound {
                    continue
                }
            }
            for notification in difference.missing { _ = try await storage.insertNotification(notification, in: name) }
            memory.set(notificationFailure: nil, of: uid, now: clock.uptime)
        } catch {
            guard !live.metadata.isDeleting, let obstacle = Self.notificationObstacle(error) else { throw error }
            memory.set(notificationFailure: obstacle, of: uid, now: clock.uptime)
        }
    }
}
