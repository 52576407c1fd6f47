import ControllerRuntime
import Encoding
public import GoogleCloud
public import HTTP

/// URLs that whoever has them may use: made, and made again long before they expire. They are in Secrets alone; status,
/// events and logs have their names.
enum GCSArtifactSignedURLs {
    typealias Observation = GCSArtifactObservation
    typealias Entry = GCSArtifact.Status.SignedURL

    static let condition = "URLsSigned"
    /// Google changes the keys of service accounts: a signature is good for 12 hours at least, whatever the URL says.
    static let keyLifetime: Duration = .seconds(11 * 3600)
    static let retryInterval: Duration = .seconds(60)

    /// What a URL is signed for: with another one, it is signed again.
    static func target(_ url: GCSArtifact.SignedURL, place: StorageURI?) -> String {
        let text =
            "\(place?.description ?? "") \(url.method.rawValue) \(url.path) \(url.expiresInSeconds) \(url.secretName)"
        return String(SHA256.hexadecimal(of: Array(text.utf8)).prefix(16))
    }

    /// When it is made again: at half of its life.
    static func renewalTime(_ entry: Entry, _ url: GCSArtifact.SignedURL) -> Timestamp {
        let life: Duration = .seconds(url.expiresInSeconds)
        return (entry.expirationTime ?? .distantPast) + (min(life / 2, keyLifetime) - life)
    }

    /// What is in the Secrets, as far as it is known and still wanted.
    static func current(_ observation: Observation) -> [Entry] {
        let urls = observation.spec.access?.signedURLs ?? []
        return urls.compactMap { url in
            let target = target(url, place: observation.place)
            let known = observation.status.signedURLs.first { $0.name == url.name }
            return [observation.signing.issued[url.name], known].compactMap { $0 }.filter { $0.target == target }
                .max { ($0.expirationTime ?? .distantPast) < ($1.expirationTime ?? .distantPast) }
        }
    }

    /// Names of those that are to be signed now.
    static func due(_ observation: Observation) -> [String] {
        let current = current(observation)
        return (observation.spec.access?.signedURLs ?? []).filter { url in
            guard let entry = current.first(where: { $0.name == url.name }), let end = entry.expirationTime else {
                return true
            }
            // From a clock that was set back since: it may expire earlier than it says.
            let isFromLater = end > observation.now + .seconds(url.expiresInSeconds + 60)
            return isFromLater || renewalTime(entry, url) <= observation.now
        }.map(\.name)
    }

    // MARK: Rule

    /// All that are due. The object stays ready.
    static func signing(_ observation: Observation) -> GCSArtifactDecision? {
        let names = due(observation)
        guard !names.isEmpty, observation.signing.failure == nil || observation.signing.isRetryDue,
            let place = observation.place, observation.ownBucket != nil
        else { return nil }
        return GCSArtifactDecision(
            steps: [.cloud(.signURLs(names, below: place, time: observation.moment, owner: observation.owner))],
            status: observation.status, situation: .ready, next: .after(.zero))
    }

    /// What was spoiled is made again before that.
    static func next(_ observation: Observation) -> Duration? {
        let urls = observation.spec.access?.signedURLs ?? []
        if urls.isEmpty { return nil }
        if observation.signing.failure != nil { return retryInterval }
        return current(observation).compactMap { entry in
            urls.first { $0.name == entry.name }.map { max(.seconds(1), renewalTime(entry, $0) - observation.now) }
        }.min()
    }

    static func apply(_ status: inout GCSArtifact.Status, _ observation: Observation) {
        status.signedURLs = current(observation)
    }

    /// `URLsSigned`; nil where none are wanted.
    static func verdict(
        _ observation: Observation
    ) -> (isTrue: Bool, reason: GCSArtifactReason, message: String)? {
        let urls = observation.spec.access?.signedURLs ?? []
        if urls.isEmpty { return nil }
        if let failure = observation.signing.failure { return (false, failure.reason, failure.message) }
        let missing = urls.count - current(observation).count
        return missing == 0
            ? (true, .signed, "each is in its Secret") : (false, .signing, "\(missing) are being signed")
    }

    static func problem(_ observation: Observation) -> String? {
        let urls = observation.spec.access?.signedURLs ?? []
        if !urls.isEmpty, observation.referenced?.isObserved == true {
            return "access to an observed bucket is not managed"
        }
        if Set(urls.map(\.secretName)).count < urls.count { return "two of access.signedURLs name one Secret" }
        if let url = urls.first(where: { url in
            url.path.hasSuffix("/")
                || url.path.split(separator: "/", omittingEmptySubsequences: false).contains { $0 == "." || $0 == ".." }
        }) {
            return "access.signedURLs[\(url.name)].path is no object's"
        }
        return nil
    }
}

/// What this process has signed, and why it could not.
public struct SigningObservation: Sendable, Hashable {
    public var issued: [String: GCSArtifact.Status.SignedURL] = [:]
    public var failure: VersionObstacle?
    /// Whether it is time to try again after a failure.
    public var isRetryDue = false

    public init() {}
}

/// How URLs are signed.
public struct URLSigning: Sendable {
    let client: IAMCredentialsClient
    let account: @Sendable (_ namespace: String) async throws(APIError) -> String?

    /// - Parameters:
    ///   - client: asks with the operator's own identity.
    ///   - account: the service account that signs for a namespace, and whose rights its URLs have; nil: nobody does.
    public init(
        _ client: IAMCredentialsClient,
        account: @escaping @Sendable (_ namespace: String) async throws(APIError) -> String?
    ) {
        self.client = client
        self.account = account
    }
}
