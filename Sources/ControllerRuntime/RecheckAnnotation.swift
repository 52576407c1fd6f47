import Kubernetes

/// `trainyard.dev/recheck-seconds` on an object: how often it is looked at when nothing changes.
enum RecheckAnnotation {
    static let name = "trainyard.dev/recheck-seconds"
    static let range = 10...86_400

    enum Reading: Hashable {
        case absent
        case interval(Duration)
        /// What it says instead of a number in the range; the controller's own interval holds.
        case wrong(String)
    }

    static func read(_ metadata: ObjectMeta) -> Reading {
        guard let text = metadata.annotations?[name] else { return .absent }
        guard let seconds = Int(text), range.contains(seconds) else { return .wrong(text) }
        return .interval(.seconds(seconds))
    }

    /// For the user; the value is cut.
    static func warning(_ text: String) -> Event {
        Event(
            .warning, reason: "InvalidAnnotation", action: "Reconcile",
            message: "\(name) is \"\(text.prefix(50))\", not a whole number from \(range.lowerBound) to "
                + "\(range.upperBound); the object is looked at as often as others are")
    }
}
